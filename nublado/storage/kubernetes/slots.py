"""Places for requests in flight, given to those that wait by rank."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nublado.timeout import Timeout

__all__ = ["Slots"]


@dataclass(order=True, slots=True)
class _Turn:
    """One that waits; ``wake`` is also set when it should look up."""

    rank: int
    deadline: float
    number: int
    wake: threading.Event = field(default_factory=threading.Event, compare=False)
    granted: bool = field(default=False, compare=False)
    left: bool = field(default=False, compare=False)


class Slots:
    """Limits how many requests are in flight.

    Of those that wait, the lowest rank goes first, then the nearest deadline: so
    operations of a kind come to their end in the order of their beginning.

    Parameters
    ----------
    number
        How many there may be.
    """

    def __init__(self, number: int) -> None:
        self._lock = threading.Lock()
        self._free = number
        self._waiting: list[_Turn] = []
        self._numbers = itertools.count()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @contextmanager
    def taken(self, timeout: Timeout) -> Iterator[None]:
        """Wait for a slot and keep it while the context lasts.

        Raises
        ------
        OperationCancelledError, OperationTimeoutError
            Raised if the wait was cancelled or took too long.
        """
        self._take(timeout)
        try:
            yield
        finally:
            self._give_back()

    def _take(self, timeout: Timeout) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = _Turn(timeout.rank, timeout.deadline, next(self._numbers))
            heapq.heappush(self._waiting, turn)
        try:
            with timeout.cancellation.waking(turn.wake.set):
                while not turn.granted:
                    turn.wake.wait(timeout.left())
        except BaseException:
            self._leave(turn)
            raise

    def _leave(self, turn: _Turn) -> None:
        with self._lock:
            turn.left = True
            granted = turn.granted
        if granted:
            self._give_back()

    def _give_back(self) -> None:
        with self._lock:
            while self._waiting:
                turn = heapq.heappop(self._waiting)
                if not turn.left:
                    turn.granted = True
                    turn.wake.set()
                    return
            self._free += 1
