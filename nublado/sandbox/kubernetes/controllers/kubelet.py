"""The kubelets of all nodes: they run pods, as far as anyone can see.

Where there is a runtime, they run the pods that it takes in earnest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.containers.runtime import ContainerRuntime
from nublado.sandbox.kubernetes.controllers import statuses
from nublado.sandbox.kubernetes.controllers.nodes import Nodes
from nublado.sandbox.kubernetes.controllers.pod_worker import PodWorker
from nublado.sandbox.kubernetes.controllers.recorder import EventRecorder
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.releases import Release
from nublado.sandbox.kubernetes.store import Store

__all__ = ["Kubelet"]

_REGULAR = "containerStatuses"
_NODE_GONE = "PodGC: node no longer exists"


class Kubelet:
    """Runs the pods of all nodes, each in a task of its own.

    Parameters
    ----------
    store, settings, recorder, nodes, release
        The cluster.
    runtime
        Runs the containers of the pods that it takes.
    """

    def __init__(
        self,
        store: Store,
        settings: ClusterSettings,
        recorder: EventRecorder,
        nodes: Nodes,
        release: Release,
        runtime: ContainerRuntime | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._recorder = recorder
        self._nodes = nodes
        self._release = release
        self._silent: set[str] = set()
        self._runtime = runtime
        self._pods: dict[str, PodWorker] = {}
        self._pulls: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to run pods."""
        self._unsubscribe = self._store.subscribe("Pod", self._changed)

    async def stop(self) -> None:
        """End all pods' tasks."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        tasks = [*(w.task for w in self._pods.values()), *self._pulls.values()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        if self._runtime is not None:
            await self._runtime.close()

    def finish(
        self, namespace: str, name: str, exit_code: int, reason: str | None
    ) -> None:
        """Let the first container of a pod end with an exit code.

        Raises
        ------
        ApiError
            Raised if there is no such pod.
        """
        pod = self._store.get("Pod", namespace, name)
        container = pod["spec"]["containers"][0]["name"]
        state = statuses.terminated(exit_code, reason)
        self._kill(pod["metadata"]["uid"])

        def end(obj: JSON) -> None:
            statuses.container_state(_REGULAR, container, state)(obj)
            failed = exit_code != 0
            obj["status"]["phase"] = "Failed" if failed else "Succeeded"

        self._store.mutate("Pod", namespace, name, end)

    def kill_container(
        self, namespace: str, name: str, exit_code: int, reason: str | None
    ) -> None:
        """Let the first container of a pod end; restart it if its pod says so.

        Raises
        ------
        ApiError
            Raised if there is no such pod.
        """
        pod = self._store.get("Pod", namespace, name)
        uid = pod["metadata"]["uid"]
        if self._runtime is not None and self._runtime.runs(pod):
            self._runtime.kill(uid)
            return
        self._stop_worker(uid)
        worker = self._pods[uid] = self._new_worker(pod)
        worker.restart(statuses.terminated(exit_code, reason))

    def silence(self, node: str) -> None:
        """Let the kubelet of a node do and tell nothing any more."""
        self._silent.add(node)
        for pod in self._store.list("Pod", fields=f"spec.nodeName={node}"):
            self._stop_worker(pod["metadata"]["uid"])

    def wake(self, node: str) -> None:
        """Let the kubelet of a node take up its work again."""
        self._silent.discard(node)
        for pod in self._store.list("Pod", fields=f"spec.nodeName={node}"):
            self._changed("MODIFIED", pod)

    def evict(self, namespace: str, name: str, message: str) -> None:
        """Evict a pod because its node is short of something.

        Raises
        ------
        ApiError
            Raised if there is no such pod.
        """
        pod = self._store.get("Pod", namespace, name)
        self._kill(pod["metadata"]["uid"])
        change = statuses.evicted(message)
        evicted = self._store.mutate("Pod", namespace, name, change)
        self._recorder.record(evicted, "Evicted", message, type_="Warning")

    def lose_node(self, node: str) -> None:
        """Delete a node and, at once, all pods that ran there."""
        self._store.delete("Node", None, node)
        for pod in self._store.list("Pod", fields=f"spec.nodeName={node}"):
            metadata = pod["metadata"]
            self._kill(metadata["uid"])
            namespace, name = metadata["namespace"], metadata["name"]
            change = statuses.disrupted("DeletionByPodGC", _NODE_GONE)
            self._store.mutate("Pod", namespace, name, change)
            self._store.delete("Pod", namespace, name, grace_seconds=0)

    def pull(self, node: str, image: str) -> asyncio.Task[None]:
        """Pull an image to a node; whoever wants it meanwhile shares the pull."""
        key = (node, image)
        if key not in self._pulls:
            task = asyncio.create_task(self._pull(node, image))
            self._pulls[key] = task
            task.add_done_callback(lambda _: self._pulls.pop(key, None))
        return self._pulls[key]

    async def _pull(self, node: str, image: str) -> None:
        await asyncio.sleep(self._settings.pull_time(image))
        self._nodes.add_image(node, image)

    def _changed(self, type_: str, pod: JSON) -> None:
        uid = pod["metadata"]["uid"]
        if type_ == "DELETED":
            self._stop_worker(uid)
            if self._runtime is not None:
                self._runtime.discard(uid)
        elif pod["spec"].get("nodeName") in (None, *self._silent):
            return
        elif "deletionTimestamp" in pod["metadata"]:
            worker = self._pods.get(uid)
            if worker is None or not worker.ending:
                self._stop_worker(uid)
                self._pods[uid] = self._worker(pod, ending=True)
        elif uid not in self._pods and pod["status"]["phase"] == "Pending":
            self._pods[uid] = self._worker(pod, ending=False)

    def _worker(self, pod: JSON, *, ending: bool) -> PodWorker:
        worker = self._new_worker(pod)
        worker.begin(ending=ending)
        uid = pod["metadata"]["uid"]

        def forget(_: asyncio.Task[None]) -> None:
            if ending and self._pods.get(uid) is worker:
                del self._pods[uid]

        worker.task.add_done_callback(forget)
        return worker

    def _new_worker(self, pod: JSON) -> PodWorker:
        return PodWorker(
            self._store,
            self._settings,
            self._recorder,
            self._nodes,
            self._runtime,
            self.pull,
            self._release,
            pod,
        )

    def _kill(self, uid: str) -> None:
        self._stop_worker(uid)
        if self._runtime is not None:
            self._runtime.kill(uid)

    def _stop_worker(self, uid: str) -> None:
        worker = self._pods.pop(uid, None)
        if worker is not None and worker.task is not asyncio.current_task():
            worker.task.cancel()
