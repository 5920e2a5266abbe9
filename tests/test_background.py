"""Jobs: they run again after failures, one at a time, and tell how they fare."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest

from nublado.background import Background
from nublado.services.alerts import Alerts
from nublado.storage.slack import SlackWebhook
from tests.scripted_server import ScriptedServer
from tests.waiting import wait_for


@pytest.fixture
def alerts(outside: ScriptedServer) -> Iterator[Alerts]:
    alerts = Alerts("test", SlackWebhook(f"{outside.url}/services/T0/B0/xyz"))
    alerts.start()
    yield alerts
    alerts.stop()


@pytest.fixture
def background(alerts: Alerts) -> Iterator[Background]:
    background = Background(alerts)
    yield background
    background.stop()


def _start(background: Background, refresh: Callable[[], None]) -> None:
    background.start()
    background.add("refresh-images", refresh, 1)


def test_a_failing_job_runs_again_and_is_told_of(
    background: Background, alerts: Alerts, outside: ScriptedServer
) -> None:
    turns = iter([OSError("registry is away"), OSError("still away"), None])
    over = threading.Event()

    def refresh() -> None:
        error = next(turns, None)
        if error is not None:
            raise error
        over.set()

    _start(background, refresh)
    began = background.jobs["refresh-images"].last_success
    wait_for(lambda: background.jobs["refresh-images"].failures == 1)
    assert background.jobs["refresh-images"].last_success == began
    wait_for(lambda: background.jobs["refresh-images"].failures == 2)
    assert over.wait(10)
    wait_for(lambda: background.jobs["refresh-images"].failures == 0)
    assert background.jobs["refresh-images"].last_success > began
    assert background.alive
    # The second failure in a row is only logged.
    (told,) = alerts.recent()
    assert told.event == "Background job failed"
    outside.wait_received(2)
    posted = [json.loads(request.body)["text"] for request in outside.received]
    assert posted == ["test: Background job failed", "test: Background job recovered"]


def test_an_overrun_skips_turns_but_loses_none(background: Background) -> None:
    running = threading.Semaphore(0)
    release = threading.Event()
    together: list[int] = []

    def refresh() -> None:
        together.append(1)
        running.release()
        release.wait(10)
        together.pop()

    _start(background, refresh)
    assert running.acquire(timeout=10)
    # The next turn comes while the first still runs, and is left out.
    assert not running.acquire(timeout=1.5)
    assert together == [1]
    release.set()
    assert running.acquire(timeout=10)
