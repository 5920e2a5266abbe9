"""The steps of an operation on a lab, as its user is shown them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nublado.events import Event, EventType, Step
from nublado.models.domain.history import SpawnPhase
from nublado.services.observed.timeline import is_resumed, timeline

__all__ = [
    "DeletionPhase",
    "LabStep",
    "Mark",
    "deletion_steps",
    "recalled_steps",
    "spawn_steps",
]


class DeletionPhase(StrEnum):
    """What a deletion spends its time with, in this order."""

    STOPPED = "stopped"
    """Until the pod is gone."""
    REMOVED = "removed"
    """Until the namespace is gone, with all that is in it."""


class Mark(StrEnum):
    """How it stands with a step."""

    DONE = "done"
    NOW = "now"
    FAILED = "failed"
    LEFT = "left"
    """It was cut off: somebody has cancelled what it belongs to."""
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class LabStep:
    """One step.

    Parameters
    ----------
    phase
        Which one it is.
    mark
        How it stands with it.
    seconds
        How long it took, or has taken until now; None where that is not known.
    """

    phase: SpawnPhase | DeletionPhase
    mark: Mark
    seconds: float | None = None


def spawn_steps(
    events: Sequence[Event],
    *,
    accepted: float,
    began: float | None,
    now: float,
    cancelled: bool = False,
) -> tuple[LabStep, ...]:
    """List the steps of a spawn.

    Clearing away is one only where there is something to clear away.

    Parameters
    ----------
    events
        Its events so far.
    accepted, began, now
        When it was accepted and begun, and the time (seconds since the epoch).
    cancelled
        Whether somebody has cancelled it.
    """
    end = _end(events)
    stretches = {
        stretch.phase: stretch
        for stretch in timeline(
            events, accepted=accepted, began=began, ended=end.timestamp if end else None
        )
    }
    last = list(stretches)[-1]
    is_clearing = any(event.step is Step.CLEARING for event in events)
    steps = []
    for phase in SpawnPhase:
        if phase is SpawnPhase.CLEARED and not is_clearing:
            continue
        if phase is SpawnPhase.ACCEPTED and is_resumed(events):
            mark = Mark.DONE
        elif phase is last:
            mark = _last_mark(end, cancelled=cancelled)
        else:
            mark = Mark.DONE if _is_before(phase, last) else Mark.AHEAD
        known = stretches.get(phase)
        steps.append(LabStep(phase, mark, known.seconds(now) if known else None))
    return tuple(steps)


def recalled_steps(seconds: Mapping[SpawnPhase, float]) -> tuple[LabStep, ...]:
    """List the steps of a spawn that is done, of which only that is known.

    Parameters
    ----------
    seconds
        How long its phases took, as far as that is known.
    """
    phases = (phase for phase in SpawnPhase if phase is not SpawnPhase.CLEARED)
    return tuple(LabStep(phase, Mark.DONE, seconds.get(phase)) for phase in phases)


def deletion_steps(
    events: Sequence[Event], *, accepted: float, now: float
) -> tuple[LabStep, ...]:
    """List the steps of a deletion; parameters as of `spawn_steps`."""
    end = _end(events)
    over = end.timestamp if end else None
    removing = next((e.timestamp for e in events if e.step is Step.REMOVING), None)
    last_mark = _last_mark(end, cancelled=False)
    stopping_over = over if removing is None else removing
    stopped = LabStep(
        DeletionPhase.STOPPED,
        last_mark if removing is None else Mark.DONE,
        max(0.0, (stopping_over or now) - accepted),
    )
    if removing is None:
        is_done = last_mark is Mark.DONE
        return stopped, LabStep(
            DeletionPhase.REMOVED, Mark.DONE if is_done else Mark.AHEAD
        )
    seconds = max(0.0, (over or now) - removing)
    return stopped, LabStep(DeletionPhase.REMOVED, last_mark, seconds)


def _end(events: Sequence[Event]) -> Event | None:
    """The last event of an operation that is over."""
    return events[-1] if events and events[-1].type.is_last else None


def _last_mark(end: Event | None, *, cancelled: bool) -> Mark:
    if cancelled:
        return Mark.LEFT
    if end is None:
        return Mark.NOW
    return Mark.DONE if end.type is EventType.COMPLETE else Mark.FAILED


def _is_before(phase: SpawnPhase, other: SpawnPhase) -> bool:
    order = list(SpawnPhase)
    return order.index(phase) < order.index(other)
