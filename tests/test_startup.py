"""How the parts of the service come up."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from nublado import startup
from nublado.exceptions import DockerRegistryError, NubladoError
from nublado.services.alerts import Alerts
from nublado.startup import Part, Startup
from nublado.storage.slack import SlackWebhook
from tests.scripted_server import ScriptedServer
from tests.waiting import wait_for


class Parts:
    """Steps that succeed when the test says so."""

    def __init__(self, alerts: Alerts) -> None:
        self.alerts = alerts
        self.broken: set[str] = set()
        self.done: list[str] = []
        self.scheduled: list[Part] = []
        self.usable: set[Part] = set()
        self.startup = Startup(
            self.alerts,
            {
                Part.LABS: [self.step("labs")],
                Part.FILESERVERS: [self.step("file servers")],
                Part.IMAGES: [self.step("recall"), self.step("refresh")],
            },
            self.scheduled.append,
            lambda part: part in self.usable,
        )

    def step(self, name: str) -> Callable[[], None]:
        def run() -> None:
            if name in self.broken:
                raise NubladoError(f"{name} failed")
            self.done.append(name)

        return run


@pytest.fixture
def parts(outside: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr(startup, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(startup, "_LONGEST_PAUSE", 0.02)
    alerts = Alerts("test", SlackWebhook(f"{outside.url}/services/T0/B0/xyz"))
    alerts.start()
    parts = Parts(alerts)
    yield parts
    parts.startup.stop()
    alerts.stop()


def test_labs_come_first(parts: Parts) -> None:
    parts.broken = {"labs"}
    parts.startup.start()
    wait_for(lambda: parts.startup.problem(Part.LABS) == "labs failed")
    assert parts.done == []
    assert not parts.startup.wait_up(Part.IMAGES, 0)
    parts.broken = set()
    assert parts.startup.wait_up(Part.IMAGES, 60)
    wait_for(lambda: set(parts.scheduled) == set(Part))
    assert parts.done[0] == "labs"
    assert parts.startup.problems() == []


def test_part_that_hangs_delays_no_other(parts: Parts) -> None:
    hanging = threading.Event()

    def hang() -> None:
        hanging.wait(60)

    parts.startup._steps[Part.FILESERVERS] = [hang]
    parts.startup.start()
    assert parts.startup.wait_up(Part.IMAGES, 60)
    assert not parts.startup.is_up(Part.FILESERVERS)
    hanging.set()
    assert parts.startup.wait_up(Part.FILESERVERS, 60)


def test_part_is_usable_before_it_is_up(parts: Parts) -> None:
    parts.broken, parts.usable = {"refresh"}, {Part.IMAGES}
    parts.startup.start()
    assert parts.startup.wait_up(Part.IMAGES, 60)
    wait_for(lambda: "refresh failed" in parts.startup.problem(Part.IMAGES))
    problem = "refresh failed; what was known last is used meanwhile"
    wait_for(lambda: parts.startup.problems() == [problem])
    assert Part.IMAGES not in parts.scheduled
    parts.broken = set()
    wait_for(lambda: Part.IMAGES in parts.scheduled)
    wait_for(lambda: parts.startup.problems() == [])


def test_server_that_limits_requests_is_left_alone(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "_LONGEST_WANTED_PAUSE", 3600)
    attempts: Counter[Part] = Counter()

    def failing(part: Part, error: NubladoError) -> Callable[[], None]:
        def run() -> None:
            attempts[part] += 1
            raise error

        return run

    limited = DockerRegistryError("status 429", retry_after=3600)
    parts.startup._steps[Part.IMAGES] = [failing(Part.IMAGES, limited)]
    other = failing(Part.FILESERVERS, DockerRegistryError("status 503"))
    parts.startup._steps[Part.FILESERVERS] = [other]
    parts.startup.start()
    wait_for(lambda: attempts[Part.IMAGES])
    wait_for(lambda: attempts[Part.FILESERVERS] >= 30)
    assert attempts[Part.IMAGES] == 1


@pytest.mark.parametrize("is_long", [False, True])
def test_recovery_is_reported_as_well_as_failure(
    parts: Parts,
    outside: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    is_long: bool,
) -> None:
    monkeypatch.setattr(startup, "_ALERT_AFTER_SECONDS", 0 if is_long else 3600)
    parts.broken = {"refresh"}
    with capture_logs() as log:
        parts.startup.start()
        wait_for(lambda: sum("retrying" in line["event"] for line in log) > 2)
        parts.broken = set()
        assert parts.startup.wait_up(Part.IMAGES, 60)
        wait_for(
            lambda: any(
                line["event"] == "Startup succeeded after failures"
                and line["part"] == "images"
                for line in log
            )
        )
    outside.wait_received(2 if is_long else 0)
    parts.alerts.stop()
    posted = [json.loads(request.body)["text"] for request in outside.received]
    assert posted == (
        ["test: Startup failed, retrying", "test: Startup succeeded after failures"]
        if is_long
        else []
    )
