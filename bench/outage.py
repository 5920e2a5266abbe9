"""Restart the API server while users spawn labs and others delete theirs.

Run with ``python bench/outage.py --away 2 --forbidden 1``. One user after the
other asks for a lab, others delete theirs, and in the middle of it the API
server goes away, refuses everything for a moment when it is back, and has
forgotten all versions. Printed is how spawns and deletions ended, and how long
they took at most, compared with the same without a restart.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.demonstration import server_sent_events
from nublado.sandbox.stack import Stack

_SETTINGS = {"pull_seconds": 0.05, "pull_rules": {"sciplat/lab": 0.5}}
_SPAWNS = 40
_DELETIONS = 24
_PACE_SECONDS = 0.3
_RESTART_AT = 10
_SECONDS = 300.0


class _Run:
    """One run, with users of its own."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self._name = name
        self._lock = threading.Lock()
        self.ends: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}

    def play(self, restart: Callable[[], None]) -> None:
        """Spawn and delete, with a restart in the middle of it."""
        going = [f"{self._name}-going{number}" for number in range(_DELETIONS)]
        with ThreadPoolExecutor(_SPAWNS + _DELETIONS) as threads:
            list(threads.map(self._spawn, going))
            for number in range(_SPAWNS):
                if number == _RESTART_AT:
                    restart()
                if number >= _RESTART_AT and going:
                    threads.submit(self._timed, "deletion", self._delete, going.pop())
                name = f"{self._name}-coming{number}"
                threads.submit(self._timed, "spawn", self._spawn, name)
                time.sleep(_PACE_SECONDS)

    def report(self) -> None:
        """Print how it went."""
        for what, count in sorted(self.ends.items()):
            print(f"{self._name}: {what}: {count}")
        for what, seconds in sorted(self.slowest.items()):
            print(f"{self._name}: slowest {what}: {seconds:.1f} s")

    def _timed(self, what: str, act: Callable[[str], str], user: str) -> None:
        began = time.monotonic()
        end = act(user)
        took = time.monotonic() - began
        with self._lock:
            self.ends[f"{what} {end}"] += 1
            self.slowest[what] = max(self.slowest.get(what, 0.0), took)

    def _spawn(self, user: str) -> str:
        lab, headers = self._lab(user), _headers(user)
        body = {
            "options": {"image_class": "recommended", "size": "small"},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{user}/"},
        }
        answer = requests.post(
            f"{lab}/create", json=body, headers=headers, timeout=_SECONDS
        )
        if answer.status_code != requests.codes.created:
            return f"answered {answer.status_code}"
        kind = "cut off"
        url = f"{lab}/events"
        with requests.get(url, headers=headers, stream=True, timeout=_SECONDS) as found:
            for kind, data in server_sent_events(found):
                if kind == "error":
                    print(f"{user}: {data['message']}")
        return kind

    def _delete(self, user: str) -> str:
        status = requests.delete(self._lab(user), timeout=_SECONDS).status_code
        return "done" if status == requests.codes.no_content else f"answered {status}"

    def _lab(self, user: str) -> str:
        return f"{self._stack.api_url}/spawner/v1/labs/{user}"


def _headers(user: str) -> dict[str, str]:
    return {"X-Auth-Request-User": user, "X-Auth-Request-Token": f"gt-{user}"}


def main() -> None:
    """Run it without and with a restart of the API server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--away", type=float, default=2.0, help="seconds")
    parser.add_argument("--forbidden", type=float, default=1.0, help="seconds")
    arguments = parser.parse_args()
    how = {"away": arguments.away, "forbidden": arguments.forbidden}
    settings = json.dumps(_SETTINGS)
    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(DEMO_CONFIG, "--settings", settings, log=log) as stack,
    ):
        calm, outage = _Run(stack, "calm"), _Run(stack, "restart")
        calm.play(lambda: None)
        calm.report()
        outage.play(lambda: stack.control("POST", "/restart", how))
        outage.report()


if __name__ == "__main__":
    main()
