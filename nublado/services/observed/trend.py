"""How spawns went lately, counted in steps of a few minutes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.models.domain.status import TrendStep

__all__ = ["TREND_SECONDS", "spawn_trend"]

TREND_SECONDS = 3600
"""How far back it goes."""

_STEP_SECONDS = 300


def spawn_trend(
    entries: Iterable[HistoryEntry], now: datetime
) -> tuple[TrendStep, ...]:
    """Count spawns that came to an end in the last hour, the oldest first.

    Steps begin at full 5 minutes, so that the trend is the same until the next.
    Spawns that were cancelled, or went on in another process, do not count.

    Parameters
    ----------
    entries
        What has come to an end.
    now
        End of the hour.
    """
    last = int(now.timestamp()) // _STEP_SECONDS
    first = last - TREND_SECONDS // _STEP_SECONDS + 1
    counts = {step: [0, 0] for step in range(first, last + 1)}
    for entry in entries:
        step = int(entry.ended.timestamp()) // _STEP_SECONDS
        if entry.kind is HistoryKind.SPAWN and step in counts:
            counts[step][0] += entry.result is Result.SUCCEEDED
            counts[step][1] += entry.result is Result.FAILED
    return tuple(
        TrendStep(_moment(step), succeeded, failed)
        for step, (succeeded, failed) in counts.items()
    )


def _moment(step: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=step * _STEP_SECONDS)
