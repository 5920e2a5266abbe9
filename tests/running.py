"""Commands in processes of their own, and whatever they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

__all__ = ["Running", "needs_proc"]

_ROOT = Path(__file__).parent.parent
_SECONDS = 120.0

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="needs /proc"
)


class Running:
    """A command of ours as whoever types it runs it, with its files in a directory.

    Everything that it starts inherits the directory, by which it is found.
    """

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        self._output = directory.with_suffix(".out")
        directory.mkdir()
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nublado", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=_ROOT,
                env={**os.environ, "TMPDIR": str(directory)},
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for_output(self, text: str) -> None:
        self._wait_for(lambda: text in self.output)

    def wait_for_end(self) -> int:
        """Wait until neither processes nor files are left."""
        code = self.process.wait(_SECONDS)
        self._wait_for(lambda: not self.processes() and not self.files())
        return code

    def files(self) -> list[Path]:
        return list(self.directory.iterdir())

    def processes(self) -> list[int]:
        """Process ids of all that have inherited its directory."""
        mark = f"TMPDIR={self.directory}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in entry.read_bytes():
                    found.append(int(entry.parent.name))
        return found

    def clean_up(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + _SECONDS
        while not condition():
            assert time.monotonic() < deadline, (self.output, self.processes())
            time.sleep(0.05)
