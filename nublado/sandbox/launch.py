"""Run a sandbox beside something else: as a thread, or as a process."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import Endpoints, Sandbox, SandboxOptions

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


class SandboxProcess:
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
        self._log = log
        self._state_file = self.directory / "state.json"
        self._command = [
            sys.executable,
            "-m",
            "nublado",
            "sandbox",
            "--quiet",
            "--leashed",
            "--directory",
            str(self.directory),
            "--state-file",
            str(self._state_file),
            *arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

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
            Raised if it does not start.
        """
        # In a session of its own, it outlives a Ctrl-C until it is stopped.
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._state_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("The sandbox has not started; see its message")
            time.sleep(0.02)
        return Endpoints(**json.loads(self._state_file.read_text()))

    def stop(self) -> None:
        """Stop it and remove its files."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._clean_up()

    def kill(self) -> None:
        """Kill it and remove its files."""
        if self._process is not None:
            self._process.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        if self._process is not None:
            self._process.wait(_STOP_SECONDS)
            assert self._process.stdin is not None  # noqa: S101
            self._process.stdin.close()
        shutil.rmtree(self.directory, ignore_errors=True)
