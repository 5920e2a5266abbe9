"""The kubelets of all nodes: they run pods, as far as anyone can see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers import statuses
from nublado.sandbox.kubernetes.controllers.nodes import Nodes
from nublado.sandbox.kubernetes.controllers.recorder import EventRecorder
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.releases import Release
from nublado.sandbox.kubernetes.store import ApiError, Store

__all__ = ["Kubelet"]

_LONGEST_BACKOFF = 300.0
_MOST_DOUBLINGS = 8
_MOUNT_RETRY = 0.5
_INIT = "initContainerStatuses"
_REGULAR = "containerStatuses"


class _PodGoneError(Exception):
    """The pod was deleted while it was being run."""


class Kubelet:
    """Runs the pods of all nodes, each in a task of its own.

    Parameters
    ----------
    store, settings, recorder, nodes, release
        The cluster.
    """

    def __init__(
        self,
        store: Store,
        settings: ClusterSettings,
        recorder: EventRecorder,
        nodes: Nodes,
        release: Release,
    ) -> None:
        self._store = store
        self._settings = settings
        self._recorder = recorder
        self._nodes = nodes
        self._release = release
        self._silent: set[str] = set()
        self._pods: dict[str, _PodWorker] = {}
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
        self._stop_worker(pod["metadata"]["uid"])

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
        self._stop_worker(pod["metadata"]["uid"])
        change = statuses.evicted(message)
        evicted = self._store.mutate("Pod", namespace, name, change)
        self._recorder.record(evicted, "Evicted", message, type_="Warning")

    def lose_node(self, node: str) -> None:
        """Delete a node and, at once, all pods that ran there."""
        self._store.delete("Node", None, node)
        for pod in self._store.list("Pod", fields=f"spec.nodeName={node}"):
            metadata = pod["metadata"]
            self._stop_worker(metadata["uid"])
            namespace, name = metadata["namespace"], metadata["name"]
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
        elif pod["spec"].get("nodeName") in (None, *self._silent):
            return
        elif "deletionTimestamp" in pod["metadata"]:
            worker = self._pods.get(uid)
            if worker is None or not worker.ending:
                self._stop_worker(uid)
                self._pods[uid] = self._worker(pod, ending=True)
        elif uid not in self._pods and pod["status"]["phase"] == "Pending":
            self._pods[uid] = self._worker(pod, ending=False)

    def _worker(self, pod: JSON, *, ending: bool) -> _PodWorker:
        worker = self._new_worker(pod)
        worker.begin(ending=ending)
        uid = pod["metadata"]["uid"]

        def forget(_: asyncio.Task[None]) -> None:
            if ending and self._pods.get(uid) is worker:
                del self._pods[uid]

        worker.task.add_done_callback(forget)
        return worker

    def _new_worker(self, pod: JSON) -> _PodWorker:
        return _PodWorker(
            self._store,
            self._settings,
            self._recorder,
            self._nodes,
            self,
            self._release,
            pod,
        )

    def _stop_worker(self, uid: str) -> None:
        worker = self._pods.pop(uid, None)
        if worker is not None and worker.task is not asyncio.current_task():
            worker.task.cancel()


class _PodWorker:
    """Runs one pod from its binding to a node until its containers run."""

    task: asyncio.Task[None]

    def __init__(
        self,
        store: Store,
        settings: ClusterSettings,
        recorder: EventRecorder,
        nodes: Nodes,
        kubelet: Kubelet,
        release: Release,
        pod: JSON,
    ) -> None:
        self._store = store
        self._settings = settings
        self._recorder = recorder
        self._nodes = nodes
        self._kubelet = kubelet
        self._release = release
        self._pod = pod
        self._namespace = pod["metadata"]["namespace"]
        self._name = pod["metadata"]["name"]
        self._node = pod["spec"]["nodeName"]
        self.ending = False

    def begin(self, *, ending: bool) -> None:
        """Begin to run the pod, or to end it."""
        self.ending = ending
        work = self._end if ending else self._run
        self.task = asyncio.create_task(self._guard(work))

    def restart(self, state: JSON) -> None:
        """Let the first container come to an end, and start it again."""
        self.task = asyncio.create_task(self._guard(lambda: self._restart(state)))

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (ApiError, _PodGoneError) as e:
            logging.getLogger(__name__).debug("%s: %s", self._name, e)
        except Exception:
            logging.getLogger(__name__).exception("Cannot run %s", self._name)

    # --- Run -------------------------------------------------------------

    async def _run(self) -> None:
        spec = self._pod["spec"]
        self._change(statuses.begun)
        await self._mount()
        for container in spec.get("initContainers") or ():
            await self._run_init(container)
        for container in spec["containers"]:
            await self._start(_REGULAR, container)
            code = self._settings.exit_code(container["image"])
            if container.get("command") == ["/bin/true"]:
                code = 0
            if code is not None:
                self._set_state(_REGULAR, container, statuses.terminated(code))

    async def _restart(self, state: JSON) -> None:
        """Give the first container its end, and start it again if it may be."""
        container = self._pod["spec"]["containers"][0]
        self._set_state(_REGULAR, container, state)
        policy = self._pod["spec"]["restartPolicy"]
        failed = state["terminated"]["exitCode"] != 0
        if policy == "Never" or (policy == "OnFailure" and not failed):
            return
        before = self._pod["status"][_REGULAR][0]["restartCount"]
        if before:
            pause = self._settings.pull_backoff * 2 ** min(before - 1, _MOST_DOUBLINGS)
            await self._back_off(_REGULAR, container, min(pause, _LONGEST_BACKOFF))
        await self._start(_REGULAR, container, restarted=True)

    async def _back_off(self, field: str, container: JSON, seconds: float) -> None:
        """Wait before a container is started again, and say so."""
        name, uid = container["name"], self._pod["metadata"]["uid"]
        pod = f"{self._name}_{self._namespace}({uid})"
        text = f"back-off {seconds:g}s restarting failed container={name} pod={pod}"
        self._set_state(field, container, statuses.waiting("CrashLoopBackOff", text))
        told = f"Back-off restarting failed container {name} in pod {pod}"
        self._say("BackOff", told, "Warning", container=container)
        await asyncio.sleep(seconds)

    async def _mount(self) -> None:
        """Wait for all that the pod mounts or takes its environment from."""
        while missing := next(self._missing(), None):
            kind, name = missing
            volume_message = (
                f'MountVolume.SetUp failed for volume "{name}" : '
                f'{kind.lower()} "{name}" not found'
            )
            self._say("FailedMount", volume_message, type_="Warning")
            await asyncio.sleep(_MOUNT_RETRY)

    def _missing(self) -> Iterator[tuple[str, str]]:
        spec = self._pod["spec"]
        wanted: list[tuple[str, str]] = []
        for volume in spec.get("volumes") or ():
            if "configMap" in volume:
                wanted.append(("ConfigMap", volume["configMap"]["name"]))
            if "secret" in volume:
                wanted.append(("Secret", volume["secret"]["secretName"]))
        for container in spec["containers"]:
            wanted += [
                ("ConfigMap", source["configMapRef"]["name"])
                for source in container.get("envFrom") or ()
                if "configMapRef" in source
            ]
        for kind, name in wanted:
            if self._store.find(kind, self._namespace, name) is None:
                yield kind, name

    async def _run_init(self, container: JSON) -> None:
        """Run an init container until it succeeds."""
        backoff = self._settings.pull_backoff
        restarted = False
        while True:
            await self._start(_INIT, container, restarted=restarted)
            await asyncio.sleep(self._settings.init_seconds)
            code = self._settings.exit_code(container["image"]) or 0
            self._set_state(_INIT, container, statuses.terminated(code))
            if code == 0:
                return
            await self._back_off(_INIT, container, backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
            restarted = True

    async def _start(
        self, field: str, container: JSON, *, restarted: bool = False
    ) -> None:
        """Pull the image of a container and start it."""
        await self._pull(field, container)
        created = self._release.created.format(name=container["name"])
        self._say("Created", created, container=container)
        await asyncio.sleep(self._settings.start_delay)
        started = self._release.started.format(name=container["name"])
        self._say("Started", started, container=container)
        self._set_state(field, container, statuses.running(), restarted=restarted)

    async def _pull(self, field: str, container: JSON) -> None:
        image = container["image"]
        wanted = container["imagePullPolicy"] == "Always"
        if self._nodes.has_image(self._node, image) and not wanted:
            text = f'Container image "{image}" already present on machine'
            self._say("Pulled", text, container=container)
            return
        backoff = self._settings.pull_backoff
        began = asyncio.get_running_loop().time()
        self._say("Pulling", f'Pulling image "{image}"', container=container)
        while self._settings.pull_fails(image):
            await asyncio.sleep(min(self._settings.pull_time(image), 0.2))
            why = (
                f'Failed to pull image "{image}": rpc error: code = NotFound desc = '
                f'failed to pull and unpack image "{image}": not found'
            )
            self._say("Failed", why, "Warning", container=container)
            self._set_state(field, container, statuses.waiting("ErrImagePull", why))
            await asyncio.sleep(backoff / 2)
            text = f'Back-off pulling image "{image}"'
            self._say("BackOff", text, container=container)
            state = statuses.waiting("ImagePullBackOff", text)
            self._set_state(field, container, state)
            await asyncio.sleep(backoff / 2)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
        await asyncio.shield(self._kubelet.pull(self._node, image))
        seconds = asyncio.get_running_loop().time() - began
        size = self._settings.image_bytes
        text = (
            f'Successfully pulled image "{image}" in {seconds:.3g}s '
            f"({seconds:.3g}s including waiting). Image size: {size} bytes."
        )
        self._say("Pulled", text, container=container)

    # --- End -------------------------------------------------------------

    async def _end(self) -> None:
        """Stop the containers and remove the pod."""
        grace = self._pod["metadata"].get("deletionGracePeriodSeconds", 30)
        for container in self._pod["status"].get(_REGULAR) or ():
            if "running" in container["state"]:
                text = f"Stopping container {container['name']}"
                self._say("Killing", text, container=container)
                await asyncio.sleep(min(grace, self._settings.termination_delay))
                break
        self._store.delete("Pod", self._namespace, self._name, grace_seconds=0)

    # --- Parts -----------------------------------------------------------

    def _change(self, change: statuses.Change) -> None:
        current = self._store.find("Pod", self._namespace, self._name)
        uid = self._pod["metadata"]["uid"]
        if current is None or current["metadata"]["uid"] != uid:
            raise _PodGoneError(self._name)
        self._pod = self._store.mutate("Pod", self._namespace, self._name, change)

    def _set_state(
        self, field: str, container: JSON, state: JSON, *, restarted: bool = False
    ) -> None:
        change = statuses.container_state(
            field, container["name"], state, restarted=restarted
        )
        self._change(change)

    def _say(
        self,
        reason: str,
        message: str,
        type_: str = "Normal",
        *,
        container: JSON | None = None,
    ) -> None:
        path = None if container is None else _path_of(self._pod, container["name"])
        self._recorder.record(self._pod, reason, message, type_=type_, field_path=path)


def _path_of(pod: JSON, name: str) -> str:
    """Where a container is in its pod, as events say it."""
    init = pod["spec"].get("initContainers") or ()
    regular = all(container["name"] != name for container in init)
    return f"spec.{'containers' if regular else 'initContainers'}{{{name}}}"
