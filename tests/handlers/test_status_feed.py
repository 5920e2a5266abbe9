"""The feed of the status page, without the rest of the service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flask import Flask
from jinja2 import DictLoader

from nublado.context import ProcessContext
from nublado.handlers import status_feed
from nublado.handlers.status_feed import SECTIONS, StatusFeed, StatusSource
from nublado.models.domain.notices import Notices
from tests.waiting import wait_for


class Service:
    """As much of a process as the feed knows."""

    def __init__(self) -> None:
        self.stopping = False
        self.reports: list[tuple[Exception, str]] = []
        self.notices = SimpleNamespace(current=Notices())
        self.alerts = SimpleNamespace(report=self._report)
        self._look_again = threading.Event()

    def stops_within(self, seconds: float) -> bool:
        self._look_again.wait(seconds)
        self._look_again.clear()
        return self.stopping

    def look_again(self) -> None:
        self._look_again.set()

    def _report(self, error: Exception, *, event: str) -> None:
        self.reports.append((error, event))


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.stopping = True
    service.look_again()


@pytest.fixture
def source(service: Service) -> StatusSource:
    app = Flask(__name__)
    app.jinja_loader = DictLoader(
        {f"admin/{section}.html": "{{ status.text }}" for section in SECTIONS}
    )
    return StatusSource(StatusFeed(app, cast("ProcessContext", service)))


def test_feed_goes_on_after_a_state_that_cannot_be_shown(
    service: Service, source: StatusSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[Any] = [{"text": "before"}, ValueError("odd"), {"text": "after"}]

    def shown(_: object) -> Any:
        state = states.pop(0) if len(states) > 1 else states[0]
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr(status_feed, "shown_status", shown)
    received = bytearray()

    def has(text: bytes) -> bool:
        service.look_again()
        received.extend(source.pull()[0])
        return text in received

    source.attach(lambda: None)
    wait_for(lambda: has(b"before"))
    wait_for(lambda: has(b"after"))
    source.detach()
    ((error, event),) = service.reports
    assert str(error) == "odd"
    assert event == "Cannot render status page"
    assert received.count(b"event: ") == 2 * len(SECTIONS)
