"""Kill the service in the middle of spawns and of deletions, again and again.

Run with ``python bench/kill.py --rounds 50``. Each round, some users ask for
labs, and the service is killed (SIGKILL) at a random moment after that; once
all labs have come to an end, they are deleted, and it is killed in the middle
of that too. Printed is how long the next process takes until it is ready, and
how each lab ended. With ``--after 0.3 0.8``, only spawns are killed, at these
times.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.stack import Stack

_SETTINGS = {
    "pull_rules": {"sciplat/lab": 1.5},
    "pull_seconds": 0.05,
    "termination_delay": 0.3,
    "namespace_delay": 0.3,
}
_SECONDS = 30.0
_SPAWN_SECONDS = 0.6
_DELETE_SECONDS = 1.0


class _Round:
    """One round, with users of its own."""

    def __init__(self, stack: Stack, name: str, users: int) -> None:
        self._stack = stack
        self._users = [f"round{name}-user{i}" for i in range(users)]

    def spawns(self, delay: float) -> tuple[float, Counter[str]]:
        """Kill spawns; returns seconds until ready and how labs ended."""
        with ThreadPoolExecutor(len(self._users)) as pool:
            list(pool.map(self._create, self._users))
        time.sleep(delay)
        self._stack.service.kill()
        recorded = self._objects("configmaps")
        ready = self._restart()
        ends = self._settle(lambda ends: set(ends.values()) <= {"running", "gone"})
        counts = self._count(ends)
        counts["lost"] = sum(
            ends[user] != "running"
            for user in self._users
            if f"{user}-nb-env" in recorded
        )
        return ready, counts

    def deletions(self, delay: float) -> tuple[float, Counter[str]]:
        """Kill deletions; returns the same."""
        before = self._pods()
        threads = [
            threading.Thread(target=self._delete, args=(user,)) for user in self._users
        ]
        for thread in threads:
            thread.start()
        time.sleep(delay)
        self._stack.service.kill()
        for thread in threads:
            thread.join()
        ready = self._restart()
        ends = self._settle(lambda ends: set(ends.values()) <= {"running", "gone"})
        counts = self._count(ends)
        after = self._pods()
        counts["replaced"] = sum(before.get(name) != uid for name, uid in after.items())
        with ThreadPoolExecutor(len(self._users)) as pool:
            list(pool.map(self._delete, self._users))
        left = self._settle(lambda ends: set(ends.values()) == {"gone"})
        counts["undeletable"] = sum(end != "gone" for end in left.values())
        return ready, counts

    # --- Parts -----------------------------------------------------------

    def _url(self, user: str) -> str:
        return f"{self._stack.api_url}/spawner/v1/labs/{user}"

    def _create(self, user: str) -> None:
        body = {
            "options": {"image_class": "recommended", "size": "small"},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{user}/"},
        }
        headers = {"X-Auth-Request-User": user, "X-Auth-Request-Token": f"gt-{user}"}
        url = f"{self._url(user)}/create"
        requests.post(url, json=body, headers=headers, timeout=_SECONDS)

    def _delete(self, user: str) -> None:
        try:
            requests.delete(self._url(user), timeout=_SECONDS)
        except requests.ConnectionError:
            # Killed meanwhile, as it was meant to be.
            return

    def _status(self, user: str) -> str:
        answer = requests.get(self._url(user), timeout=_SECONDS)
        return str(answer.json()["status"]) if answer.ok else "gone"

    def _restart(self) -> float:
        began = time.monotonic()
        self._stack.start_service()
        self._stack.service.wait_ready()
        return time.monotonic() - began

    def _settle(self, settled: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        deadline = time.monotonic() + _SECONDS
        while True:
            ends = {user: self._status(user) for user in self._users}
            if settled(ends) or time.monotonic() > deadline:
                return ends
            time.sleep(0.1)

    def _count(self, ends: dict[str, str]) -> Counter[str]:
        counts = Counter(ends.values())
        counts["stuck"] = sum(end not in ("running", "gone") for end in ends.values())
        prefix = self._stack.config.lab.namespace_prefix
        # Kubernetes itself goes on with a deletion that has begun.
        spaces = {
            space["metadata"]["name"]
            for space in self._list("namespaces")
            if "deletionTimestamp" not in space["metadata"]
        }
        counts["orphans"] = sum(
            end == "gone" and f"{prefix}-{user}" in spaces for user, end in ends.items()
        )
        return counts

    def _pods(self) -> dict[str, str]:
        found = self._list("pods")
        return {obj["metadata"]["name"]: obj["metadata"]["uid"] for obj in found}

    def _objects(self, path: str) -> set[str]:
        return {obj["metadata"]["name"] for obj in self._list(path)}

    def _list(self, path: str) -> list[dict[str, dict[str, str]]]:
        query = {"labelSelector": "nublado.lsst.io/category=lab"}
        url = f"{self._stack.endpoints.kubernetes}/api/v1/{path}"
        answer = requests.get(url, params=query, timeout=_SECONDS)
        found: list[dict[str, dict[str, str]]] = answer.json()["items"]
        return found


def main() -> None:
    """Run the rounds and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long the API server takes for each request at least",
    )
    parser.add_argument(
        "--after",
        type=float,
        nargs="+",
        default=[],
        metavar="SECONDS",
        help="kill spawns so long after the last of them was accepted",
    )
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    totals = {"spawns": Counter[str](), "deletions": Counter[str]()}
    times: list[float] = []
    settings = json.dumps(_SETTINGS)

    def report(what: str, delay: float, ready: float, counts: Counter[str]) -> None:
        times.append(ready)
        totals[what].update(counts)
        ends = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()) if n)
        print(
            f"{what} killed after {delay:.2f} s: ready in {ready:.2f} s; {ends}",
            flush=True,
        )

    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(DEMO_CONFIG, "--settings", settings, log=log) as stack,
    ):
        if arguments.latency:
            stack.control.faults({"path": "^/api", "delay": arguments.latency})
        for number in range(arguments.rounds):
            for delay in arguments.after:
                current = _Round(
                    stack, f"{number}-{delay}".replace(".", "-"), arguments.users
                )
                report("spawns", delay, *current.spawns(delay))
            if arguments.after:
                continue
            current = _Round(stack, str(number), arguments.users)
            delay = chance.uniform(0.0, _SPAWN_SECONDS)
            report("spawns", delay, *current.spawns(delay))
            delay = chance.uniform(0.0, _DELETE_SECONDS)
            report("deletions", delay, *current.deletions(delay))
    median = sorted(times)[len(times) // 2]
    print(
        f"{len(times)} kills: ready after {min(times):.2f} s at best, "
        f"{median:.2f} s in the middle, {max(times):.2f} s at worst"
    )
    for what, total in totals.items():
        print(f"labs after killed {what}: {dict(total)}")


if __name__ == "__main__":
    main()
