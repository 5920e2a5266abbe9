"""What must hold once calm has returned."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.faults.journal import Journal
from tests.faults.players import Player
from tests.faults.strikes import Field

__all__ = ["Invariants"]

_CALM_SECONDS = 180.0
_SETTLED = frozenset({"running", "failed", "terminated", None})
_PROBE_SECONDS = 60.0
_CONNECTIONS = 16
_MORE_FILES = 40
_MORE_MEMORY = 1.3


@dataclass(frozen=True, slots=True)
class _Footprint:
    """What the process of the service uses."""

    threads: int
    files: int
    megabytes: float


class Invariants:
    """Checks a field after each round.

    Parameters
    ----------
    field
        Where was played.
    players
        Who played.
    journal
        Notes what was found.
    """

    def __init__(self, field: Field, players: list[Player], journal: Journal) -> None:
        self._field = field
        self._players = players
        self._journal = journal
        self._base: _Footprint | None = None

    def check(self) -> None:
        """Wait for calm, then check everything."""
        statuses, pods, namespaces = self._await_calm()
        self._check_service()
        self._check_labs(statuses, pods)
        known = {name for name, status in statuses.items() if status is not None}
        orphans = namespaces - known
        self._journal.check("namespace has a lab", not orphans, orphans)
        self._check_footprint()

    # --- Labs ------------------------------------------------------------

    def _await_calm(
        self,
    ) -> tuple[dict[str, str | None], dict[str, list[dict[str, Any]]], set[str]]:
        """Wait until nothing is in progress and both sides agree."""
        deadline = time.monotonic() + _CALM_SECONDS
        while True:
            with ThreadPoolExecutor(8) as threads:
                found = list(threads.map(lambda p: p.status(), self._players))
            statuses = {
                player.name: status
                for player, status in zip(self._players, found, strict=True)
            }
            pods = self._pods()
            running = {name for name, status in statuses.items() if status == "running"}
            namespaces = self._namespaces()
            known = {name for name, status in statuses.items() if status is not None}
            calm = (
                set(statuses.values()) <= _SETTLED
                and running == _running(pods)
                and namespaces <= known
            )
            if calm or time.monotonic() > deadline:
                apart = running ^ _running(pods)
                self._journal.check("all agree on what runs", not apart, apart)
                restless = {n: s for n, s in statuses.items() if s not in _SETTLED}
                self._journal.check("calm returns", not restless, restless)
                return statuses, pods, namespaces
            time.sleep(0.2)

    def _pods(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for pod in self._field.list("pods"):
            user = pod["metadata"]["labels"]["nublado.lsst.io/user"]
            found.setdefault(user, []).append(pod)
        return found

    def _namespaces(self) -> set[str]:
        """Users whose namespace is there and not being deleted."""
        return {
            str(namespace["metadata"]["labels"]["nublado.lsst.io/user"])
            for namespace in self._field.list("namespaces")
            if "deletionTimestamp" not in namespace["metadata"]
        }

    def _check_labs(
        self, statuses: dict[str, str | None], pods: dict[str, list[dict[str, Any]]]
    ) -> None:
        for player in self._players:
            mine, status = pods.get(player.name, []), statuses[player.name]
            count = len(mine)
            self._journal.check(
                "one lab per user", count <= 1, f"{player.name} has {count} pods"
            )
            uid = mine[0]["metadata"]["uid"] if mine else None
            if player.uid is not None and not player.is_excused():
                kept = status == "running" and uid == player.uid
                what = f"{player.name} is {status}, pod {uid} instead of {player.uid}"
                self._journal.check("kept lab still runs", kept, what)
            if status == "running":
                player.uid = uid
                player.node = mine[0]["spec"].get("nodeName") if mine else None
            else:
                player.uid = player.node = None

    # --- The process -----------------------------------------------------

    def _check_service(self) -> None:
        url = self._field.stack.service.url
        for probe in ("healthz", "readyz"):
            answer = requests.get(f"{url}/{probe}", timeout=_PROBE_SECONDS)
            self._journal.check(f"{probe} is fine", answer.ok, answer.text)
        counts = self._field.stack.control.stats()["connections"]["kubernetes"]
        watches = self._field.stack.control.stats()["watches"]["open"]
        # The checks themselves connect too.
        most = _CONNECTIONS + watches + 2
        enough = counts["open"] <= most
        self._journal.check("connections are few", enough, counts)

    def _check_footprint(self) -> None:
        """Compare with what the process used when it was calm first."""
        footprint = _measure(self._field.stack.service.pid)
        base = self._base = self._base or footprint
        threads = base.threads + 2 * len(self._players)
        what = f"{footprint} after {base}"
        self._journal.check("no thread leaks", footprint.threads <= threads, what)
        files = base.files + _MORE_FILES
        self._journal.check("no file leaks", footprint.files <= files, what)
        memory = base.megabytes * _MORE_MEMORY
        self._journal.check("no memory leaks", footprint.megabytes <= memory, what)


def _running(pods: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {
        user
        for user, mine in pods.items()
        for pod in mine
        if pod["status"].get("phase") == "Running"
        and "deletionTimestamp" not in pod["metadata"]
    }


def _measure(master: int) -> _Footprint:
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    pid = int(children[0])
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return _Footprint(
        threads=int(fields["Threads"]),
        files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        megabytes=int(fields["VmRSS"].split()[0]) / 1024,
    )
