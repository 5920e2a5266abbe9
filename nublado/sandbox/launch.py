"""Run a sandbox beside something else: as a thread, or as a process."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import Endpoints, Sandbox, SandboxOptions
from nublado.sandbox.server_process import ServerProcess

__all__ = ["Control", "SandboxProcess", "SandboxThread"]

T = TypeVar("T")

_START_SECONDS = 90.0
_STOP_SECONDS = 30.0
_REQUEST_SECONDS = 60.0


class Control:
    """Client of a sandbox's control API.

    Parameters
    ----------
    url
        Where that is.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; returns the JSON of the answer, if there is any.

        Raises
        ------
        requests.HTTPError
            Raised if the sandbox refuses.
        """
        response = requests.request(
            method, self._url + path, json=body, timeout=_REQUEST_SECONDS
        )
        response.raise_for_status()
        return response.json() if response.content else None

    def faults(self, *rules: JSON, **watch: object) -> None:
        """Replace the faults: rules for requests, and what happens to watches."""
        self("PUT", "/faults", {"rules": list(rules), "watch": watch})

    def settings(self, **changes: object) -> None:
        """Change settings of the cluster."""
        self("PATCH", "/settings", changes)

    def stats(self) -> JSON:
        """What has been counted."""
        counts: JSON = self("GET", "/stats")
        return counts


class SandboxThread:
    """A sandbox in a thread of this process, for tests.

    Parameters
    ----------
    options
        How to run it.
    """

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._sandbox: Sandbox | None = None

    def start(self) -> Endpoints:
        """Start it; returns once all servers listen."""
        self._thread.start()

        async def start() -> Endpoints:
            self._sandbox = Sandbox(self._options)
            return await self._sandbox.start()

        future = asyncio.run_coroutine_threadsafe(start(), self._loop)
        return future.result(_START_SECONDS)

    def call(self, function: Callable[[Sandbox], T]) -> T:
        """Call a function with the sandbox, on its event loop."""

        async def run() -> T:
            assert self._sandbox is not None  # noqa: S101
            return function(self._sandbox)

        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        return future.result(_REQUEST_SECONDS)

    def stop(self) -> None:
        """Stop it and its thread."""
        if self._sandbox is not None:
            stopping = asyncio.run_coroutine_threadsafe(
                self._sandbox.stop(), self._loop
            )
            stopping.result(_STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


class SandboxProcess(ServerProcess):
    """A sandbox in a process of its own.

    Parameters
    ----------
    arguments
        Further arguments of ``nublado sandbox``.
    directory
        Where to write its files; a temporary one by default. It is removed in
        the end, even if this process is killed.
    log
        File for its messages; by default they go where those of this process
        go.
    """

    def __init__(
        self,
        *arguments: str,
        directory: Path | None = None,
        log: IO[str] | None = None,
    ) -> None:
        self.directory = directory or Path(tempfile.mkdtemp(prefix="sandbox-"))
        self._state_file = self.directory / "state.json"
        files = {"--directory": self.directory, "--state-file": self._state_file}
        command = [
            *(sys.executable, "-m", "nublado", "sandbox", "--quiet", "--leashed"),
            *(str(word) for option in files.items() for word in option),
            *arguments,
        ]
        super().__init__("The sandbox", command, log=log)

    @property
    def kubeconfig(self) -> Path:
        """File by which clients find the API server."""
        return self.directory / "kubeconfig"

    @property
    def podinfo(self) -> Path:
        """Directory with the metadata of the controller's pod."""
        return self.directory / "podinfo"

    def start(self) -> Endpoints:
        """Start it; returns once all servers listen.

        Raises
        ------
        RuntimeError
            Raised if it does not start; why, its log tells.
        """
        self.launch()
        try:
            self.wait_ready(_START_SECONDS)
        except RuntimeError:
            self.stop()
            raise
        return Endpoints(**json.loads(self._state_file.read_text()))

    def is_ready(self) -> bool:
        """Whether all servers listen."""
        return self._state_file.exists()

    def kill(self) -> None:
        """Kill it, and remove its files."""
        super().kill()
        self._remove_files()

    def stop(self) -> None:
        """Stop it, and remove its files."""
        super().stop()
        self._remove_files()

    def _remove_files(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
