"""The threads that answer requests: which of them takes which request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from nublado.connection import Connection
from nublado.turns import Turns

__all__ = ["RequestThreads"]

_START_SECONDS = 30.0
_READERS = 8
_CREATES_AT_A_TIME = 2
_PATIENCE_SECONDS = 30.0

Answer = Callable[[Connection], bool]


class RequestThreads:
    """Threads for the three sorts of requests, none of which waits for another.

    ===============  =========================================================
    what is asked    who answers
    ===============  =========================================================
    a lab            half as many threads as there are for all else, of which
                     few are busy at a time: hundreds of users may want one at
                     the same moment. If Gafaelfawr hangs, those that have waited
                     for 30 s are refused: by then, nobody listens any more
    what is known    as all else, or while all those threads are taken, a few
                     that are kept for that
    all else         `NUBLADO_THREADS`
    ===============  =========================================================

    Used by the main loop only.

    Parameters
    ----------
    number
        How many threads there are for all else.
    patience
        After how many seconds a request for a lab is refused.

    Attributes
    ----------
    others
        The threads for all else.
    """

    def __init__(self, number: int, patience: float = _PATIENCE_SECONDS) -> None:
        self.others = _started_pool(number, "requests")
        self._creates = _started_pool(max(1, number // 2), "creates")
        self._readers = ThreadPoolExecutor(_READERS, "reads-of-state")
        self._turns = Turns(_CREATES_AT_A_TIME)
        self._taken = 0
        self._number = number
        self._patience = patience

    @property
    def busy(self) -> int:
        """How many of the threads for all else have a request."""
        return min(self._taken, self._number)

    def submit(
        self, connection: Connection, answer: Answer, refuse: Answer
    ) -> Future[bool]:
        """Let a thread answer the request that a connection has brought.

        Parameters
        ----------
        connection
            The connection.
        answer
            Answers, and tells whether the connection can be kept.
        refuse
            Does that in its place, if the request has waited for too long.
        """
        if connection.asks_for_a_lab:
            latest = time.monotonic() + self._patience
            return self._creates.submit(
                self._in_turn, connection, answer, refuse, latest
            )
        if connection.reads_state and self._taken >= self._number:
            return self._readers.submit(answer, connection)
        self._taken += 1
        connection.has_thread = True
        return self.others.submit(answer, connection)

    def note_answered(self, connection: Connection) -> None:
        """Count a thread as free again that has answered a request."""
        self._taken -= connection.has_thread
        connection.has_thread = False

    def _in_turn(
        self, connection: Connection, answer: Answer, refuse: Answer, latest: float
    ) -> bool:
        with self._turns.taken():
            is_late = time.monotonic() > latest
            return refuse(connection) if is_late else answer(connection)


def _started_pool(number: int, name: str) -> ThreadPoolExecutor:
    """Make a pool whose threads all run already.

    Starting one takes longer than most requests when hundreds come at once.
    """
    pool = ThreadPoolExecutor(number, name)
    together = threading.Barrier(number + 1)
    for _ in range(number):
        pool.submit(together.wait, _START_SECONDS)
    together.wait(_START_SECONDS)
    return pool
