"""What has been done for a user, and what has happened to their lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nublado.events import Event

__all__ = ["HistoryEntry", "HistoryKind", "Result", "SpawnPhase"]


class HistoryKind(StrEnum):
    """What an entry is about."""

    SPAWN = "spawn"
    DELETION = "deletion"
    LAB_ENDED = "lab-ended"
    LAB_RESTARTED = "lab-restarted"
    FILESERVER_CREATION = "fileserver-creation"
    FILESERVER_DELETION = "fileserver-deletion"
    FSADMIN_CREATION = "fsadmin-creation"
    FSADMIN_DELETION = "fsadmin-deletion"


class Result(StrEnum):
    """How an operation came to its end."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    HANDED_OVER = "handed-over"
    """The process stopped; the next one goes on with it."""


class SpawnPhase(StrEnum):
    """What a spawn spends its time with, in this order."""

    ACCEPTED = "accepted"
    """Until a thread begins with it."""
    CREATED = "created"
    """Until all objects are made, what is left of an earlier lab removed first."""
    SCHEDULED = "scheduled"
    """Until its pod has a node."""
    PULLED = "pulled"
    """Until the node has all images."""
    STARTED = "started"
    """Until the lab's container runs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HistoryEntry:
    """An operation that is over, or something that happened to a lab.

    Parameters
    ----------
    kind
        What it is about.
    username
        Whose lab or file server.
    started, ended
        When; ``started`` is None where nobody knows.
    result
        How it came to its end. What happens to a lab unasked has failed.
    reason
        Why, in words; None if it succeeded.
    cause
        The same as one of few words, for counting.
    seconds
        How long each phase of a spawn took.
    image, size, node
        What it was about; None where unknown.
    enable_debug
        Whether a lab was asked to log more.
    bytes_pulled
        How much nodes fetched for it; None where they do not say.
    request_id
        What its lines in the log have in common.
    events
        What its listeners were told.
    """

    kind: HistoryKind
    username: str
    ended: datetime
    result: Result
    started: datetime | None = None
    reason: str | None = None
    cause: str | None = None
    seconds: Mapping[SpawnPhase, float] = field(default_factory=dict)
    image: str | None = None
    size: str | None = None
    enable_debug: bool = False
    node: str | None = None
    bytes_pulled: int | None = None
    request_id: str | None = None
    events: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def total_seconds(self) -> float | None:
        """From its beginning to its end; None where that is unknown."""
        if self.started is None:
            return None
        return (self.ended - self.started).total_seconds()
