"""Few threads are busy at a time, and no slow one holds up the line."""

from __future__ import annotations

import threading

import pytest

from nublado.turns import Turns
from tests.waiting import wait_for

_LONG = 60.0


class Workers:
    """Threads that take a turn, and keep it until they are told."""

    def __init__(self, turns: Turns, number: int) -> None:
        self.at_work: set[int] = set()
        self.most = 0
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
            self.most = max(self.most, len(self.at_work))
            self.over[number].wait(_LONG)
            self.at_work.discard(number)

    def finish(self) -> None:
        for over in self.over:
            over.set()
        for thread in self.threads:
            thread.join(_LONG)
            assert not thread.is_alive()


@pytest.mark.parametrize("number", [1, 2])
def test_no_more_are_busy_than_there_are_turns(number: int) -> None:
    workers = Workers(Turns(number, _LONG), 6)
    for _ in range(6):
        wait_for(lambda: bool(workers.at_work))
        one = min(workers.at_work)
        workers.over[one].set()
        wait_for(lambda one=one: one not in workers.at_work)  # type: ignore[misc]
    workers.finish()
    assert 1 <= workers.most <= number


def test_whoever_takes_long_holds_nobody_up() -> None:
    workers = Workers(Turns(1, 0.01), 4)
    wait_for(lambda: len(workers.at_work) == 4)
    workers.finish()


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
