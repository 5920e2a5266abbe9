"""Tells whoever follows of changes, in one order, and remembers the latest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import structlog

from nublado.sandbox.kubernetes.history import Change, History
from nublado.sandbox.kubernetes.resources import KINDS

__all__ = ["Feed", "Follower"]

Follower = Callable[[Change], None]

_logger = structlog.get_logger(__name__)


class Feed:
    """The changes of all kinds.

    Parameters
    ----------
    capacity
        How many changes of each kind are kept.
    """

    def __init__(self, capacity: int) -> None:
        self._histories = {kind.kind: History(capacity) for kind in KINDS}
        self._followers: dict[str | None, list[Follower]] = {}
        self._undelivered: deque[tuple[str, Change]] = deque()
        self._delivering = False

    def follow(self, kind: str | None, follower: Follower) -> Callable[[], None]:
        """Be told of changes.

        Parameters
        ----------
        kind
            Kind to be told about; None for all.
        follower
            Called with each change. It may change the store; it must not wait.

        Returns
        -------
        Callable
            Ends it.
        """
        followers = self._followers.setdefault(kind, [])
        followers.append(follower)
        return lambda: followers.remove(follower)

    def publish(self, kind: str, change: Change) -> None:
        """Remember a change and tell of it."""
        self._histories[kind].append(change)
        self._undelivered.append((kind, change))
        # A follower may change the store. What it does is told after the change
        # that it reacts to has reached everybody, so that all see one order.
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._undelivered:
                self._deliver(*self._undelivered.popleft())
        finally:
            self._delivering = False

    def since(self, kind: str, version: int) -> list[Change]:
        """Return changes of a kind after a version, oldest first.

        Raises
        ------
        ApiError
            Raised if some of them have been forgotten (410).
        """
        return list(self.backwards(kind, version))[::-1]

    def backwards(self, kind: str, version: int) -> Iterator[Change]:
        """Changes of a kind after a version, newest first; see `since`."""
        return self._histories[kind].backwards(version)

    def compact(self, version: int) -> None:
        """Forget everything up to and including a version."""
        for history in self._histories.values():
            history.compact(version)

    def restart(self, version: int) -> None:
        """Forget everything; what comes is after a version."""
        for history in self._histories.values():
            history.restart(version)

    def _deliver(self, kind: str, change: Change) -> None:
        for key in (kind, None):
            for follower in tuple(self._followers.get(key, ())):
                try:
                    follower(change)
                except Exception:
                    # One broken controller must not keep the others, or the
                    # client whose request this is, from going on.
                    _logger.exception("Reaction to a change failed", kind=kind)
