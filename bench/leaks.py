"""Spawn and delete labs thousands of times, and look for what is not given back.

Run with ``python bench/leaks.py --cycles 5000``. Printed is what the process of
the service uses after the first 100 cycles and after all of them, each time
with nothing in progress.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.demonstration import server_sent_events
from nublado.sandbox.stack import Stack

_SETTINGS = {
    "pull_seconds": 0.01,
    "service_account_delay": 0.0,
    "init_seconds": 0.0,
    "start_delay": 0.0,
    "termination_delay": 0.0,
    "namespace_delay": 0.0,
}
_WARM_CYCLES = 100
_SECONDS = 60.0
_CALM_SECONDS = 5.0


class _Visitor:
    """A user who spawns a lab, watches, and deletes it, over and over."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._lab = f"{stack.api_url}/spawner/v1/labs/{name}"
        self._session = requests.Session()
        self._session.headers.update(
            {"X-Auth-Request-User": name, "X-Auth-Request-Token": f"gt-{name}"}
        )
        self._body = {
            "options": {"image_class": "recommended", "size": "small"},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{name}/"},
        }

    def cycle(self) -> None:
        """Spawn, watch and delete once."""
        session, lab = self._session, self._lab
        created = session.post(f"{lab}/create", json=self._body, timeout=_SECONDS)
        created.raise_for_status()
        with session.get(f"{lab}/events", stream=True, timeout=_SECONDS) as events:
            told = list(server_sent_events(events))
        if told[-1][0] != "complete":
            raise RuntimeError(f"{lab}: {told}")
        session.get(lab, timeout=_SECONDS).raise_for_status()
        session.delete(lab, timeout=_SECONDS).raise_for_status()

    def cycles(self, number: int) -> None:
        """Do so many times, and close the connection."""
        for _ in range(number):
            self.cycle()
        self._session.close()


def _run(stack: Stack, visitors: int, cycles: int) -> float:
    """Run cycles; returns how many of them there were in a second."""
    began = time.monotonic()
    with ThreadPoolExecutor(visitors) as pool:
        each = [cycles // visitors + (n < cycles % visitors) for n in range(visitors)]
        list(
            pool.map(
                lambda n: _Visitor(stack, f"user{n}").cycles(each[n]), range(visitors)
            )
        )
    return cycles / (time.monotonic() - began)


def _footprint(stack: Stack) -> str:
    time.sleep(_CALM_SECONDS)
    master = stack.service.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    process = Path(f"/proc/{children[0]}")
    lines = (process / "status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    megabytes = int(fields["VmRSS"].split()[0]) / 1024
    files = [str(link.readlink()) for link in (process / "fd").iterdir()]
    sockets = sum(name.startswith("socket:") for name in files)
    connections = stack.control.stats()["connections"]["kubernetes"]["open"]
    return (
        f"{megabytes:.1f} MB, {int(fields['Threads'])} threads, "
        f"{len(files)} open files, {sockets} of them sockets, "
        f"{connections} connections to the API server"
    )


def main() -> None:
    """Measure after the first cycles, and after all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=5000)
    parser.add_argument("--visitors", type=int, default=10)
    arguments = parser.parse_args()
    settings = json.dumps(_SETTINGS)
    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(DEMO_CONFIG, "--settings", settings, log=log) as stack,
    ):
        done = 0
        steps = [_WARM_CYCLES, arguments.cycles // 2, arguments.cycles]
        for goal in steps:
            rate = _run(stack, arguments.visitors, goal - done)
            done = goal
            print(
                f"after {done:5d} cycles ({rate:.0f}/s): {_footprint(stack)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
