"""Many users spawn at once: latencies, errors, events, load on Kubernetes.

Run with ``python bench/storm.py --users 500``. Everything is asked through the
ingress, as users do: a create, an event stream until its end, and the state of
the lab every few seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import requests

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.stack import Stack

_SECONDS = 300.0
_POLL_SECONDS = 5.0


@dataclass
class Measured:
    """What was seen, over all users."""

    creates: list[float] = field(default_factory=list)
    first_events: list[float] = field(default_factory=list)
    spawns: list[float] = field(default_factory=list)
    states: list[float] = field(default_factory=list)
    deletes: list[float] = field(default_factory=list)
    events: Counter[int] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)


class User:
    """One user: wants a lab, watches, and deletes it in the end."""

    def __init__(
        self, name: str, base: str, session: aiohttp.ClientSession, measured: Measured
    ) -> None:
        self._lab = f"{base}/spawner/v1/labs/{name}"
        self._name = name
        self._session = session
        self._measured = measured
        self._as_user = {"Authorization": f"bearer gt-{name}"}
        self._as_hub = {"Authorization": "bearer gt-hub"}

    async def spawn(self) -> None:
        """Create the lab and follow it to its end."""
        body = {
            "options": {"image_class": "recommended", "size": "small"},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{self._name}/"},
        }
        began = time.monotonic()
        async with self._session.post(
            f"{self._lab}/create", json=body, headers=self._as_user
        ) as answer:
            self._measured.answers[f"create {answer.status}"] += 1
            await answer.read()
        self._measured.creates.append(time.monotonic() - began)
        polling = asyncio.create_task(self._poll())
        try:
            await self._follow(began)
        finally:
            polling.cancel()

    async def delete(self) -> None:
        """Delete the lab."""
        began = time.monotonic()
        async with self._session.delete(self._lab, headers=self._as_hub) as answer:
            self._measured.answers[f"delete {answer.status}"] += 1
        self._measured.deletes.append(time.monotonic() - began)

    async def _follow(self, began: float) -> None:
        seen, kind = 0, "none"
        async with self._session.get(
            f"{self._lab}/events", headers=self._as_user
        ) as stream:
            self._measured.answers[f"events {stream.status}"] += 1
            async for line in stream.content:
                if not line.startswith(b"event: "):
                    continue
                if not seen:
                    self._measured.first_events.append(time.monotonic() - began)
                seen += 1
                kind = line.split()[1].decode()
        self._measured.events[seen] += 1
        self._measured.ends[kind] += 1
        self._measured.spawns.append(time.monotonic() - began)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            began = time.monotonic()
            async with self._session.get(self._lab, headers=self._as_hub) as answer:
                self._measured.answers[f"state {answer.status}"] += 1
                await answer.read()
            self._measured.states.append(time.monotonic() - began)


async def _storm(base: str, users: int, measured: Measured) -> None:
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        crowd = [User(f"user{i}", base, session, measured) for i in range(users)]
        await asyncio.gather(*(user.spawn() for user in crowd))


def _percentiles(name: str, seconds: list[float]) -> str:
    if not seconds:
        return f"{name:28} none"
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    shown = "  ".join(
        f"{label} {value:6.3f}"
        for label, value in (
            ("p50", at(0.5)),
            ("p95", at(0.95)),
            ("p99", at(0.99)),
            ("max", ordered[-1]),
        )
    )
    return f"{name:28} {shown}  (n={len(ordered)})"


def _status_cost(stack: Stack, users: int) -> int:
    """Requests to Kubernetes that a thousand status queries cause."""
    stack.control("POST", "/stats/reset")
    with requests.Session() as session:
        for i in range(1000):
            session.get(f"{stack.api_url}/spawner/v1/labs/user{i % users}", timeout=10)
    return _kubernetes_requests(stack.control.stats())


def _kubernetes_requests(stats: JSON) -> int:
    counts = stats["requests"]
    return sum(c["count"] for c in counts if c["target"] == "kubernetes")


def main() -> None:
    """Run the storm and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=500)
    arguments = parser.parse_args()
    measured = Measured()
    with tempfile.TemporaryFile("w+") as log, Stack(DEMO_CONFIG, log=log) as stack:
        stack.control("POST", "/stats/reset")
        began = time.monotonic()
        asyncio.run(_storm(stack.ingress_url, arguments.users, measured))
        spawned = time.monotonic() - began
        stats = stack.control.stats()
        status_cost = _status_cost(stack, arguments.users)
        asyncio.run(_delete(stack.ingress_url, arguments.users, measured))
    total = _kubernetes_requests(stats)
    print(f"users                        {arguments.users}")
    print(f"all spawned after            {spawned:.1f} s")
    print(_percentiles("create (s)", measured.creates))
    print(_percentiles("first event (s)", measured.first_events))
    print(_percentiles("spawn (s)", measured.spawns))
    print(_percentiles("state (s)", measured.states))
    print(_percentiles("delete (s)", measured.deletes))
    print(f"streams ended with           {json.dumps(dict(measured.ends))}")
    events = dict(sorted(measured.events.items()))
    print(f"events seen: users           {json.dumps(events)}")
    print(f"answers                      {json.dumps(dict(measured.answers))}")
    print(
        f"requests to Kubernetes       {total} ({total / arguments.users:.1f} a user)"
    )
    print(f"requests for 1,000 states    {status_cost}")
    connections = stats["connections"]["kubernetes"]["peak"]
    print(f"connections to Kubernetes    {connections} at most")
    print(f"watches                      {stats['watches']['peak']} at most")


async def _delete(base: str, users: int, measured: Measured) -> None:
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        crowd = [User(f"user{i}", base, session, measured) for i in range(users)]
        await asyncio.gather(*(user.delete() for user in crowd))


if __name__ == "__main__":
    main()
