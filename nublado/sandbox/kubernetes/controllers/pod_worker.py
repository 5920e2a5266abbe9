"""One pod on its node: pulls, init containers, restarts, its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.containers.fields import ContainerConfigError
from nublado.sandbox.kubernetes.containers.runtime import ContainerRuntime, Running
from nublado.sandbox.kubernetes.controllers import statuses
from nublado.sandbox.kubernetes.controllers.nodes import Nodes
from nublado.sandbox.kubernetes.controllers.recorder import EventRecorder
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.releases import Release
from nublado.sandbox.kubernetes.store import ApiError, Store

__all__ = ["PodWorker"]

_LONGEST_BACKOFF = 300.0
_MOST_DOUBLINGS = 8
_MOUNT_RETRY = 0.5
_CALM_SECONDS = 600.0
"""After how long without an end a container is restarted without a pause."""

_INIT = "initContainerStatuses"
_REGULAR = "containerStatuses"


class _PodGoneError(Exception):
    """The pod was deleted while it was being run."""


class PodWorker:
    """Runs one pod, from its binding to a node on, or ends it.

    Parameters
    ----------
    store, settings, recorder, nodes, release
        The cluster.
    runtime
        Runs its containers in earnest, if it takes the pod.
    pull
        Pulls an image to a node.
    pod
        The pod, which has been bound to its node.
    """

    task: asyncio.Task[None]

    def __init__(
        self,
        store: Store,
        settings: ClusterSettings,
        recorder: EventRecorder,
        nodes: Nodes,
        runtime: ContainerRuntime | None,
        pull: Callable[[str, str], asyncio.Task[None]],
        release: Release,
        pod: JSON,
    ) -> None:
        self._store = store
        self._settings = settings
        self._recorder = recorder
        self._nodes = nodes
        self._runtime = runtime if runtime and runtime.runs(pod) else None
        self._pull_image = pull
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
        if self._settings.exit_code(spec["containers"][0]["image"]) is not None:
            self._runtime = None
        address = self._runtime.admit(self._pod) if self._runtime else None
        self._change(partial(statuses.begun, address=address))
        await self._mount()
        for container in spec.get("initContainers") or ():
            await self._run_init(container)
        simulated = spec["containers"][1 if self._runtime else 0 :]
        await self._simulate(simulated)
        if self._runtime is not None:
            await self._keep_running(self._runtime, spec["containers"][0])

    async def _simulate(self, containers: list[JSON]) -> None:
        for container in containers:
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
            for kind, source in volume.items():
                if kind == "configMap" and not source.get("optional"):
                    wanted.append(("ConfigMap", source["name"]))
                if kind == "secret" and not source.get("optional"):
                    wanted.append(("Secret", source["secretName"]))
        # What runs in earnest finds out for itself what its environment lacks.
        for container in spec["containers"] if self._runtime is None else ():
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

    async def _keep_running(self, runtime: ContainerRuntime, container: JSON) -> None:
        """Run a container as the restart policy of the pod has it."""
        loop = asyncio.get_running_loop()
        backoff = self._settings.pull_backoff
        restarted = False
        while True:
            await self._pull(_REGULAR, container)
            running = await self._launch(runtime, container)
            began = loop.time()
            self._say_started(container)
            state = statuses.running()
            self._set_state(_REGULAR, container, state, restarted=restarted)
            code = await running.wait()
            state = statuses.terminated(code, started_at=running.started_at)
            self._set_state(_REGULAR, container, state)
            policy = self._pod["spec"]["restartPolicy"]
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            if loop.time() - began > _CALM_SECONDS:
                backoff = self._settings.pull_backoff
            await self._back_off(_REGULAR, container, backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
            restarted = True

    def _say_started(self, container: JSON) -> None:
        for reason, text in (
            ("Created", self._release.created),
            ("Started", self._release.started),
        ):
            message = text.format(name=container["name"])
            self._say(reason, message, container=container)

    async def _launch(self, runtime: ContainerRuntime, container: JSON) -> Running:
        """Start a container, once there is all that it is to be given."""
        while True:
            try:
                launch = runtime.prepare(self._pod)
                return await runtime.start(self._pod, launch)
            except ContainerConfigError as e:
                await self._wait(container, "CreateContainerConfigError", str(e))
            except OSError as e:
                await self._wait(container, "CreateContainerError", str(e))

    async def _wait(self, container: JSON, reason: str, message: str) -> None:
        """Say why a container cannot be started yet, and wait a little."""
        state = statuses.waiting(reason, message)
        self._set_state(_REGULAR, container, state)
        self._say("Failed", f"Error: {message}", "Warning", container=container)
        await asyncio.sleep(_MOUNT_RETRY)

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
            reason = self._settings.why_pull_fails(image)
            why = f'Failed to pull image "{image}": {reason}'
            self._say("Failed", why, "Warning", container=container)
            self._set_state(field, container, statuses.waiting("ErrImagePull", why))
            await asyncio.sleep(backoff / 2)
            text = f'Back-off pulling image "{image}"'
            self._say("BackOff", text, container=container)
            state = statuses.waiting("ImagePullBackOff", text)
            self._set_state(field, container, state)
            await asyncio.sleep(backoff / 2)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
        await asyncio.shield(self._pull_image(self._node, image))
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
                await self._stop_containers(grace)
                break
        self._store.delete("Pod", self._namespace, self._name, grace_seconds=0)

    async def _stop_containers(self, grace: float) -> None:
        if self._runtime is None:
            await asyncio.sleep(min(grace, self._settings.termination_delay))
        else:
            await self._runtime.stop(self._pod["metadata"]["uid"], grace)

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
