"""How long a spawn usually takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from nublado.models.domain.history import (
    HistoryEntry,
    HistoryKind,
    Result,
    SpawnPhase,
)
from nublado.services.observed.estimates import Basis, estimate

_END = datetime(2026, 12, 1, tzinfo=UTC)
_SECONDS = st.floats(0.1, 1000)


def spawn(
    seconds: float,
    *,
    image: str = "lab:w_1",
    size: str = "small",
    fetch: float | None = 0.0,
) -> HistoryEntry:
    """A spawn that took so long, ``fetch`` of it (None: unknown) for its image."""
    total = seconds + (fetch or 0.0)
    return HistoryEntry(
        kind=HistoryKind.SPAWN,
        username="rachel",
        started=_END - timedelta(seconds=total),
        ended=_END,
        result=Result.SUCCEEDED,
        seconds={SpawnPhase.PULLED: fetch or 0.0},
        image=image,
        size=size,
        fetched=None if fetch is None else fetch > 0,
    )


def test_the_median_of_the_same_image_and_size_counts() -> None:
    spawns = [spawn(seconds) for seconds in (40, 400, 38)]
    others = [spawn(5, image="other"), spawn(7, size="large")] * 3
    found = estimate([*others, *spawns], "lab:w_1", "small", fetched=False)
    assert found is not None
    assert (found.seconds, found.basis) == (40, Basis.IMAGE_AND_SIZE)
    assert found.total == 40


def test_the_image_matters_more_than_the_size() -> None:
    spawns = [
        *[spawn(10, size="large")] * 3,
        *[spawn(20, image="other")] * 3,
        *[spawn(30, image="other", size="large")] * 9,
    ]

    def basis(image: str, size: str) -> tuple[float, Basis]:
        found = estimate(spawns, image, size, fetched=False)
        assert found is not None
        return found.seconds, found.basis

    assert basis("lab:w_1", "small") == (10, Basis.IMAGE)
    assert basis("third", "small") == (20, Basis.SIZE)
    assert basis("third", "huge") == (30, Basis.ALL)


def test_too_few_say_nothing() -> None:
    assert estimate([spawn(1)] * 2, "lab:w_1", "small", fetched=False) is None
    assert estimate([], "lab:w_1", "small", fetched=None) is None


def test_fetching_is_told_apart() -> None:
    spawns = [spawn(40), spawn(40, fetch=120), spawn(40, fetch=60), spawn(40)]
    found = estimate(spawns, "lab:w_1", "small", fetched=True)
    assert found is not None
    assert found.seconds == 40
    assert (found.last_fetch_seconds, found.fetch_seconds) == (120, 90)
    assert found.total == 130
    found = estimate(spawns, "lab:w_1", "small", fetched=False)
    assert found is not None
    assert found.total == 40


def test_another_image_tells_how_long_fetching_takes() -> None:
    spawns = [spawn(40), spawn(40), spawn(40), spawn(40, image="other", fetch=77)]
    found = estimate(spawns, "lab:w_1", "small", fetched=True)
    assert found is not None
    assert (found.last_fetch_seconds, found.fetch_seconds) == (None, 77)


def test_spawns_of_before_a_restart_are_better_than_none() -> None:
    unknown = [spawn(100, fetch=None)] * 5
    found = estimate(unknown, "lab:w_1", "small", fetched=False)
    assert found is not None
    assert found.seconds == 100
    found = estimate([*unknown, *[spawn(40)] * 3], "lab:w_1", "small", fetched=False)
    assert found is not None
    assert found.seconds == 40


def test_what_was_long_ago_does_not_count() -> None:
    found = estimate(
        [*[spawn(10)] * 20, *[spawn(99)] * 400], "lab:w_1", "", fetched=False
    )
    assert found is not None
    assert found.seconds == 10


@given(st.lists(st.tuples(_SECONDS, st.floats(0, 500)), min_size=3, max_size=20))
def test_it_lies_within_what_was_seen_and_is_late_only_after_it(
    taken: list[tuple[float, float]],
) -> None:
    spawns = [spawn(seconds, fetch=fetch) for seconds, fetch in taken]
    for fetched in (True, False, None):
        found = estimate(spawns, "lab:w_1", "small", fetched=fetched)
        assert found is not None
        # Moments are counted in microseconds.
        assert min(s for s, _ in taken) - 1e-3 <= found.seconds
        assert found.seconds <= max(s for s, _ in taken) + 1e-3
        assert found.late_after >= found.total + 10 - 1e-3
        assert (found.fetch_seconds is None) == all(not fetch for _, fetch in taken)


@given(st.lists(_SECONDS, min_size=3, max_size=20), st.floats(1.0, 50.0))
def test_slower_spawns_never_make_it_shorter(taken: list[float], more: float) -> None:
    before = estimate(map(spawn, taken), "lab:w_1", "small", fetched=False)
    slower = [spawn(seconds + more) for seconds in taken]
    after = estimate(slower, "lab:w_1", "small", fetched=False)
    assert before is not None
    assert after is not None
    assert after.seconds >= before.seconds
    assert after.late_after >= before.late_after


@given(st.lists(_SECONDS, min_size=3, max_size=10), st.lists(_SECONDS, max_size=50))
def test_other_images_do_not_matter_where_this_one_is_known(
    taken: list[float], others: list[float]
) -> None:
    own = [spawn(seconds) for seconds in taken]
    foreign = [spawn(seconds, image="other") for seconds in others]
    alone = estimate(own, "lab:w_1", "small", fetched=False)
    assert estimate([*foreign, *own], "lab:w_1", "small", fetched=False) == alone


def test_spawns_without_a_beginning_do_not_count() -> None:
    timeless = [replace(spawn(1), started=None)] * 5
    assert estimate(timeless, "lab:w_1", "small", fetched=False) is None
