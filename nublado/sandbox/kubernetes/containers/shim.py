"""Runs the process of a container, and everything that it starts.

This is a program of its own, which needs nothing but the standard library. Its
standard input is one line of JSON (``argv``, ``environ``, ``directory``,
``log``), and then stays open: once it ends, because the sandbox says so or is
no more, every process of the container is killed. SIGTERM is passed on to the
first process; when that ends, all others are killed, and its exit code is that
of this program: as in a container.

What the processes write goes to a log file in the format of the container
runtime interface.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_LONGEST_LINE = 16 * 1024
_LARGEST_LOG = 10 * 1024 * 1024
_READ_BYTES = 64 * 1024
_DRAIN_SECONDS = 2.0
_KILL_SECONDS = 10.0
_CANNOT_START = 128
_SIGNALLED = 128


class Asked(TypedDict):
    """What standard input asks for."""

    argv: list[str]
    environ: dict[str, str]
    directory: str
    log: str


class Log:
    """A log file, which begins anew when it has become too large."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin()

    def write(self, stream: str, line: bytes, *, complete: bool) -> None:
        """Write a line, or a part of one that is too long."""
        moment = datetime.now(UTC).isoformat(timespec="microseconds")
        stamp = moment.replace("+00:00", "Z")
        tag = "F" if complete else "P"
        entry = f"{stamp} {stream} {tag} ".encode() + line + b"\n"
        if self._size > _LARGEST_LOG:
            os.close(self._file)
            self._path.rename(self._path.with_suffix(".old"))
            self._begin()
        self._size += os.write(self._file, entry)

    def _begin(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(self._path, flags, 0o600)
        self._size = 0


class Output:
    """Cuts what a process writes into lines."""

    def __init__(self, log: Log, stream: str) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._log = log
        self._stream = stream
        self._rest = b""

    def read(self) -> bool:
        """Read what is there; tells whether more may come."""
        try:
            data = os.read(self.reader, _READ_BYTES)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write(line, complete=True)
        if self._rest and (not data or len(self._rest) >= _LONGEST_LINE):
            self._write(self._rest, complete=False)
            self._rest = b""
        return bool(data)

    def _write(self, line: bytes, *, complete: bool) -> None:
        while len(line) > _LONGEST_LINE:
            self._log.write(self._stream, line[:_LONGEST_LINE], complete=False)
            line = line[_LONGEST_LINE:]
        self._log.write(self._stream, line, complete=complete)


class Shim:
    """Runs one process from its start to its end."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._exit_code: int | None = None
        self._killed = False
        self._process = 0

    def run(self) -> int:
        """Run what standard input asks for; returns the exit code."""
        # Until there is a process to pass it on to, a signal waits.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        asked: Asked = json.loads(sys.stdin.buffer.readline())
        log = Log(Path(asked["log"]))
        outputs = [Output(log, "stdout"), Output(log, "stderr")]
        self._catch_signals()
        _prctl(_SET_CHILD_SUBREAPER, 1)
        self._process = _spawn(asked, *(output.writer for output in outputs))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        for output in outputs:
            os.close(output.writer)
            self._selector.register(output.reader, selectors.EVENT_READ, output)
        self._selector.register(0, selectors.EVENT_READ, "stdin")
        while self._exit_code is None:
            self._turn(None)
        _kill_descendants()
        deadline = time.monotonic() + _DRAIN_SECONDS
        while any(isinstance(k.data, Output) for k in self._keys()):
            if time.monotonic() > deadline:
                break
            self._turn(0.1)
        return self._exit_code

    def _keys(self) -> list[selectors.SelectorKey]:
        return list(self._selector.get_map().values())

    def _turn(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            match key.data:
                case Output():
                    if not key.data.read():
                        self._selector.unregister(key.fd)
                case "stdin":
                    if not os.read(0, _READ_BYTES):
                        self._selector.unregister(key.fd)
                        self._killed = True
                case _:
                    os.read(key.fd, _READ_BYTES)
        self._reap()
        if self._killed and self._exit_code is None:
            _kill_descendants(self._note)

    def _catch_signals(self) -> None:
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, "signals")
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._pass_on)

    def _pass_on(self, number: int, _: object) -> None:
        if self._exit_code is None:
            os.kill(self._process, number)

    def _reap(self) -> None:
        for ended, status in _ended():
            self._note(ended, status)

    def _note(self, ended: int, status: int) -> None:
        if ended == self._process:
            code = os.waitstatus_to_exitcode(status)
            self._exit_code = code if code >= 0 else _SIGNALLED - code


def _spawn(asked: Asked, stdout: int, stderr: int) -> int:
    parent = os.getpid()
    process = os.fork()
    if process:
        return process
    try:
        os.setsid()
        _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() == parent:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            _execute(asked)
    except Exception as e:  # noqa: BLE001 (the log is all there is)
        os.write(2, f"cannot start: {e}\n".encode())
    finally:
        os._exit(_CANNOT_START)


def _execute(asked: Asked) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.umask(0o022)
    os.chdir(asked["directory"])
    os.execve(asked["argv"][0], asked["argv"], asked["environ"])  # noqa: S606


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def _ended() -> list[tuple[int, int]]:
    """Collect the children that have ended."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if child == 0:
            return ended
        ended.append((child, status))


def _kill_descendants(note: Callable[[int, int], None] | None = None) -> None:
    """Kill all processes below this one, until there are none."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (alive := _descendants()) and time.monotonic() < deadline:
        for process in alive:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for child, status in _ended():
            if note is not None:
                note(child, status)
        time.sleep(0.005)


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


if __name__ == "__main__":
    sys.exit(Shim().run())
