"""Faults by name: what each does to the cluster or the service.

A strike has a beginning and an end. Gentle ones must not keep any spawn from
its good end; rough ones may.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import requests

from nublado.sandbox.stack import Stack
from tests.faults.journal import Journal

__all__ = ["GENTLE", "ROUGH", "UNKIND", "UNKIND_TO_LABS", "Field", "Strike"]

_API = "^/api"
_STOP_SECONDS = 25.0
_HTTP_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_FORBIDDEN_SECONDS = 1.0
_EVICTION_SECONDS = 0.5


class Field:
    """The stack under fire: faults in effect, and whom they have hit.

    Parameters
    ----------
    stack
        Sandbox and service.
    journal
        Counts what strikes.

    Attributes
    ----------
    kills
        Grows whenever the service is killed.
    hit
        Users whose pod was taken from them.
    lost_nodes
        Nodes that have been lost with their pods.
    """

    def __init__(self, stack: Stack, journal: Journal) -> None:
        self.stack = stack
        self.journal = journal
        self.kills = 0
        self.hit: set[str] = set()
        self.lost_nodes: set[str] = set()
        self._rules: list[dict[str, Any]] = []
        self._watch: dict[str, Any] = {}
        self._failing: list[str] = []
        self._lock = threading.Lock()
        self._service_lock = threading.Lock()
        self._outage_lock = threading.Lock()
        self._versions_lock = threading.Lock()

    # --- Faults on the wire ----------------------------------------------

    @contextmanager
    def rule(self, **rule: Any) -> Iterator[None]:
        """Let a rule for requests be in effect."""
        with self._lock:
            self._rules.append(rule)
            self._publish()
        try:
            yield
        finally:
            with self._lock:
                self._rules.remove(rule)
                self._publish()

    @contextmanager
    def watches(self, **faults: Any) -> Iterator[None]:
        """Let faults of watches be in effect."""
        with self._lock:
            self._watch |= faults
            self._publish()
        try:
            yield
        finally:
            with self._lock:
                for name in faults:
                    self._watch.pop(name, None)
                self._publish()

    def _publish(self) -> None:
        self.stack.control.faults(*self._rules, **self._watch)

    # --- The service -----------------------------------------------------

    def restart(self, away: float, *, kill: bool) -> None:
        """Take the service away for so many seconds, by force or politely."""
        with self._service_lock:
            if kill:
                self.kills += 1
                self.stack.service.kill()
                # Whoever began meanwhile has to see it too.
                self.kills += 1
            else:
                began = time.monotonic()
                self.stack.service.stop()
                took = time.monotonic() - began
                self.journal.check("stops in time", took < _STOP_SECONDS, f"{took} s")
            time.sleep(away)
            began = time.monotonic()
            self.stack.start_service()
            self.stack.service.wait_ready()
            self.journal.ready_seconds.append(time.monotonic() - began)

    # --- The cluster -----------------------------------------------------

    def list(self, path: str) -> list[dict[str, Any]]:
        """List objects of labs, whatever faults are in effect."""
        url = f"{self.stack.endpoints.kubernetes}/api/v1/{path}"
        query = {"labelSelector": "nublado.lsst.io/category=lab"}
        while True:
            try:
                answer = requests.get(url, params=query, timeout=_HTTP_SECONDS)
            except requests.RequestException:
                continue
            if answer.status_code == requests.codes.ok:
                items: list[dict[str, Any]] = answer.json()["items"]
                return items

    def take_pod(self, action: str, chance: random.Random) -> bool:
        """End the pod of some lab, as a node does; False if there is none."""
        pods = [p["metadata"] for p in self.list("pods")]
        if not pods:
            return False
        pod = chance.choice(sorted(pods, key=lambda metadata: metadata["name"]))
        self.hit.add(pod["labels"]["nublado.lsst.io/user"])
        try:
            body = {"exit_code": 1} if action == "finish" else None
            path = f"/pods/{pod['namespace']}/{pod['name']}/{action}"
            self.stack.control("POST", path, body)
        except requests.HTTPError:
            return False
        return True

    def lose_node(self, chance: random.Random) -> None:
        """Lose a node that has pods, and get another for it."""
        nodes = {p["spec"].get("nodeName") for p in self.list("pods")} - {None}
        if nodes:
            node = chance.choice(sorted(nodes))
            self.lost_nodes.add(node)
            self.stack.control("POST", "/nodes", {})
            self.stack.control("DELETE", f"/nodes/{node}")

    def restart_api_server(self, away: float, *, restore: bool = False) -> None:
        """Restart the API server, perhaps with a backup; wait until it is back.

        Outages of it do not overlap.
        """
        with self._outage_lock:
            if restore:
                self.stack.control("POST", "/backup")
            path = "/restore" if restore else "/restart"
            self.stack.control("POST", path, {"away": away})
            while self.stack.control("GET", "/restart")["away"]:
                time.sleep(_LOOK_SECONDS)
            time.sleep(_FORBIDDEN_SECONDS)

    @contextmanager
    def refused_versions(self, answer: str, form: str) -> Iterator[None]:
        """Let the API server refuse all versions that the service knows."""
        with self._versions_lock:
            how = {"answer": answer, "form": form}
            self.stack.control("PUT", "/versions/refused", how)
            try:
                yield
            finally:
                self.stack.control("DELETE", "/versions/refused")

    @contextmanager
    def silent_node(self, chance: random.Random) -> Iterator[None]:
        """Let a node that has pods be silent; its pods are lost to it."""
        pods = [p for p in self.list("pods") if p["spec"].get("nodeName")]
        if not pods:
            yield
            return
        node = chance.choice(sorted({p["spec"]["nodeName"] for p in pods}))
        self.lost_nodes.add(node)
        self.stack.control.settings(eviction_seconds=_EVICTION_SECONDS)
        # It may be lost for good meanwhile.
        with suppress(requests.HTTPError):
            self.stack.control("POST", f"/nodes/{node}/silence")
        try:
            yield
        finally:
            with suppress(requests.HTTPError):
                self.stack.control("POST", f"/nodes/{node}/wake")

    @contextmanager
    def failing_pulls(self) -> Iterator[None]:
        """Let no image of labs be pulled."""
        self.stack.control.settings(failing_pulls=["sciplat/lab"])
        try:
            yield
        finally:
            self.stack.control.settings(failing_pulls=[])


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that can be chosen.

    Parameters
    ----------
    name
        What it is called in the summary.
    run
        Lets it strike; called with the field, dice, and for how many seconds.
    weight
        How often it is drawn, compared with others.
    """

    name: str
    run: Callable[[Field, random.Random, float], None]
    weight: int = 1


def _rule(**rule: Any) -> Callable[[Field, random.Random, float], None]:
    def run(field: Field, _: random.Random, seconds: float) -> None:
        with field.rule(**rule):
            time.sleep(seconds)

    return run


def _watches(**faults: Any) -> Callable[[Field, random.Random, float], None]:
    def run(field: Field, _: random.Random, seconds: float) -> None:
        with field.watches(**faults):
            field.stack.control("POST", "/watches/drop")
            time.sleep(seconds)

    return run


def _control(path: str) -> Callable[[Field, random.Random, float], None]:
    def run(field: Field, _: random.Random, __: float) -> None:
        field.stack.control("POST", path)

    return run


def _kill(field: Field, chance: random.Random, _: float) -> None:
    field.restart(chance.uniform(0.0, 1.0), kill=True)


def _terminate(field: Field, chance: random.Random, _: float) -> None:
    field.restart(chance.uniform(0.0, 1.0), kill=False)


def _evict(field: Field, chance: random.Random, _: float) -> None:
    field.take_pod("evict", chance)


def _finish(field: Field, chance: random.Random, _: float) -> None:
    field.take_pod("finish", chance)


def _lose_node(field: Field, chance: random.Random, _: float) -> None:
    field.lose_node(chance)


def _failing_pulls(field: Field, _: random.Random, seconds: float) -> None:
    with field.failing_pulls():
        time.sleep(seconds)


def _restart_api_server(field: Field, chance: random.Random, _: float) -> None:
    field.restart_api_server(chance.uniform(0.2, 3.0))


def _restore_api_server(field: Field, chance: random.Random, _: float) -> None:
    field.restart_api_server(chance.uniform(0.0, 0.5), restore=True)


def _refused_versions(field: Field, chance: random.Random, seconds: float) -> None:
    answer = chance.choice(("too-large", "compacted", "bad-request", "expired"))
    with field.refused_versions(answer, chance.choice(("status", "event"))):
        time.sleep(seconds)


def _silent_node(field: Field, chance: random.Random, seconds: float) -> None:
    with field.silent_node(chance):
        time.sleep(seconds)


GENTLE = (
    Strike(
        "429 with Retry-After",
        _rule(path=_API, status=429, retry_after=1, probability=0.3),
    ),
    Strike("503 on half of the calls", _rule(path=_API, status=503, probability=0.5)),
    Strike("503 on every call", _rule(path=_API, status=503, retry_after=1)),
    Strike("answers lost", _rule(path=_API, drop="after", probability=0.1)),
    Strike("connections reset", _rule(path=_API, drop="before", probability=0.1)),
    Strike("slow calls", _rule(path=_API, delay=1.5, probability=0.3)),
    Strike(
        "409 on creates",
        _rule(path=_API, method="POST", status=409, probability=0.3),
    ),
    Strike("registry away", _rule(target="registry", status=503)),
    Strike("watches cut off", _watches(drop_after=1.0)),
    Strike("watches expire", _watches(expire_after=1.0, expire_probability=0.5)),
    Strike("watch from the future", _watches(too_large_probability=0.5)),
    Strike("watches fall silent", _control("/watches/mute")),
    Strike("watches dropped", _control("/watches/drop")),
    Strike("history compacted", _control("/compact")),
    Strike("images cannot be pulled", _failing_pulls),
    Strike("kill -9", _kill, weight=4),
    Strike("SIGTERM", _terminate, weight=2),
)
"""Strikes after which every spawn that was accepted still comes to its good end."""

ROUGH = (
    Strike("500 on some calls", _rule(path=_API, status=500, probability=0.1)),
    Strike(
        "quota denied",
        _rule(
            path="/pods$",
            method="POST",
            status=403,
            probability=0.5,
            body={
                "kind": "Status",
                "status": "Failure",
                "reason": "Forbidden",
                "message": "exceeded quota: users, requested: pods=1, used: pods=1",
                "code": 403,
            },
        ),
    ),
    Strike("Gafaelfawr away", _rule(target="gafaelfawr", status=502)),
    Strike("pod evicted", _evict),
    Strike("pod failed", _finish),
    Strike("node lost", _lose_node),
)
"""Strikes after which a spawn, or a lab, may fail."""


def _answer(name: str, **rule: Any) -> Strike:
    rule = {"path": _API, "probability": 0.2, "answer": name, **rule}
    return Strike(f"answer {name}", _rule(**rule))


UNKIND = (
    Strike("API server restarted", _restart_api_server, weight=4),
    Strike("known versions refused", _refused_versions, weight=2),
    _answer("leader-changed"),
    _answer("etcd-timeout"),
    _answer("webhook-failed", method="POST"),
    _answer("quota-unknown", method="POST", path="/pods$"),
    _answer("forbidden"),
    _answer("bad-gateway"),
    _answer("request-timeout"),
    _answer("deadline"),
    _answer("found"),
    _answer("temporary-redirect"),
    Strike(
        "Retry-After that is no number",
        _rule(
            path=_API, answer="too-many-requests", retry_after="nan", probability=0.3
        ),
    ),
    Strike("answers reset half-way", _rule(path=_API, drop="within", probability=0.1)),
    Strike("watches reset", _watches(drop_after=1.0, reset=True)),
    Strike("silent API server", _rule(path=_API, silent=True, probability=0.3)),
)
"""Strikes of a real API server, after which every spawn comes to its good end too."""

UNKIND_TO_LABS = (
    Strike("API server restored", _restore_api_server),
    Strike("node silent", _silent_node),
)
"""Strikes of a real cluster after which a lab may be lost."""
