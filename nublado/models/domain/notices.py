"""What operators tell users: that no labs can be started, or anything else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

__all__ = ["MAX_MESSAGE", "Notice", "Notices"]

MAX_MESSAGE = 1000
"""Longest message (characters)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that operators tell users.

    Parameters
    ----------
    message
        The text.
    by
        Who said so.
    since
        Since when.
    until
        When it ends by itself; None if somebody has to end it.
    """

    message: str
    by: str
    since: datetime
    until: datetime | None = None

    def holds_at(self, now: datetime) -> bool:
        """Whether it has not ended by itself."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Notices:
    """All that is told.

    Parameters
    ----------
    drain
        Why no labs can be started; None if they can.
    announcement
        What else users should know.
    """

    drain: Notice | None = None
    announcement: Notice | None = None

    def at(self, now: datetime) -> Notices:
        """Leave out what has ended."""
        return replace(
            self,
            drain=_if_holds(self.drain, now),
            announcement=_if_holds(self.announcement, now),
        )


def _if_holds(notice: Notice | None, now: datetime) -> Notice | None:
    return notice if notice is not None and notice.holds_at(now) else None
