"""The steps of operations, as users are shown them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nublado.events import Event, EventType, Step
from nublado.models.domain.history import SpawnPhase
from nublado.services.observed.steps import (
    DeletionPhase,
    LabStep,
    Mark,
    deletion_steps,
    spawn_steps,
)

_ACCEPTED = Event(1, EventType.INFO, "", 1, 1.0, Step.ACCEPTED)
_CREATED = Event(2, EventType.INFO, "", 30, 3.0, Step.CREATED)
_FAILED = Event(3, EventType.FAILED, "", None, 8.0)
_STOPPING = Event(1, EventType.INFO, "", 25, 1.0, Step.STOPPING)
_REMOVING = Event(2, EventType.INFO, "", 62, 4.0, Step.REMOVING)
_DONE = Event(3, EventType.COMPLETE, "", 100, 9.0)


def marks(steps: tuple[LabStep, ...]) -> dict[str, Mark]:
    return {step.phase.value: step.mark for step in steps}


def test_a_spawn_in_the_middle() -> None:
    steps = spawn_steps([_ACCEPTED, _CREATED], accepted=0.0, began=0.5, now=10.0)
    assert marks(steps) == {
        "accepted": Mark.DONE,
        "created": Mark.DONE,
        "scheduled": Mark.NOW,
        "prepared": Mark.AHEAD,
        "pulled": Mark.AHEAD,
        "started": Mark.AHEAD,
    }
    seconds = {step.phase: step.seconds for step in steps}
    assert seconds[SpawnPhase.CREATED] == 2.5
    assert seconds[SpawnPhase.SCHEDULED] == 7.0
    assert seconds[SpawnPhase.PULLED] is None


@pytest.mark.parametrize(
    ("cancelled", "mark"), [(False, Mark.FAILED), (True, Mark.LEFT)]
)
def test_the_step_in_which_it_ended_is_marked(cancelled: bool, mark: Mark) -> None:
    steps = spawn_steps(
        [_ACCEPTED, _CREATED, _FAILED],
        accepted=0.0,
        began=0.5,
        now=100.0,
        cancelled=cancelled,
    )
    (ended,) = [step for step in steps if step.phase is SpawnPhase.SCHEDULED]
    assert (ended.mark, ended.seconds) == (mark, 5.0)


def test_what_was_done_before_a_restart_is_done() -> None:
    events = [replace(_ACCEPTED, step=Step.RESUMED), _CREATED]
    steps = spawn_steps(events, accepted=0.0, began=0.9, now=10.0)
    assert steps[0].mark is Mark.DONE
    assert steps[0].seconds is None


def test_a_deletion() -> None:
    steps = deletion_steps([_STOPPING], accepted=0.0, now=3.0)
    assert steps == (
        LabStep(DeletionPhase.STOPPED, Mark.NOW, 3.0),
        LabStep(DeletionPhase.REMOVED, Mark.AHEAD),
    )
    steps = deletion_steps([_STOPPING, _REMOVING, _DONE], accepted=0.0, now=99.0)
    assert steps == (
        LabStep(DeletionPhase.STOPPED, Mark.DONE, 4.0),
        LabStep(DeletionPhase.REMOVED, Mark.DONE, 5.0),
    )


def test_a_deletion_of_which_nothing_but_the_end_is_known() -> None:
    steps = deletion_steps([_DONE], accepted=0.0, now=99.0)
    assert marks(steps) == {"stopped": Mark.DONE, "removed": Mark.DONE}
