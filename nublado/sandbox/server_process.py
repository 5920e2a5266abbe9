"""Servers in processes of their own, which end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import IO

import requests

__all__ = ["ServerProcess", "answers", "on_leash"]

_READY_SECONDS = 120.0
_STOP_SECONDS = 30.0
_PROBE_SECONDS = 5.0
_POLL_SECONDS = 0.05


class ServerProcess(ABC):
    """A server, as a process on a leash.

    Parameters
    ----------
    name
        What it is called in messages.
    command
        Program and arguments; it must end when its standard input does.
    environ
        Environment in addition to that of this process.
    log
        File for what it writes; by default it shares that of this process.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environ: dict[str, str] | None = None,
        log: IO[str] | None = None,
    ) -> None:
        self._name = name
        self._command = command
        self._environ = {**os.environ, **(environ or {})}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id, which is that of its group as well."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_processes(self) -> bool:
        """Whether any process of its group lives, be it without the first."""
        if self.is_running:
            return True
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def exit_code(self) -> int | None:
        """With what it has ended; None if it has not."""
        return None if self._process is None else self._process.poll()

    def launch(self) -> None:
        """Start it; `wait_ready` tells when it may be asked."""
        self._process = subprocess.Popen(  # noqa: S603
            self._command,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            # It outlives a Ctrl-C until it is stopped, and its group can be killed.
            start_new_session=True,
        )

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until it is ready.

        Raises
        ------
        RuntimeError
            Raised if it ends, or takes too long.
        """
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if not self.is_running:
                raise RuntimeError(f"{self._name} has ended with {self.exit_code}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._name} is not ready after {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it may be asked."""

    def kill(self) -> None:
        """Kill it and its children, as a crash would."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Stop it as Kubernetes does; kill it if that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._wait()
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait(self) -> None:
        assert self._process is not None  # noqa: S101
        self._process.wait(_STOP_SECONDS)
        # Not earlier: that pulls the leash.
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.close()


def on_leash(module: str, *arguments: str) -> list[str]:
    """Command that runs a module of Python until its standard input ends."""
    return [sys.executable, "-m", "nublado.sandbox.leash", module, *arguments]


def answers(url: str) -> bool:
    """Whether a server says that all is well with it."""
    try:
        probe = requests.get(url, timeout=_PROBE_SECONDS)
    except requests.RequestException:
        return False
    return bool(probe.status_code == requests.codes.ok)
