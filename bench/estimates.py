"""How long a lab is said to take, and how long it took.

Run with ``python bench/estimates.py --spawns 50``. Several users at a time ask for
labs of a few images and sizes, some of which have to be fetched. What their page says
is read twice: at once, and when the lab has a machine. How fast the cluster is
changes all the time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import unescape

import requests

from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.demonstration import server_sent_events
from nublado.sandbox.stack import Stack

_SECONDS = 120.0
_USERS = 5
_PAUSE = 0.5
_TAGS = ("recommended", "d_2026_11_09", "d_2026_11_08", "w_2026_44")
_SIZES = ("small", "medium")
_PULL_SECONDS = {"d_2026_11_09": 8.0, "d_2026_11_08": 5.0, "w_2026_44": 12.0}
_SPREAD = (0.7, 1.5)
_SPEEDS = {"init_seconds": 2.0, "start_delay": 0.8, "scheduling_delay": 0.4}
_USUAL = re.compile(r'id="usual">([^<]*)<')
_LATE = re.compile(r'data-late="([0-9.]+)"')
_SPAN = r"(?:[0-9]+ min)? ?(?:[0-9]+ s)?"
_TIME = re.compile(rf"in about ({_SPAN})[.,;]")
_EITHER = re.compile(rf", or ({_SPAN}) if the image")
_FETCH = re.compile(rf"which (?:took|takes about) ({_SPAN}) (?:last time|more)")


@dataclass(frozen=True, slots=True)
class Said:
    """What a page says: seconds until ready, and from when on it is late.

    There are two numbers where the image may or may not have to be fetched.
    """

    seconds: tuple[float, ...]
    late: float

    def error(self, seconds: float) -> float:
        """How far the closest is from how long it took."""
        return min(abs(said - seconds) for said in self.seconds)


@dataclass
class Measured:
    """One spawn; what was said is None where nothing was."""

    at_once: Said | None
    with_machine: Said | None
    seconds: float


@dataclass
class Measurements:
    """All spawns."""

    spawns: list[Measured] = field(default_factory=list)

    def print(self) -> None:
        """Print what was said against what happened."""
        print(f"{len(self.spawns)} spawns, of {_span(self.seconds())}")
        for name in ("at_once", "with_machine"):
            self._print_errors(name)

    def seconds(self) -> list[float]:
        """How long they took."""
        return [spawn.seconds for spawn in self.spawns]

    def _print_errors(self, name: str) -> None:
        told = [
            (said, spawn.seconds)
            for spawn in self.spawns
            if (said := getattr(spawn, name)) is not None
        ]
        errors = [said.error(seconds) for said, seconds in told]
        shares = [
            error / seconds for error, (_, seconds) in zip(errors, told, strict=True)
        ]
        late = sum(seconds > said.late for said, seconds in told)
        double = sum(len(said.seconds) > 1 for said, _ in told)
        print(f"{name}: {len(told)} said something, {double} of them two numbers")
        if told:
            print(f"  error {_span(errors)}")
            print(f"  share median {_at(shares, 0.5):.0%}, p90 {_at(shares, 0.9):.0%}")
            print(f"  {late} were much longer than usual")


def _span(values: list[float]) -> str:
    return f"median {_at(values, 0.5):.1f} s, p90 {_at(values, 0.9):.1f} s"


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class User:
    """Somebody who wants labs, and reads the page."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._lab = f"{stack.ingress_url}/spawner/v1/labs/{name}"
        self._name = name
        self._as_user = {"Authorization": f"bearer gt-{name}"}
        self._as_hub = {"Authorization": "bearer gt-hub"}

    def spawn(self, tag: str, size: str) -> Measured:
        """Start a lab, watch it, and delete it."""
        body = {
            "options": {"image_tag": tag, "size": size},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{self._name}/"},
        }
        began = time.monotonic()
        answer = requests.post(
            f"{self._lab}/create", json=body, headers=self._as_user, timeout=_SECONDS
        )
        answer.raise_for_status()
        at_once, with_machine = self._read(), None
        for message in self._events():
            if "assigned" in message:
                with_machine = self._read()
        seconds = time.monotonic() - began
        requests.delete(self._lab, headers=self._as_hub, timeout=_SECONDS)
        return Measured(at_once, with_machine, seconds)

    def _events(self) -> Iterator[str]:
        response = requests.get(
            f"{self._lab}/events", headers=self._as_user, stream=True, timeout=_SECONDS
        )
        response.raise_for_status()
        for _, data in server_sent_events(response):
            yield data["message"]

    def _read(self) -> Said | None:
        page = requests.get(
            f"{self._lab}/progress", headers=self._as_user, timeout=_SECONDS
        ).text
        usual, late = _USUAL.search(page), _LATE.search(page)
        found = _TIME.search(unescape(usual[1])) if usual else None
        if usual is None or late is None or found is None:
            return None
        text, base = unescape(usual[1]), _seconds(found[1])
        fetch, either = _FETCH.search(text), _EITHER.search(text)
        if either is not None:
            return Said((base, _seconds(either[1])), float(late[1]))
        more = _seconds(fetch[1]) if fetch else 0.0
        return Said((base + more,), float(late[1]))


def _seconds(text: str) -> float:
    minutes, seconds = re.search(r"(\d+) min", text), re.search(r"(\d+) s", text)
    return 60.0 * (int(minutes[1]) if minutes else 0) + (
        int(seconds[1]) if seconds else 0
    )


def _vary(stack: Stack, chance: random.Random, stop: threading.Event) -> None:
    """Let the cluster be faster and slower."""
    while not stop.wait(_PAUSE):
        speeds = {
            name: mean * chance.uniform(*_SPREAD) for name, mean in _SPEEDS.items()
        }
        pulls = {
            tag: mean * chance.uniform(*_SPREAD) for tag, mean in _PULL_SECONDS.items()
        }
        stack.control.settings(**speeds, pull_rules=pulls)


def run(spawns: int, seed: int) -> Measurements:
    """Spawn so many labs; the seed decides which."""
    chance, measured, stop = random.Random(seed), Measurements(), threading.Event()
    wishes = [(chance.choice(_TAGS), chance.choice(_SIZES)) for _ in range(spawns)]
    lock = threading.Lock()
    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(DEMO_CONFIG, "--settings", json.dumps(_SPEEDS), log=log) as stack,
    ):
        varying = threading.Thread(target=_vary, args=(stack, chance, stop))
        varying.start()

        def work(number: int) -> None:
            user = User(stack, f"user{number}")
            while True:
                with lock:
                    if not wishes:
                        return
                    tag, size = wishes.pop()
                found = user.spawn(tag, size)
                with lock:
                    measured.spawns.append(found)

        try:
            with ThreadPoolExecutor(_USERS) as users:
                list(users.map(work, range(_USERS)))
        finally:
            stop.set()
            varying.join()
    return measured


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spawns", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    run(arguments.spawns, arguments.seed).print()


if __name__ == "__main__":
    main()
