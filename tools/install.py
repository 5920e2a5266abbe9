"""Install what the project needs, and say how far that is.

Runs before anything is installed, so it uses the standard library alone::

    python -m tools.install lock .venv requirements/dev.txt
    python -m tools.install project .venv
    python -m tools.install browser

A lock names everything there is to install. Nothing is resolved, because a
resolver may find releases that are newer than the lock.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

__all__ = ["InstallationError", "main", "run"]

_SILENCE_SECONDS = 15.0
_PACKAGES_PER_LINE = 20
_LINES_OF_FAILURE = 30
_BROWSER = ("chromium", "chromedriver")
_BROWSER_PACKAGES = ("chromium", "chromium-driver")


class InstallationError(Exception):
    """Something could not be installed."""


def run(
    command: Sequence[str],
    *,
    note: Callable[[str], None] = lambda _: None,
    environ: Mapping[str, str] | None = None,
    silence: float = _SILENCE_SECONDS,
) -> None:
    """Run a command and keep what it writes to itself, unless it fails.

    Parameters
    ----------
    command
        Program and arguments.
    note
        Is called with every line that it writes.
    environ
        Environment in addition to that of this process.
    silence
        After how many seconds, and then again, to say that it still runs.

    Raises
    ------
    InstallationError
        Raised if it fails; ends with what it wrote last.
    """
    began = time.monotonic()
    lines: SimpleQueue[str | None] = SimpleQueue()
    written: list[str] = []
    with subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environ or {})},
    ) as process:
        assert process.stdout is not None  # noqa: S101
        Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        quiet_since = began
        while True:
            try:
                line = lines.get(timeout=max(0.0, quiet_since + silence - _now()))
            except Empty:
                quiet_since = _now()
                _say(f"  still at it after {quiet_since - began:.0f} s")
                continue
            if line is None:
                break
            written.append(line)
            note(line)
    if process.returncode != 0:
        end = "".join(written[-_LINES_OF_FAILURE:]).rstrip()
        raise InstallationError(
            f"{' '.join(command)} has failed with {process.returncode}:\n{end}"
        )


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    actions: dict[str, Callable[..., None]] = {
        "lock": _lock,
        "project": _project,
        "browser": _browser,
    }
    name, *values = arguments or [""]
    if name not in actions:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        actions[name](*values)
    except (InstallationError, OSError) as e:
        print(f"Installation failed: {e}", file=sys.stderr)
        return 1
    return 0


def _lock(directory: str, lock: str) -> None:
    """Make a virtual environment with what a lock pins, and nothing else."""
    count = len(
        re.findall(r"^[\w.-]+(\[.*\])?==", Path(lock).read_text(), re.MULTILINE)
    )
    _say(f"Creating {directory} with Python {platform.python_version()}")
    venv.create(directory, clear=True, symlinks=os.name != "nt")
    run([_python(directory), "-m", "ensurepip", "--upgrade", "--default-pip"])
    _say(f"Installing {count} packages of {lock}")
    collected = 0

    def note(line: str) -> None:
        nonlocal collected
        if line.startswith(("Collecting ", "Processing ")):
            collected += 1
            if collected % _PACKAGES_PER_LINE == 0:
                _say(f"  fetched {collected} of {count}")
        elif line.startswith("Installing collected packages"):
            _say(f"  fetched {collected}, unpacking")

    _pip(directory, "install", "--no-deps", "--require-hashes", "-r", lock, note=note)
    _pip(directory, "check")


def _project(directory: str) -> None:
    """Add the project itself, to be edited in place."""
    _say(f"Installing the project into {directory}")
    _pip(directory, "install", "--no-deps", "--no-build-isolation", "--editable", ".")
    _pip(directory, "check")


def _browser() -> None:
    """Provide Chromium for the tests of pages, where that is possible."""
    if all(shutil.which(program) for program in _BROWSER):
        return
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        environ = {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            _say("Installing Chromium for the tests of pages")
            run(["apt-get", "update"], environ=environ)
            command = ["apt-get", "install", "--yes", "--no-install-recommends"]
            run([*command, *_BROWSER_PACKAGES], environ=environ)
        except InstallationError as e:
            _say(str(e))
        else:
            return
    _say(
        "Tests of pages will be skipped: they need chromium and chromedriver"
        " (Debian: apt-get install chromium chromium-driver)."
    )


def _pip(
    directory: str, *arguments: str, note: Callable[[str], None] = lambda _: None
) -> None:
    environ = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    run([_python(directory), "-m", "pip", *arguments], note=note, environ=environ)


def _python(directory: str) -> str:
    return str(Path(directory) / "bin" / "python")


def _read(stream, lines: SimpleQueue[str | None]) -> None:  # type: ignore[no-untyped-def]
    for line in stream:
        lines.put(line)
    lines.put(None)


def _now() -> float:
    return time.monotonic()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
