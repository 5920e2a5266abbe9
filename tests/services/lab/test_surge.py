"""Spawns wait while many users have had no response."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from nublado.services.lab.surge import Surge
from tests.waiting import wait_for

_LONG = 60.0


class Spawner:
    """A thread that waits at a surge."""

    def __init__(self, surge: Surge, submitted: float | None = None) -> None:
        self._surge = surge
        self._submitted = time.monotonic() + _LONG if submitted is None else submitted
        self.thread = threading.Thread(target=self._wait)
        self.begun = threading.Event()
        self.thread.start()

    def _wait(self) -> None:
        self._surge.wait(self._submitted)
        self.begun.set()


@pytest.fixture
def surge() -> Iterator[Surge]:
    surge = Surge()
    yield surge
    surge.end()


def test_nothing_waits_for_a_few(surge: Surge) -> None:
    for _ in range(7):
        surge.arrive()
    surge.wait(time.monotonic())
    assert Spawner(surge).begun.wait(_LONG)


def test_work_begins_once_few_are_left(surge: Surge) -> None:
    for _ in range(20):
        surge.arrive()
    spawner = Spawner(surge)
    for _ in range(12):
        surge.answer()
    assert not spawner.begun.wait(0.05)
    surge.answer()
    assert spawner.begun.wait(_LONG)


def test_work_that_has_waited_long_begins_anyway(surge: Surge) -> None:
    for _ in range(20):
        surge.arrive()
    assert Spawner(surge, time.monotonic() - _LONG).begun.wait(_LONG)
    assert Spawner(surge, time.monotonic() - 2.95).begun.wait(_LONG)


def test_work_that_has_waited_begins_bit_by_bit(surge: Surge) -> None:
    for _ in range(20):
        surge.arrive()
    began = time.monotonic()
    for _ in range(6):
        surge.wait(began - 5.0)
    assert time.monotonic() - began >= 5 * 0.04
    # None waits for ever, whatever the others do.
    began = time.monotonic()
    for _ in range(1000):
        surge.wait(began - _LONG)
    assert time.monotonic() - began < 1000 * 0.04


def test_nothing_waits_at_the_end(surge: Surge) -> None:
    for _ in range(20):
        surge.arrive()
    spawners = [Spawner(surge) for _ in range(3)]
    surge.end()
    wait_for(lambda: all(spawner.begun.is_set() for spawner in spawners))
    assert Spawner(surge).begun.wait(_LONG)
