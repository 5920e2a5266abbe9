"""Deadlines and cancellation: nothing in the controller waits without an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy

from nublado.exceptions import OperationCancelledError, OperationTimeoutError

__all__ = ["LAST_RANK", "Cancellation", "Timeout"]

LAST_RANK = 100
"""Rank of what has no reason to go first."""


class Cancellation:
    """Whether an operation should stop, and who has to be woken.

    Whoever blocks on something else than this object registers a callback
    that wakes it up.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Stop the operation at its next step, and wake it if it waits."""
        with self._lock:
            self._event.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def wait(self, seconds: float) -> bool:
        """Wait for the cancellation; True as soon as it comes."""
        return self._event.wait(seconds)

    @contextmanager
    def waking(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call back on cancellation, at once if it has come already."""
        with self._lock:
            self._callbacks.append(callback)
            cancelled = self._event.is_set()
        if cancelled:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


class Timeout:
    """Time left for a sequence of steps that share one deadline.

    Parameters
    ----------
    operation
        What is timed, for the error, such as ``Lab spawn``.
    seconds
        How long the whole sequence may take.
    cancellation
        What may cancel the sequence; by default nothing does.
    elapsed
        Seconds that have been used up before.
    rank
        Where steps of several sequences wait for each other, those of the
        lowest rank go first.

    Attributes
    ----------
    deadline
        When the time is up, by the monotonic clock (seconds).
    """

    def __init__(
        self,
        operation: str,
        seconds: float,
        cancellation: Cancellation | None = None,
        *,
        elapsed: float = 0.0,
        rank: int = LAST_RANK,
    ) -> None:
        self.operation = operation
        self.seconds = float(seconds)
        self.cancellation = cancellation or Cancellation()
        self.rank = rank
        self.deadline = time.monotonic() + self.seconds - elapsed

    def left(self) -> float:
        """Seconds left.

        Raises
        ------
        OperationCancelledError
            Raised if the sequence was cancelled.
        OperationTimeoutError
            Raised if no time is left.
        """
        if self.cancellation.cancelled:
            raise OperationCancelledError(f"{self.operation} cancelled")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.expired()
        return left

    def at_most(self, seconds: float) -> float:
        """Seconds left, but not more than so many; raises as `left` does."""
        return min(self.left(), seconds)

    def part(self, seconds: float) -> Timeout:
        """Make a deadline for one step, which ends with this one at the latest."""
        return Timeout(
            self.operation, self.at_most(seconds), self.cancellation, rank=self.rank
        )

    def ranked(self, rank: int) -> Timeout:
        """Make the same deadline for a step of another rank."""
        ranked = copy(self)
        ranked.rank = rank
        return ranked

    def expired(self) -> OperationTimeoutError:
        """Make the error that says that the time is up."""
        return OperationTimeoutError(self.operation, self.seconds)

    def sleep(self, seconds: float) -> None:
        """Pause, ending early on cancellation; raises as `left` does."""
        self.cancellation.wait(self.at_most(seconds))
        self.left()
