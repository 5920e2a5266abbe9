"""How many threads are busy with requests."""

from __future__ import annotations

import threading

__all__ = ["RequestLoad"]


class RequestLoad:
    """Counts requests that threads are busy with.

    Parameters
    ----------
    limit
        How many there may be at a time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._busy = 0

    @property
    def busy(self) -> int:
        """How many there are."""
        return self._busy

    def begin(self) -> None:
        """Count a request that begins."""
        with self._lock:
            self._busy += 1

    def end(self) -> None:
        """Count a request as over."""
        with self._lock:
            self._busy -= 1
