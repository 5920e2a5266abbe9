"""What a refresh of images costs: time, requests, memory.

Run as ``python bench/refresh.py --tags 3000 --refreshes 50``; ``--mode gcr`` has
the registry describe all manifests in its list.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from pathlib import Path

from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.registry_modes import MODES
from nublado.sandbox.stack import Stack

_LINE = re.compile(r"Refreshed images.*images=(\d+).*seconds=([0-9.]+)")
_LONGEST_REFRESH = 60.0


def main() -> None:
    """Refresh and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=3000)
    parser.add_argument("--refreshes", type=int, default=50)
    parser.add_argument("--mode", choices=sorted(MODES), default="plain")
    options = parser.parse_args()
    environ = {"NUBLADO_REFRESH_INTERVAL": "1"}
    with (
        tempfile.NamedTemporaryFile("w+", suffix=".log") as log,
        Stack(
            DEMO_CONFIG, "--tags", str(options.tags), environ=environ, log=log.file
        ) as stack,
    ):
        path = Path(log.name)
        _wait_for(path, 1)
        _report("first", stack, path, 1)
        # What is prepulled at first is no part of the comparison.
        _wait_for(path, 10)
        before = _memory(stack)
        stack.control("PATCH", "/registry", {"mode": options.mode, "public": True})
        stack.control("POST", "/stats/reset")
        done = len(_refreshes(path))
        _wait_for(path, done + options.refreshes)
        _report("unchanged", stack, path, options.refreshes)
        after = _memory(stack)
        print(
            f"memory: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after"
            f" {options.refreshes} refreshes ({after / before:.2f} times),"
            f" {_peak_memory(stack) / 1e6:.1f} MB at most"
        )


def _report(name: str, stack: Stack, log: Path, newest: int) -> None:
    refreshes = _refreshes(log)[-newest:]
    counted = [
        entry
        for entry in stack.control("GET", "/stats")["requests"]
        if entry["target"] == "registry"
    ]
    requests = ", ".join(
        f"{entry['count'] / newest:.1f} {entry['method']} {entry['route']}"
        for entry in counted
    )
    seconds = [seconds for _, seconds in refreshes]
    print(
        f"{name}: {refreshes[-1][0]} images, median"
        f" {statistics.median(seconds) * 1000:.0f} ms, longest"
        f" {max(seconds) * 1000:.0f} ms; each {requests}"
    )


def _refreshes(log: Path) -> list[tuple[int, float]]:
    """How many images each refresh has found, and how long it took (seconds)."""
    return [
        (int(match[1]), float(match[2])) for match in _LINE.finditer(log.read_text())
    ]


def _wait_for(log: Path, number: int) -> None:
    deadline = time.monotonic() + number * 2 + _LONGEST_REFRESH
    while len(_refreshes(log)) < number:
        if time.monotonic() > deadline:
            raise SystemExit("The service does not refresh")
        time.sleep(0.2)


def _memory(stack: Stack) -> int:
    """Resident memory of gunicorn's worker (bytes)."""
    return int((_worker(stack) / "statm").read_text().split()[1]) * 4096


def _peak_memory(stack: Stack) -> int:
    """The most memory that gunicorn's worker ever had (bytes)."""
    status = (_worker(stack) / "status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _worker(stack: Stack) -> Path:
    master = stack.service.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return Path(f"/proc/{children[0]}")


if __name__ == "__main__":
    main()
