"""When many users want labs at once, all get a response before work begins."""

from __future__ import annotations

import threading
import time
from collections import deque

__all__ = ["Surge"]

_MANY = 50
_WINDOW_SECONDS = 1.0
_QUIET_SECONDS = 0.1
_LONGEST_SECONDS = 0.5


class Surge:
    """Notices that many requests are being accepted, and lets work wait.

    Spawns compete for the processor with the requests of users who have not
    had a response yet. In a surge they begin once no more requests come, but
    none waits long: until it has made its first objects, a crash loses it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: deque[float] = deque(maxlen=_MANY)
        self._began = 0.0
        self._over = threading.Event()

    def note(self) -> None:
        """Note that a request has been accepted."""
        now = time.monotonic()
        with self._lock:
            if not self._noted or now - self._noted[-1] > _WINDOW_SECONDS:
                self._began = now
            self._noted.append(now)

    def wait(self) -> None:
        """Wait for the end of a surge, if there is one, but not for long."""
        while not self._over.is_set() and (pause := self._until_quiet()) > 0:
            self._over.wait(pause)

    def end(self) -> None:
        """Let nothing wait any more."""
        self._over.set()

    def _until_quiet(self) -> float:
        """Seconds after which it may be quiet; none if there is no surge."""
        now = time.monotonic()
        with self._lock:
            many = len(self._noted) == _MANY
            if not many or self._noted[-1] - self._noted[0] > _WINDOW_SECONDS:
                return 0.0
            quiet = self._noted[-1] + _QUIET_SECONDS
            latest = self._began + _LONGEST_SECONDS
        return min(quiet, latest) - now
