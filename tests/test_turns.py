"""Few threads are busy at a time, and no slow one holds up the line."""

from __future__ import annotations

import threading
import time

import pytest

from nublado.turns import Turns
from tests.waiting import wait_for

_LONG = 60.0


class Workers:
    """Threads that take a turn, and keep it until they are told."""

    def __init__(self, turns: Turns, number: int) -> None:
        self.at_work: set[int] = set()
        self.over = [threading.Event() for _ in range(number)]
        self._turns = turns
        self.threads = [
            threading.Thread(target=self._work, args=(n,)) for n in range(number)
        ]
        for thread in self.threads:
            thread.start()

    def _work(self, number: int) -> None:
        with self._turns.taken():
            self.at_work.add(number)
            self.over[number].wait(_LONG)
        self.at_work.discard(number)

    def finish(self) -> None:
        for over in self.over:
            over.set()
        for thread in self.threads:
            thread.join(_LONG)
            assert not thread.is_alive()


def test_no_more_are_busy_than_there_are_turns() -> None:
    workers = Workers(Turns(2, _LONG), 5)
    wait_for(lambda: len(workers.at_work) == 2)
    time.sleep(0.05)
    assert len(workers.at_work) == 2
    workers.finish()


def test_next_begins_when_one_ends() -> None:
    workers = Workers(Turns(1, _LONG), 3)
    for _ in range(3):
        wait_for(lambda: bool(workers.at_work))
        (number,) = workers.at_work
        workers.over[number].set()
        wait_for(lambda number=number: number not in workers.at_work)  # type: ignore[misc]
    workers.finish()


def test_whoever_takes_long_holds_nobody_up() -> None:
    workers = Workers(Turns(1, 0.01), 4)
    wait_for(lambda: len(workers.at_work) == 4)
    workers.finish()


def test_a_turn_that_was_lost_is_not_given_back() -> None:
    turns = Turns(1, 0.01)
    slow = Workers(turns, 2)
    wait_for(lambda: len(slow.at_work) == 2)
    slow.finish()
    turns.seconds = _LONG
    quick = Workers(turns, 3)
    wait_for(lambda: len(quick.at_work) == 1)
    time.sleep(0.05)
    assert len(quick.at_work) == 1
    quick.finish()


def test_a_failure_ends_the_turn() -> None:
    turns = Turns(1, _LONG)

    def fail() -> None:
        with turns.taken():
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    workers = Workers(turns, 1)
    wait_for(lambda: len(workers.at_work) == 1)
    workers.finish()
