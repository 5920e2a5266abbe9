"""When many users want labs at once, all get a response before work begins."""

from __future__ import annotations

import threading
import time

__all__ = ["Surge"]

_MANY = 8
_HELD_SECONDS = 3.0
_PAUSE_SECONDS = 0.04
_LONGEST_SECONDS = 15.0


class Surge:
    """Knows how many users wait for a response, and lets work wait meanwhile.

    Spawns compete for the processor with the requests of users who have not
    had a response yet. They begin once few are left of these. But until it has
    made its first objects, a crash loses a spawn: after 3 s they begin anyway, one
    after the other, so that users still get responses meanwhile; after 15 s at once.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._unanswered = 0
        self._over = False
        self._last_began = 0.0

    @property
    def unanswered(self) -> int:
        """How many users wait for a response."""
        return self._unanswered

    def arrive(self) -> None:
        """Count a request for a lab that has come."""
        with self._changed:
            self._unanswered += 1

    def answer(self) -> None:
        """Count a request for a lab as answered."""
        with self._changed:
            self._unanswered -= 1
            if self._unanswered < _MANY:
                self._changed.notify_all()

    def wait(self, submitted: float) -> None:
        """Wait until few users wait for a response, but not for long.

        Parameters
        ----------
        submitted
            When what waits here was submitted, by the monotonic clock.
        """
        with self._changed:
            begin = max(submitted + _HELD_SECONDS, self._last_began + _PAUSE_SECONDS)
            begin = min(begin, submitted + _LONGEST_SECONDS)
            while not self._over and self._unanswered >= _MANY:
                left = begin - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._last_began = time.monotonic()

    def end(self) -> None:
        """Let nothing wait any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
