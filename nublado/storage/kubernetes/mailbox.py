"""Where news for one waiting operation arrives, from any number of watches."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from nublado.timeout import Timeout

__all__ = ["Mailbox"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue whose reader has a deadline and can be cancelled.

    Parameters
    ----------
    timeout
        Deadline and cancellation of the operation that reads.
    """

    def __init__(self, timeout: Timeout) -> None:
        self._timeout = timeout
        self._queue: queue.SimpleQueue[T | None] = queue.SimpleQueue()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let a cancellation wake the reader, while the context lasts."""
        with self._timeout.cancellation.waking(lambda: self._queue.put(None)):
            yield

    def put(self, item: T) -> None:
        """Deliver something; never blocks."""
        self._queue.put(item)

    def receive(self, seconds: float) -> T | None:
        """Wait for the next item.

        Parameters
        ----------
        seconds
            How long to wait for it.

        Returns
        -------
        object or None
            The item; None if nothing came in time.

        Raises
        ------
        OperationCancelledError, OperationTimeoutError
            Raised if the operation was cancelled or its time is up.
        """
        try:
            item = self._queue.get(timeout=self._timeout.at_most(seconds))
        except queue.Empty:
            item = None
        self._timeout.left()
        return item
