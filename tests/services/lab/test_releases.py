"""Spawns on each release of Kubernetes, whose events differ in their texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nublado.models.domain.failure import Cause
from nublado.sandbox.kubernetes.releases import RELEASES
from tests.cluster import SPECIFICATION, Cluster, Service, user
from tests.waiting import wait_for

NAMESPACE, POD = "userlabs-rachel", "rachel-nb"


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(release: str) -> Iterator[Cluster]:
    with Cluster(kubernetes=release) as running:
        yield running


def recorded(cluster: Cluster) -> list[tuple[str, str | None]]:
    """Reason and container of each event about the pod in Kubernetes."""

    def collect(sandbox: Any) -> list[tuple[str, str | None]]:
        return [
            (event["reason"], container_of(event["involvedObject"]))
            for event in sandbox.store.list("Event", NAMESPACE)
            if event["involvedObject"]["kind"] == "Pod"
        ]

    found: list[tuple[str, str | None]] = cluster.call(collect)
    return found


def container_of(involved: dict[str, str]) -> str | None:
    _, _, container = involved.get("fieldPath", "").partition("{")
    return container.removesuffix("}") or None


def reported(service: Service) -> list[tuple[str, str | None]]:
    """Reason and container of each event that the service has passed on."""
    events = service.labs.operation("rachel").events.all()
    return [(e.reason, e.container) for e in events if e.reason is not None]


def test_every_event_of_the_pod_is_passed_on_once(cluster: Cluster) -> None:
    service = cluster.service()
    messages = service.spawn("rachel")
    assert messages[-1] == "Lab Kubernetes pod started for rachel"
    seen = reported(service)
    assert sorted(map(str, seen)) == sorted(map(str, recorded(cluster)))
    for container in ("inithome", "notebook"):
        for reason in ("Pulling", "Pulled", "Created", "Started"):
            assert seen.count((reason, container)) == 1


def test_no_spawn_waits_for_a_text_that_never_comes(cluster: Cluster) -> None:
    service = cluster.service()

    def pause(name: str) -> float:
        """How long the end came after what came before it, in seconds."""
        service.spawn(name)
        *_, last, end = service.labs.operation(name).events.all()
        return end.timestamp - last.timestamp

    # One may be slow because the machine is.
    assert min(pause(name) for name in ("rachel", "mary", "james")) < 0.5


def test_why_a_spawn_fails_is_understood(release: str) -> None:
    with Cluster(spawn_timeout=3, kubernetes=release) as cluster:
        cluster.control.settings(failing_pulls=["sciplat/lab"])
        service = cluster.service()
        service.spawn("rachel")
        failure = service.labs.operation("rachel").failure
        assert failure is not None
        assert failure.cause is Cause.IMAGE_MISSING


def test_a_container_that_ends_is_understood(release: str) -> None:
    with Cluster(spawn_timeout=3, kubernetes=release) as cluster:
        cluster.control.settings(exits={"inithome": 3})
        service = cluster.service()
        service.labs.create(user("rachel"), SPECIFICATION)
        operation = service.labs.operation("rachel")
        wait_for(lambda: ("BackOff", "inithome") in reported(service))
        assert operation.wait(60)
        assert operation.failure is not None
        assert operation.failure.cause is Cause.INIT_FAILED
