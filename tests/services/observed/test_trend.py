"""How spawns went lately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.services.observed.trend import spawn_trend

NOW = datetime(2026, 11, 25, 22, 7, 30, tzinfo=UTC)


def entry(
    minutes: float,
    result: Result = Result.SUCCEEDED,
    kind: HistoryKind = HistoryKind.SPAWN,
) -> HistoryEntry:
    ended = NOW - timedelta(minutes=minutes)
    return HistoryEntry(kind=kind, username="rachel", ended=ended, result=result)


def counts(*entries: HistoryEntry) -> list[tuple[int, int]]:
    return [(step.succeeded, step.failed) for step in spawn_trend(entries, NOW)]


def test_nothing_is_an_hour_of_nothing() -> None:
    assert counts() == [(0, 0)] * 12


def test_steps_begin_at_full_five_minutes() -> None:
    steps = spawn_trend([], NOW)
    assert steps[0].began == datetime(2026, 11, 25, 21, 10, tzinfo=UTC)
    assert steps[-1].began == datetime(2026, 11, 25, 22, 5, tzinfo=UTC)
    assert spawn_trend([], NOW + timedelta(seconds=149)) == steps
    assert spawn_trend([], NOW + timedelta(seconds=151)) != steps


def test_spawns_are_counted_where_they_ended() -> None:
    found = counts(
        entry(0), entry(1), entry(2, Result.FAILED), entry(3), entry(57), entry(58)
    )
    assert found[-1] == (2, 1)
    assert found[-2] == (1, 0)
    assert found[0] == (1, 0)
    assert sum(succeeded for succeeded, _ in found) == 4


def test_only_spawns_that_succeeded_or_failed_count() -> None:
    others = (
        entry(1, Result.CANCELLED),
        entry(1, Result.HANDED_OVER),
        entry(1, Result.FAILED, HistoryKind.LAB_ENDED),
        entry(1, Result.SUCCEEDED, HistoryKind.DELETION),
    )
    assert counts(*others) == [(0, 0)] * 12
