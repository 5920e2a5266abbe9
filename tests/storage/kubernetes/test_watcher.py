"""Watches that are cut off, refused, or not needed."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest

from nublado.sandbox.cluster import Sandbox
from nublado.storage.kubernetes import watcher
from nublado.storage.kubernetes.resource import EVENT, NAMESPACE, POD
from nublado.storage.kubernetes.watcher import Watcher
from tests.cluster import SPECIFICATION, Cluster, user
from tests.waiting import wait_for


def test_watcher_notices_what_happened_while_it_was_cut_off(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"path": "watch=true", "status": 500})
    cluster.control("POST", "/watches/drop")

    def remove(sandbox: Sandbox) -> None:
        sandbox.store.delete("Namespace", None, "userlabs-rachel")

    cluster.call(remove)
    wait_for(lambda: not cluster.namespaces())
    cluster.control("POST", "/compact")
    cluster.control("DELETE", "/faults")
    wait_for(lambda: service.status("rachel") == "failed")
    namespaces = service.cluster.watcher(NAMESPACE)
    wait_for(lambda: not namespaces.cache.objects())


def test_watcher_that_is_refused_does_not_hammer_the_server(cluster: Cluster) -> None:
    service = cluster.service()
    cluster.control.faults({"path": "watch=true", "status": 500})
    cluster.control("POST", "/watches/drop")
    began = time.monotonic()
    wait_for(lambda: cluster.control("GET", "/faults")["rules"][0]["hits"] >= 8)
    # One of the two watches has tried four times, with pauses of 0.2, 0.4 and 0.8 s.
    assert time.monotonic() - began >= 1.4
    assert service.cluster.problems() == []


@pytest.mark.parametrize("status", [400, 403, 500, 504])
def test_what_a_refused_watch_misses_is_listed(cluster: Cluster, status: int) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"path": "watch=true", "status": status})
    cluster.control("POST", "/watches/drop")
    cluster.control("POST", "/pods/userlabs-rachel/rachel-nb/finish", {"exit_code": 1})
    wait_for(lambda: service.status("rachel") == "terminated")
    pods = service.cluster.watcher(POD)
    assert pods.lost > 0
    assert f"status {status}" in str(pods.obstacle)
    cluster.control("DELETE", "/faults")
    wait_for(lambda: pods.lost == 0)


def test_watches_live_as_long_as_is_configured(cluster: Cluster) -> None:
    cluster.config = replace(cluster.config, watch_reconnect_timeout=0.5)
    service = cluster.service()
    pods = service.cluster.watcher(POD)
    wait_for(lambda: pods.connections >= 3)
    service.spawn("rachel")
    assert service.status("rachel") == "running"
    assert pods.obstacle is None


def test_watch_that_the_server_does_not_end_is_ended(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watcher, "_draw_life", lambda _: 3600)
    monkeypatch.setattr(watcher, "_OVERTIME_SECONDS", 0.0)
    cluster.config = replace(cluster.config, watch_reconnect_timeout=1.0)
    service = cluster.service()
    namespaces = service.cluster.watcher(NAMESPACE)
    labels = {"nublado.lsst.io/category": "lab"}
    numbers = itertools.count()

    def is_renewed_by_an_event(sandbox: Sandbox) -> bool:
        metadata = {"name": f"userlabs-user{next(numbers)}", "labels": labels}
        sandbox.store.create("Namespace", {"metadata": metadata})
        return namespaces.connections > 1

    wait_for(lambda: cluster.call(is_renewed_by_an_event))


def test_a_watch_that_nobody_needs_is_neither_idle_nor_lost(cluster: Cluster) -> None:
    service = cluster.service()
    events = service.cluster.watcher(EVENT)
    rests_since = time.monotonic()
    wait_for(lambda: time.monotonic() > rests_since + 0.1)
    assert (events.idle, events.lost) == (0.0, 0.0)
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    service.labs.create(user("rachel"), SPECIFICATION)
    wait_for(lambda: events.connections > 0)
    wait_for(lambda: events.idle > 0)
    wait_for(lambda: events.lost == 0)
