"""What was done lately for whom: bounded, in memory, newest first."""

from __future__ import annotations

import threading
from collections import deque
from datetime import UTC, datetime, timedelta

from nublado.metrics import (
    DELETION_SECONDS,
    FILESERVER_SECONDS,
    SPAWN_SECONDS,
    SPAWNS,
)
from nublado.models.domain.history import HistoryEntry, HistoryKind, Result

__all__ = ["History"]

_MOST_OF_USER = 20
_MOST = 5000
_MOST_SPAWNS = 500


class History:
    """Operations and ends of labs, noted by and shown to any thread.

    Parameters
    ----------
    most_of_user
        How many entries a user may have; the oldest go first.
    most
        How many entries there may be of all users.
    """

    def __init__(self, most_of_user: int = _MOST_OF_USER, most: int = _MOST) -> None:
        self._most_of_user = most_of_user
        self._most = most
        self._lock = threading.Lock()
        self._all: deque[HistoryEntry] = deque()
        self._by_user: dict[str, deque[HistoryEntry]] = {}
        self._spawns: deque[HistoryEntry] = deque(maxlen=_MOST_SPAWNS)

    def note(self, entry: HistoryEntry) -> None:
        """Add what has just come to its end, and count it."""
        _measure(entry)
        with self._lock:
            entries = self._by_user.setdefault(entry.username, deque())
            entries.append(entry)
            self._all.append(entry)
            if _is_good_spawn(entry):
                self._spawns.append(entry)
            if len(entries) > self._most_of_user:
                self._all.remove(entries.popleft())
            elif len(self._all) > self._most:
                self._drop_oldest()

    def recall(self, entry: HistoryEntry) -> None:
        """Add what an earlier process has brought to its end.

        It counts as nothing of this process, and is left out if anything is
        known of its user.
        """
        with self._lock:
            if entry.username not in self._by_user:
                self._by_user[entry.username] = deque([entry])
                self._all.appendleft(entry)
                if _is_good_spawn(entry) and len(self._spawns) < _MOST_SPAWNS:
                    self._spawns.appendleft(entry)

    def of(self, username: str) -> tuple[HistoryEntry, ...]:
        """What is known of a user, the newest first."""
        with self._lock:
            return tuple(reversed(self._by_user.get(username, ())))

    def since(self, seconds: float) -> tuple[HistoryEntry, ...]:
        """What ended in the last so many seconds, the newest first."""
        moment = datetime.now(UTC) - timedelta(seconds=seconds)
        with self._lock:
            entries = list(self._all)
        return tuple(e for e in reversed(entries) if e.ended >= moment)

    def spawns(self) -> tuple[HistoryEntry, ...]:
        """The last spawns that succeeded, of all users, the newest first."""
        with self._lock:
            spawns = list(self._spawns)
        return tuple(sorted(spawns, key=lambda entry: entry.ended, reverse=True))

    def _drop_oldest(self) -> None:
        oldest = self._all.popleft()
        entries = self._by_user[oldest.username]
        entries.remove(oldest)
        if not entries:
            del self._by_user[oldest.username]


def _is_good_spawn(entry: HistoryEntry) -> bool:
    return entry.kind is HistoryKind.SPAWN and entry.result is Result.SUCCEEDED


def _measure(entry: HistoryEntry) -> None:
    result, seconds = entry.result.value, entry.total_seconds or 0.0
    match entry.kind:
        case HistoryKind.SPAWN:
            SPAWNS.labels(result, entry.cause or "").inc()
            SPAWN_SECONDS.labels("total", result).observe(seconds)
            for phase, spent in entry.seconds.items():
                SPAWN_SECONDS.labels(phase.value, result).observe(spent)
        case HistoryKind.DELETION:
            DELETION_SECONDS.labels(result).observe(seconds)
        case HistoryKind.FILESERVER_CREATION:
            FILESERVER_SECONDS.labels("create", result).observe(seconds)
        case HistoryKind.FILESERVER_DELETION:
            FILESERVER_SECONDS.labels("delete", result).observe(seconds)
        case _:
            # Ends of labs are counted by reason, where they are found.
            return
