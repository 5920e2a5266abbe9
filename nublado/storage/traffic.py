"""How an outside system responds: what fails, since when, and how slow it is."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Streak", "Traffic"]

_MOST_TIMES = 64
_WINDOW_SECONDS = 60.0
_STALE_SECONDS = 600.0
_WHILE_SECONDS = 20.0
_MANY = 3


@dataclass(frozen=True, slots=True)
class Streak:
    """Requests of a kind that fail one after another.

    Parameters
    ----------
    what
        What is requested, such as ``create Pod``.
    count
        How many have failed since one succeeded last.
    since
        When the first of them failed.
    reason
        How the last of them failed.
    """

    what: str
    count: int
    since: datetime
    reason: str


@dataclass(slots=True)
class _Failing:
    since: datetime
    first: float
    count: int
    reason: str
    latest: float

    @property
    def lasts(self) -> bool:
        """Whether it is more than an accident."""
        is_long = self.latest - self.first >= _WHILE_SECONDS
        return self.count >= _MANY or (self.count > 1 and is_long)


class Traffic:
    """Requests to one system, noted by any thread.

    Parameters
    ----------
    clock
        Clock that ages are measured with (seconds).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failing: dict[str, _Failing] = {}
        self._times: deque[tuple[float, float]] = deque(maxlen=_MOST_TIMES)
        self._latest: float | None = None

    def note_success(self, what: str, seconds: float | None = None) -> None:
        """Note a response, whatever it says.

        Parameters
        ----------
        what
            What was requested.
        seconds
            How long it took; None where that says nothing, as for a watch.
        """
        now = self._clock()
        with self._lock:
            self._latest = now
            if seconds is not None:
                self._times.append((now, seconds))
            self._failing.pop(what, None)

    def note_failure(self, what: str, reason: str) -> None:
        """Note that there was no response, or one that says that it cannot respond."""
        now = self._clock()
        with self._lock:
            self._latest = now
            failing = self._failing.get(what)
            if failing is None:
                self._failing[what] = _Failing(datetime.now(UTC), now, 1, reason, now)
            else:
                failing.count += 1
                failing.reason, failing.latest = reason, now

    def streaks(self) -> list[Streak]:
        """Requests that have failed three times in a row, or twice for a while.

        The longest comes first. What nobody has tried for ten minutes is left
        out.
        """
        now = self._clock()
        with self._lock:
            found = [
                Streak(what, failing.count, failing.since, failing.reason)
                for what, failing in self._failing.items()
                if failing.lasts and now - failing.latest < _STALE_SECONDS
            ]
        return sorted(found, key=lambda streak: streak.since)

    def median_seconds(self, least: int) -> float | None:
        """Median duration of the last minute; None if fewer than so many."""
        now = self._clock()
        with self._lock:
            times = [s for at, s in self._times if now - at < _WINDOW_SECONDS]
        return statistics.median(times) if len(times) >= least else None

    def idle_seconds(self) -> float:
        """Time since the last request; infinite before the first."""
        latest = self._latest
        return float("inf") if latest is None else self._clock() - latest
