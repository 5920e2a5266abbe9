"""Runs the processes that stand for the containers of labs."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.containers import shim
from nublado.sandbox.kubernetes.containers.addresses import LoopbackAddresses
from nublado.sandbox.kubernetes.containers.environment import environment_of
from nublado.sandbox.kubernetes.containers.fields import ContainerConfigError, Values
from nublado.sandbox.kubernetes.containers.files import PodFiles, remove_tree
from nublado.sandbox.kubernetes.containers.logs import ContainerLogs
from nublado.sandbox.kubernetes.selectors import label_selector
from nublado.sandbox.kubernetes.store import Store, now

__all__ = ["ContainerRuntime", "Launch", "Running"]

LABS = "nublado.lsst.io/category=lab"

_KILL_SECONDS = 15.0
_FAREWELL_SECONDS = 2.0
_SIGNALLED = 128
_FALLBACK_LANG = "C.UTF-8"


@dataclass(frozen=True, slots=True)
class Launch:
    """How a process is to be started.

    Parameters
    ----------
    argv
        Program and arguments.
    environ
        Its environment.
    directory
        Its working directory.
    """

    argv: list[str]
    environ: dict[str, str]
    directory: str


@dataclass(slots=True)
class Running:
    """A process that runs, or has run.

    Parameters
    ----------
    started_at
        When it was started, as Kubernetes writes times.
    """

    process: asyncio.subprocess.Process
    started_at: str = field(default_factory=now)

    async def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        code = await self.process.wait()
        return code if code >= 0 else _SIGNALLED - code

    async def stop(self, grace: float) -> None:
        """Ask it to end, and kill it with all that it started after some seconds."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), grace)
            return
        self.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), _KILL_SECONDS)

    def kill(self) -> None:
        """Kill it and all that it started."""
        if self.process.stdin is not None:
            self.process.stdin.close()


@dataclass(slots=True)
class _Pod:
    directory: Path
    address: str
    running: Running | None = None
    starts: int = 0


class ContainerRuntime:
    """Runs one process for each pod of a lab.

    The processes belong to the user who runs the sandbox; nothing keeps them
    from the rest of this machine.

    Parameters
    ----------
    store
        Objects of the cluster.
    logs
        Is told where the logs are.
    executable
        Program that stands for what the image of a lab would start: it is
        given ``--ip`` and ``--port``, as ``jupyterhub-singleuser`` takes them.
    directory
        Where the files of pods and volumes are; it is removed at the end.
    selector
        Label selector for pods that run.
    """

    def __init__(
        self,
        store: Store,
        logs: ContainerLogs,
        executable: Path,
        directory: Path,
        selector: str = LABS,
    ) -> None:
        self._store = store
        self._logs = logs
        self._executable = executable.absolute()
        self._directory = directory.absolute()
        self._selects = label_selector(selector)
        self._addresses = LoopbackAddresses()
        self._pods: dict[str, _Pod] = {}
        self._removals: set[asyncio.Task[None]] = set()

    def runs(self, pod: JSON) -> bool:
        """Whether the first container of a pod is run as a process."""
        return self._selects(pod)

    def admit(self, pod: JSON) -> str:
        """Make place for a pod; returns its address.

        Raises
        ------
        OSError
            Raised if there is no address for it.
        """
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            address = self._addresses.take(_ports(pod["spec"]["containers"][0]))
            self._pods[uid] = _Pod(self._directory / "pods" / uid, address)
        return self._pods[uid].address

    def prepare(self, pod: JSON) -> Launch:
        """Make the files of a pod and the environment of its first container.

        Raises
        ------
        ContainerConfigError
            Raised if something is missing that may not be.
        """
        container = pod["spec"]["containers"][0]
        placed = self._pods[pod["metadata"]["uid"]]
        values = Values(self._store, pod)
        environ = environment_of(container, values)
        files = PodFiles(placed.directory, self._directory / "volumes", pod)
        files.make(container, values)
        directory = files.folder(container.get("workingDir") or "/")
        environ = self._of_this_machine(pod, environ, files, placed.address)
        argv = [str(self._executable), f"--ip={placed.address}"]
        argv += [f"--port={port}" for port in _ports(container)[:1]]
        if os.geteuid() == 0:
            argv.append("--allow-root")
        return Launch(argv, environ, str(directory.resolve()))

    async def start(self, pod: JSON, launch: Launch) -> Running:
        """Start the process of the first container of a pod."""
        uid = pod["metadata"]["uid"]
        name = pod["spec"]["containers"][0]["name"]
        placed = self._pods[uid]
        placed.starts += 1
        log = placed.directory / "logs" / f"{name}-{placed.starts}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch(mode=0o600)
        process = await asyncio.create_subprocess_exec(
            # Isolated from what is installed here, and without an environment.
            *(sys.executable, "-I", "-S", shim.__file__),
            stdin=asyncio.subprocess.PIPE,
            env={},
            start_new_session=True,
        )
        placed.running = Running(process)
        self._logs.begin(uid, name, log)
        asked: shim.Asked = {
            "argv": launch.argv,
            "environ": launch.environ,
            "directory": launch.directory,
            "log": str(log),
        }
        assert process.stdin is not None  # noqa: S101
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        return placed.running

    async def execute(self, pod: JSON, name: str, argv: list[str]) -> Process:
        """Start a command with the files of a container, whether or not that runs.

        It begins in the folder that stands for the root of the container.

        Raises
        ------
        OSError
            Raised if there is no such command, or a file is missing.
        """
        container = next(c for c in pod["spec"]["containers"] if c["name"] == name)
        uid = pod["metadata"]["uid"]
        values = Values(self._store, pod)
        directory = self._directory / "pods" / uid
        files = PodFiles(directory, self._directory / "volumes", pod)
        try:
            environ = environment_of(container, values)
            placed = self._pods.get(uid)
            if placed is None or placed.running is None:
                files.make(container, values)
        except ContainerConfigError as e:
            raise OSError(errno.ENOENT, str(e)) from e
        address = placed.address if placed is not None else ""
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=files.root,
            env=self._of_this_machine(pod, environ, files, address),
            start_new_session=True,
        )

    async def stop(self, uid: str, grace: float) -> None:
        """Stop the process of a pod, within some seconds."""
        placed = self._pods.get(uid)
        if placed is not None and placed.running is not None:
            await placed.running.stop(grace)

    def kill(self, uid: str) -> None:
        """Kill the processes of a pod at once."""
        placed = self._pods.get(uid)
        if placed is not None and placed.running is not None:
            placed.running.kill()

    def discard(self, uid: str) -> None:
        """Kill what is left of a pod that is gone, and remove its files."""
        placed = self._pods.pop(uid, None)
        if placed is None:
            return
        if placed.running is not None:
            placed.running.kill()
        self._logs.forget(uid)
        removal = asyncio.create_task(self._remove(placed))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    def hosts(self) -> dict[str, str]:
        """Addresses by names of services, such as ``lab.userlabs-rachel``."""
        found = {}
        for service in self._store.list("Service"):
            namespace = service["metadata"]["namespace"]
            selector = service["spec"].get("selector") or {}
            labels = ",".join(f"{key}={value}" for key, value in selector.items())
            for pod in self._store.list("Pod", namespace, labels or None):
                placed = self._pods.get(pod["metadata"]["uid"])
                if selector and placed and pod["status"]["phase"] == "Running":
                    name = f"{service['metadata']['name']}.{namespace}"
                    found[name] = placed.address
        return found

    async def close(self) -> None:
        """Stop all processes and remove all files."""
        running = [pod.running for pod in self._pods.values() if pod.running]
        await asyncio.gather(*(each.stop(_FAREWELL_SECONDS) for each in running))
        for uid in tuple(self._pods):
            self.discard(uid)
        await asyncio.gather(*self._removals)
        await asyncio.to_thread(remove_tree, self._directory)

    async def _remove(self, placed: _Pod) -> None:
        if placed.running is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(placed.running.wait(), _KILL_SECONDS)
        await asyncio.to_thread(remove_tree, placed.directory)
        self._addresses.give_back(placed.address)

    def _of_this_machine(
        self, pod: JSON, environ: dict[str, str], files: PodFiles, address: str
    ) -> dict[str, str]:
        """Add what an image or a container runtime would set, and correct paths."""
        path = os.pathsep.join(
            (str(self._executable.parent), os.environ.get("PATH", os.defpath))
        )
        lang = os.environ.get("LANG", _FALLBACK_LANG)
        home = files.folder(_home(pod, environ, files))
        changed = {
            # Files in it may name it, so it has to be the same for the next pod.
            "HOME": str(home.resolve()),
            "TMPDIR": str(files.folder(environ.get("TMPDIR", "/tmp"))),  # noqa: S108
            "SANDBOX_ROOT": str(files.root),
            "HOSTNAME": pod["metadata"]["name"],
        }
        if url := environ.get("JUPYTERHUB_SERVICE_URL"):
            changed["JUPYTERHUB_SERVICE_URL"] = _at(address, url)
        return {"PATH": path, "LANG": lang} | environ | changed


def _ports(container: JSON) -> list[int]:
    ports: Iterable[JSON] = container.get("ports") or ()
    return [port["containerPort"] for port in ports]


def _home(pod: JSON, environ: dict[str, str], files: PodFiles) -> str:
    container = pod["spec"]["containers"][0]
    contexts = (container, pod["spec"])
    users = [(part.get("securityContext") or {}).get("runAsUser") for part in contexts]
    user = next((user for user in users if user is not None), None)
    home = environ.get("HOME") or files.home(user)
    return home or container.get("workingDir") or "/"


def _at(address: str, url: str) -> str:
    """Let a URL that means every address of a pod mean the one that it has."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{address}{port}"))
