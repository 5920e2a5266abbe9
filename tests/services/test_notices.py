"""What operators tell users, kept in a cluster in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nublado.constants import NOTICES_NAME
from nublado.exceptions import MaintenanceError, NotKeptError, ValidationProblemsError
from nublado.models.domain.notices import Notice, Notices
from nublado.models.v1.notices import parse_notice
from nublado.sandbox.deployment import NAMESPACE
from nublado.services.alerts import Alerts
from nublado.services.notices import NoticeService
from nublado.storage.kubernetes.resource import CONFIG_MAP
from nublado.wiring import make_cluster
from tests.cluster import Cluster, timeout

NOW = datetime(2026, 11, 25, 22, tzinfo=UTC)
DRAIN = Notice("Storage is being moved.", "ann", NOW)
BANNER = Notice("Cake at noon.", "bob", NOW, NOW + timedelta(hours=2))
REF = CONFIG_MAP.at(NAMESPACE, NOTICES_NAME)

MakeService = Callable[..., NoticeService]


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    yield shared_cluster
    shared_cluster.control("DELETE", "/faults")
    kubernetes = make_cluster(shared_cluster.client(), shared_cluster.config)
    kubernetes.remove(REF, timeout())
    kubernetes.stop()


@pytest.fixture
def alerts() -> Alerts:
    return Alerts("test", None)


@pytest.fixture
def make_service(cluster: Cluster, alerts: Alerts) -> Iterator[MakeService]:
    """Make what knows the notices, as each process has it."""
    cleanup: list[Callable[[], None]] = []

    def make(clock: Callable[[], datetime] | None = None) -> NoticeService:
        kubernetes = make_cluster(cluster.client(), cluster.config)
        service = NoticeService(
            cluster=kubernetes,
            namespace=NAMESPACE,
            alerts=alerts,
            clock=clock or Clock(),
        )
        service.load()
        cleanup.extend((kubernetes.stop, service.stop))
        return service

    yield make
    for end in reversed(cleanup):
        end()


def test_labs_can_be_started_unless_somebody_says_no(make_service: MakeService) -> None:
    service = make_service()
    assert service.current == Notices()
    service.check_open()


def test_drain_outlives_the_process(make_service: MakeService) -> None:
    make_service().drain(DRAIN)
    service = make_service()
    assert service.current.drain == DRAIN
    with pytest.raises(MaintenanceError, match="Storage is being moved") as caught:
        service.check_open()
    assert caught.value.status == 503
    service.undrain("bob")
    service.check_open()
    make_service().check_open()


def test_drain_and_announcement_do_not_disturb_each_other(
    make_service: MakeService,
) -> None:
    service = make_service()
    service.announce(BANNER)
    service.drain(DRAIN)
    assert make_service().current == Notices(DRAIN, BANNER)
    service.undrain("ann")
    assert make_service().current == Notices(None, BANNER)
    service.withdraw("ann")
    assert make_service().current == Notices()


def test_what_has_an_end_ends_by_itself(make_service: MakeService) -> None:
    clock = Clock()
    service = make_service(clock)
    service.announce(BANNER)
    service.drain(Notice("Short.", "ann", NOW, NOW + timedelta(seconds=90)))
    with pytest.raises(MaintenanceError) as caught:
        service.check_open()
    assert caught.value.retry_after == 90
    clock.now += timedelta(seconds=90)
    service.check_open()
    assert service.current.announcement == BANNER
    clock.now += timedelta(hours=2)
    assert service.current == Notices()


def test_changes_by_two_processes_at_a_time_are_both_kept(
    make_service: MakeService,
) -> None:
    services = [make_service() for _ in range(2)]
    for _ in range(5):
        with ThreadPoolExecutor(2) as threads:
            list(
                threads.map(
                    lambda change: change(),
                    (
                        lambda: services[0].drain(DRAIN),
                        lambda: services[1].announce(BANNER),
                    ),
                )
            )
        assert make_service().current == Notices(DRAIN, BANNER)
        services[0].undrain("ann")
        services[1].withdraw("ann")


def test_change_that_cannot_be_kept_has_no_effect(
    cluster: Cluster, make_service: MakeService
) -> None:
    service = make_service()
    rule = {"path": f"/{NOTICES_NAME}$|/configmaps$", "answer": "webhook-denied"}
    cluster.control.faults({"method": "POST", **rule})
    with pytest.raises(NotKeptError, match="Nothing has changed"):
        service.drain(DRAIN)
    service.check_open()
    cluster.control("DELETE", "/faults")
    service.drain(DRAIN)
    cluster.control.faults({"method": "PUT", **rule})
    with pytest.raises(NotKeptError):
        service.undrain("ann")
    assert service.current.drain == DRAIN


def test_edit_by_hand_is_taken_over(
    cluster: Cluster, make_service: MakeService, alerts: Alerts
) -> None:
    service = make_service()
    service.drain(DRAIN)
    other = make_service()
    other.undrain("kubectl")
    assert service.current.drain == DRAIN
    service.load()
    assert service.current.drain is None


def test_what_cannot_be_read_is_told_once_and_hides_nothing_else(
    cluster: Cluster, make_service: MakeService, alerts: Alerts
) -> None:
    service = make_service()
    service.drain(DRAIN)
    service.announce(BANNER)
    kubernetes = make_cluster(cluster.client(), cluster.config)
    found = kubernetes.read(REF, timeout())
    assert found is not None
    data = {**found["data"], "announcement": json.dumps({"message": 7})}
    kubernetes.replace({**found, "data": data}, timeout())
    kubernetes.stop()
    for _ in range(3):
        service.load()
    assert service.current == Notices(DRAIN, None)
    (line,) = [f for f in alerts.recent() if f.event == "Cannot read notices"]
    assert "announcement" in line.message


def test_notices_of_an_outage_stay_known(
    cluster: Cluster, make_service: MakeService
) -> None:
    service = make_service()
    service.drain(DRAIN)
    cluster.control.faults({"path": NOTICES_NAME, "answer": "webhook-denied"})
    with pytest.raises(Exception, match=NOTICES_NAME):
        service.load()
    assert service.current.drain == DRAIN


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "message"),
        ({"message": " \n"}, "message"),
        ({"message": "x" * 1001}, "message"),
        ({"message": "x", "until": "soon"}, "until"),
        ({"message": "x", "until": "2100-01-01T00:00:00"}, "until"),
        ({"message": "x", "until": "2020-01-01T00:00:00Z"}, "until"),
    ],
)
def test_request_that_says_nothing_useful_is_refused(body: Any, place: str) -> None:
    with pytest.raises(ValidationProblemsError) as caught:
        parse_notice(body, "ann")
    ((location),) = [problem.location for problem in caught.value.problems]
    assert location == ("body", place)


def test_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValidationProblemsError):
        parse_notice(["x"], "ann")
