"""When each phase of a spawn began and ended, read from its events.

The history, the metrics, the page of a spawn and the cause of one that ran out of
time all go by this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nublado.events import Event, EventType, Step
from nublado.models.domain.history import SpawnPhase
from nublado.services.builder.lab_containers import NOTEBOOK

__all__ = ["Stretch", "current_phase", "is_resumed", "timeline", "was_fetched"]

_REPLAY_SECONDS = 1.0
"""How long after it was resumed a spawn hears again of what was before."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time that one phase took.

    Parameters
    ----------
    phase
        The phase.
    began
        When it began (seconds since the epoch); None where another process saw
        that.
    ended
        When it ended; None while it goes on.
    """

    phase: SpawnPhase
    began: float | None
    ended: float | None

    def seconds(self, now: float) -> float | None:
        """How long it took, or has taken until now; None where that is unknown."""
        if self.began is None:
            return None
        return max(0.0, (now if self.ended is None else self.ended) - self.began)


def timeline(
    events: Sequence[Event],
    *,
    accepted: float,
    began: float | None,
    ended: float | None = None,
) -> tuple[Stretch, ...]:
    """Tell when each phase of a spawn began and ended, in their order.

    A phase whose end nobody reported is part of the one that follows; the last is
    the one that goes on, or in which the spawn ended.

    Parameters
    ----------
    events
        Its events so far.
    accepted, began, ended
        When it was accepted, begun and over (seconds since the epoch). None for
        what has not happened.
    """
    marks = _marks(events, began)
    stretches: list[Stretch] = []
    before = accepted
    for phase, mark in marks.items():
        if mark is not None:
            stretches.append(Stretch(phase, before, max(before, mark)))
            before = max(before, mark)
    if stretches and stretches[-1].phase is SpawnPhase.STARTED:
        last = stretches.pop()
        stretches.append(Stretch(last.phase, last.began, ended or last.ended))
    else:
        phase = _following(stretches[-1].phase if stretches else None, events)
        end = None if ended is None else max(before, ended)
        stretches.append(Stretch(phase, before, end))
    if is_resumed(events):
        return tuple(_without_what_was_before(stretches, events[0].timestamp))
    return tuple(stretches)


def current_phase(events: Sequence[Event], began: float | None) -> SpawnPhase:
    """Which phase a spawn is in, or was in when it ended."""
    return timeline(events, accepted=0.0, began=began)[-1].phase


def is_resumed(events: Sequence[Event]) -> bool:
    """Whether an earlier process began with it."""
    return bool(events) and events[0].step is Step.RESUMED


def was_fetched(events: Sequence[Event]) -> bool | None:
    """Whether a node had to fetch the image of the lab; None if nobody said yet.

    Of a spawn that an earlier process began with, the beginning may be unknown.
    """
    reasons = {event.reason for event in events if event.container == NOTEBOOK}
    if "Pulling" in reasons:
        return True
    return False if "Pulled" in reasons and not is_resumed(events) else None


def _marks(
    events: Sequence[Event], began: float | None
) -> dict[SpawnPhase, float | None]:
    """When each phase ended, as far as that is known."""
    of_lab = [event for event in events if event.container == NOTEBOOK]
    pulled = [event for event in events if event.container in (NOTEBOOK, None)]
    complete = (e.timestamp for e in events if e.type is EventType.COMPLETE)
    return {
        SpawnPhase.ACCEPTED: began,
        SpawnPhase.CLEARED: _last(events, Step.CLEARED),
        SpawnPhase.CREATED: _last(events, Step.CREATED),
        SpawnPhase.SCHEDULED: _last(events, Step.SCHEDULED),
        SpawnPhase.PREPARED: of_lab[0].timestamp if of_lab else None,
        SpawnPhase.PULLED: _last(pulled, Step.PULLED),
        SpawnPhase.STARTED: next(complete, _started(of_lab)),
    }


def _started(of_lab: Iterable[Event]) -> float | None:
    moments = [event.timestamp for event in of_lab if event.reason == "Started"]
    return max(moments, default=None)


def _last(events: Iterable[Event], step: Step) -> float | None:
    return max((e.timestamp for e in events if e.step is step), default=None)


def _following(phase: SpawnPhase | None, events: Sequence[Event]) -> SpawnPhase:
    """Which phase comes after one; clearing away is left out where nothing is."""
    if phase is None:
        return SpawnPhase.ACCEPTED
    order = list(SpawnPhase)
    following = order[order.index(phase) + 1]
    is_clearing = any(event.step is Step.CLEARING for event in events)
    if following is SpawnPhase.CLEARED and not is_clearing:
        return SpawnPhase.CREATED
    return following


def _without_what_was_before(
    stretches: Iterable[Stretch], resumed: float
) -> Iterable[Stretch]:
    """Forget the beginnings that this process has only been told of."""
    for stretch in stretches:
        is_old = stretch.began is None or stretch.began < resumed + _REPLAY_SECONDS
        yield Stretch(stretch.phase, None if is_old else stretch.began, stretch.ended)
