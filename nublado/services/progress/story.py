"""Which operation a page tells of, and what that needs to know of it.

That is the newest one, with one exception: what clears away after a spawn that
failed, JupyterHub or this service, must not hide why it failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from nublado.events import Event, EventType
from nublado.models.domain.failure import Cause
from nublado.models.domain.history import Asker, HistoryEntry, HistoryKind, Result
from nublado.services.lab.deletion import Deletion
from nublado.services.lab.lost import LostSpawn
from nublado.services.lab.spawn import Spawn
from nublado.services.operation import AnyOperation

__all__ = ["Story", "StoryKind", "story_of"]

_UNASKED = (Asker.HUB, Asker.SERVICE)


class StoryKind(StrEnum):
    """What an operation is to the user."""

    SPAWN = "spawn"
    LOST_SPAWN = "lost spawn"
    DELETION = "deletion"
    CANCELLATION = "cancellation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An operation as far as its user is told of it.

    Parameters
    ----------
    kind
        What it is.
    events
        What has happened in it.
    accepted, began
        When it was accepted, and begun (seconds since the epoch); ``began`` is None
        if it has not begun, or nobody knows.
    cancelled
        Whether somebody has cancelled it.
    cause
        What went wrong, if it failed.
    trouble
        What keeps it waiting; None if nothing does.
    asker
        Who wanted it, if it is a deletion.
    node
        Where the lab is, or was; None where unknown.
    request_id
        What its lines in the log have in common.
    reason
        Why it failed, in the words of the log.
    is_recalled
        Whether an earlier process has done it, so that there are no events.
    recalled
        What is still known of that; None if nothing is.
    """

    kind: StoryKind
    events: tuple[Event, ...]
    accepted: float
    began: float | None = None
    cancelled: bool = False
    cause: Cause | None = None
    trouble: Cause | None = None
    asker: Asker | None = None
    node: str | None = None
    request_id: str | None = None
    reason: str | None = None
    is_recalled: bool = False
    recalled: HistoryEntry | None = None

    @property
    def ended(self) -> float | None:
        """When it ended (seconds since the epoch); None if not, or nobody knows."""
        if self.is_recalled:
            return self.recalled.ended.timestamp() if self.recalled else None
        return self.end.timestamp if self.end else None

    @property
    def end(self) -> Event | None:
        """Its last event; None while it goes on."""
        if self.events and self.events[-1].type.is_last:
            return self.events[-1]
        return None

    @property
    def is_of_spawn(self) -> bool:
        """Whether it is about a lab that is to come."""
        return self.kind in (StoryKind.SPAWN, StoryKind.LOST_SPAWN)


def story_of(operation: AnyOperation, history: Sequence[HistoryEntry]) -> Story:
    """Choose what to tell.

    Parameters
    ----------
    operation
        The newest operation on the lab.
    history
        What was done for its user, the newest first.
    """
    if isinstance(operation, Deletion) and operation.asker in _UNASKED:
        failed = _failed_spawn(history)
        if failed is not None and not operation.cancels_spawn:
            return _of_entry(failed)
    story = _of_operation(operation, history)
    is_done = story.end is not None and story.end.type is EventType.COMPLETE
    if story.kind is StoryKind.SPAWN and is_done and story.began is None:
        return _recalled(story, history)
    return story


def _recalled(story: Story, history: Sequence[HistoryEntry]) -> Story:
    """Tell of a spawn that an earlier process has brought to its good end."""
    entry = _newest_spawn(history)
    started = entry.started if entry is not None else None
    return replace(
        story,
        accepted=started.timestamp() if started else story.accepted,
        is_recalled=True,
        recalled=entry,
    )


def _of_operation(operation: AnyOperation, history: Sequence[HistoryEntry]) -> Story:
    failure = operation.failure
    trouble = operation.trouble if isinstance(operation, Spawn) else None
    return Story(
        kind=_kind(operation),
        events=operation.events.all(),
        accepted=operation.started,
        began=operation.began,
        cancelled=operation.cancelled,
        cause=failure.cause if failure else None,
        trouble=trouble.cause if trouble else None,
        asker=operation.asker if isinstance(operation, Deletion) else None,
        node=operation.node if isinstance(operation, Spawn) else _node_of(history),
        request_id=operation.request_id,
        reason=failure.text if failure else None,
    )


def _of_entry(entry: HistoryEntry) -> Story:
    """Tell of a spawn that failed before what is left of it was cleared away."""
    started = entry.started or entry.ended
    return Story(
        kind=StoryKind.SPAWN,
        events=entry.events,
        accepted=started.timestamp(),
        cause=Cause(entry.cause) if entry.cause in set(Cause) else Cause.INTERNAL,
        node=entry.node,
        request_id=entry.request_id,
        reason=entry.reason,
    )


def _failed_spawn(history: Sequence[HistoryEntry]) -> HistoryEntry | None:
    """The last thing done but clearing away, if that is a spawn that failed."""
    for entry in history:
        if entry.kind is HistoryKind.DELETION and entry.asker in _UNASKED:
            continue
        is_failed = entry.kind is HistoryKind.SPAWN and entry.result is Result.FAILED
        return entry if is_failed else None
    return None


def _kind(operation: AnyOperation) -> StoryKind:
    if isinstance(operation, LostSpawn):
        return StoryKind.LOST_SPAWN
    if not isinstance(operation, Deletion):
        return StoryKind.SPAWN
    if operation.cancels_spawn:
        return StoryKind.CANCELLATION
    return StoryKind.DELETION


def _node_of(history: Sequence[HistoryEntry]) -> str | None:
    """Where the newest lab of a user was."""
    newest = _newest_spawn(history)
    return newest.node if newest is not None else None


def _newest_spawn(history: Sequence[HistoryEntry]) -> HistoryEntry | None:
    return next((e for e in history if e.kind is HistoryKind.SPAWN), None)
