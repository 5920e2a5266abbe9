"""What has been done for a user, and what has happened to their lab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nublado.events import Event

__all__ = ["Asker", "HistoryEntry", "HistoryKind", "Result", "SpawnPhase"]


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
    CLEARED = "cleared"
    """Until what is left of an earlier lab is gone, if anything is."""
    CREATED = "created"
    """Until all objects are made."""
    SCHEDULED = "scheduled"
    """Until its pod has a node."""
    PREPARED = "prepared"
    """Until its volumes are mounted and its init containers are done."""
    PULLED = "pulled"
    """Until the node has the image of the lab."""
    STARTED = "started"
    """Until the lab's container runs."""


class Asker(StrEnum):
    """Who wanted a lab deleted."""

    USER = "user"
    HUB = "JupyterHub"
    OPERATOR = "operator"
    SERVICE = "service"
    """Nobody: it was of no use any more."""


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
    fetched
        Whether a node had to fetch the image of the lab; None where unknown.
    asker
        Who wanted it, for deletions of labs.
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
    fetched: bool | None = None
    asker: Asker | None = None
    request_id: str | None = None
    events: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def total_seconds(self) -> float | None:
        """From its beginning to its end; None where that is unknown."""
        if self.started is None:
            return None
        return (self.ended - self.started).total_seconds()
