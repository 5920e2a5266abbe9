"""When each phase of a spawn began and ended, by its events."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nublado.events import Event, EventType, Step
from nublado.models.domain.history import SpawnPhase
from nublado.services.observed.timeline import current_phase, timeline, was_fetched

_SPAWN: tuple[tuple[Step | None, str | None, str | None], ...] = (
    (Step.ACCEPTED, None, None),
    (Step.CLEARING, None, None),
    (Step.CLEARED, None, None),
    (Step.CREATED, None, None),
    (Step.SCHEDULED, "Scheduled", None),
    (Step.PULLING, "Pulling", "inithome"),
    (Step.PULLED, "Pulled", "inithome"),
    (Step.PREPARING, "Started", "inithome"),
    (Step.PULLING, "Pulling", "notebook"),
    (Step.PULLED, "Pulled", "notebook"),
    (Step.STARTING, "Created", "notebook"),
    (Step.STARTING, "Started", "notebook"),
)


def log(
    *steps: tuple[Step | None, str | None, str | None], at: float = 0.0
) -> list[Event]:
    """Make events that are one second apart."""
    return [
        Event(number, EventType.INFO, "", None, at + number, step, reason, container)
        for number, (step, reason, container) in enumerate(steps, start=1)
    ]


def test_each_phase_ends_where_the_next_begins() -> None:
    found = timeline(log(*_SPAWN), accepted=0.0, began=0.5, ended=13.0)
    assert {each.phase: (each.began, each.ended) for each in found} == {
        SpawnPhase.ACCEPTED: (0.0, 0.5),
        SpawnPhase.CLEARED: (0.5, 3.0),
        SpawnPhase.CREATED: (3.0, 4.0),
        SpawnPhase.SCHEDULED: (4.0, 5.0),
        SpawnPhase.PREPARED: (5.0, 9.0),
        SpawnPhase.PULLED: (9.0, 10.0),
        SpawnPhase.STARTED: (10.0, 13.0),
    }


def test_images_of_init_containers_are_part_of_getting_ready() -> None:
    events = log(*_SPAWN[:8])
    assert current_phase(events, 0.0) is SpawnPhase.PREPARED
    assert was_fetched(events) is None
    assert was_fetched(log(*_SPAWN[:9])) is True
    assert was_fetched(log((Step.PULLED, "Pulled", "notebook"))) is False


def test_a_resumed_spawn_may_not_know_whether_an_image_was_fetched() -> None:
    resumed, pulled = (Step.RESUMED, None, None), (Step.PULLED, "Pulled", "notebook")
    assert was_fetched(log(resumed, pulled)) is None
    assert was_fetched(log(resumed, (Step.PULLING, "Pulling", "notebook"))) is True


def test_the_present_phase_has_no_end() -> None:
    *before, last = timeline(log(*_SPAWN[:4]), accepted=0.0, began=0.5)
    assert (last.phase, last.began, last.ended) == (SpawnPhase.SCHEDULED, 4.0, None)
    assert last.seconds(now=10.0) == 6.0
    assert all(each.ended is not None for each in before)


def test_clearing_away_is_a_phase_only_where_there_is_something() -> None:
    events = log(_SPAWN[0])
    assert current_phase(events, None) is SpawnPhase.ACCEPTED
    assert current_phase(events, 0.5) is SpawnPhase.CREATED
    assert current_phase(log(*_SPAWN[:2]), 0.5) is SpawnPhase.CLEARED


def test_what_another_process_saw_has_no_beginning() -> None:
    steps = ((Step.RESUMED, None, None), *_SPAWN[4:])
    replayed = [
        Event(
            e.number,
            e.type,
            "",
            None,
            100.0 + e.number / 1000,
            e.step,
            e.reason,
            e.container,
        )
        for e in log(*steps[:-4])
    ]
    later = log(*steps[-4:], at=120.0)
    found = timeline([*replayed, *later], accepted=0.0, began=100.0, ended=130.0)
    known = {each.phase: each.seconds(130.0) for each in found}
    assert known == {
        SpawnPhase.ACCEPTED: None,
        SpawnPhase.SCHEDULED: None,
        SpawnPhase.PREPARED: None,
        SpawnPhase.PULLED: 1.0,
        SpawnPhase.STARTED: 8.0,
    }


@given(
    st.lists(st.sampled_from(_SPAWN), max_size=20),
    st.none() | st.floats(0, 3),
    st.booleans(),
)
def test_phases_follow_one_another_without_a_gap(
    steps: list[tuple[Step | None, str | None, str | None]],
    began: float | None,
    is_over: bool,
) -> None:
    """Whatever comes in whatever order."""
    events = log(*steps)
    end = float(len(steps) + 4)
    found = timeline(events, accepted=0.0, began=began, ended=end if is_over else None)
    order = list(SpawnPhase)
    numbers = [order.index(each.phase) for each in found]
    assert numbers == sorted(set(numbers))
    assert found[0].began == 0.0
    for each, following in pairwise(found):
        assert each.ended == following.began
    if is_over:
        spent = sum(each.seconds(end) or 0.0 for each in found)
        assert abs(spent - end) < 1e-6
