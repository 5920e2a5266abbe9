"""Turns: of threads that all want the interpreter, few have it at a time.

Threads that are busy take the interpreter from each other in a circle, so whatever
one of them does takes as long as there are others. A surge of requests, each of
which keeps a thread busy, makes everything else as slow as itself: the main loop,
which answers for the state of labs, and the spawns that are about to end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Turns"]

_BUSY_SECONDS = 0.02


class Turns:
    """Limits how many threads are busy at a time; the others wait in line.

    A turn does not last: whoever takes long waits for something outside of the
    process, which keeps nobody from anything, and the next in line goes on beside it.
    So no number of slow systems can hold up the line.

    Parameters
    ----------
    number
        How many threads have a turn at a time.
    seconds
        How long a turn lasts at most.
    """

    def __init__(self, number: int, seconds: float = _BUSY_SECONDS) -> None:
        self._number = number
        self._seconds = seconds
        self._line = threading.Lock()
        self._changed = threading.Condition()
        self._ends: dict[int, float] = {}

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn, and be over with it at the end of the context."""
        me = threading.get_ident()
        with self._line:
            self._wait(me)
        try:
            yield
        finally:
            with self._changed:
                self._ends.pop(me, None)
                self._changed.notify()

    def _wait(self, me: int) -> None:
        """Wait, as the first of the line, until a turn ends."""
        with self._changed:
            while len(self._ends) >= self._number:
                oldest, end = next(iter(self._ends.items()))
                left = end - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                else:
                    del self._ends[oldest]
            self._ends[me] = time.monotonic() + self._seconds
