"""How many event streams there may be, so that threads are left for requests."""

from __future__ import annotations

import threading

__all__ = ["StreamSlots"]


class StreamSlots:
    """Counts the streams that are open.

    Parameters
    ----------
    limit
        How many there may be at a time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._open = 0

    @property
    def open(self) -> int:
        """How many are open."""
        return self._open

    def take(self) -> bool:
        """Open one more, if there may be more."""
        with self._lock:
            if self._open >= self.limit:
                return False
            self._open += 1
            return True

    def give_back(self) -> None:
        """Note that one was closed."""
        with self._lock:
            self._open -= 1
