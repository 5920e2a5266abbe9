"""Outside systems: Kubernetes, the login service, the registry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from nublado.models.domain.job import JobState
from nublado.models.domain.problem import Finding
from nublado.services.health import Check
from nublado.services.observed.lost_nodes import LostNode
from nublado.storage.kubernetes.watcher import Watcher
from nublado.storage.traffic import Streak, Traffic

__all__ = ["fails", "follows", "is_slow", "jobs_fail", "nodes_lost"]

_SLOW_SECONDS = 1.0
_LEAST_SAMPLES = 3
_LOST_SECONDS = 20.0
_SILENT_SECONDS = 90.0
_MISSED_SECONDS = 300.0
_MOST_NAMED = 5


def fails(traffic: Traffic | None) -> Check:
    """Whether requests to a system fail one after another."""

    def check() -> Finding | None:
        streaks = traffic.streaks() if traffic is not None else []
        if not streaks:
            return None
        return Finding("; ".join(_by_reason(streaks)), streaks[0].since)

    return check


def _by_reason(streaks: Sequence[Streak]) -> list[str]:
    """Tell each reason once, with all that fails for it and how often."""
    kinds: dict[str, list[Streak]] = {}
    for streak in streaks:
        kinds.setdefault(streak.reason, []).append(streak)
    return [
        f"{', '.join(map(_counted, group))}: {reason}"
        for reason, group in list(kinds.items())[:_MOST_NAMED]
    ]


def _counted(streak: Streak) -> str:
    return f"{streak.count} requests in a row failed ({streak.what})"


def is_slow(traffic: Traffic) -> Check:
    """Whether half of the requests of the last minutes took more than a second."""

    def check() -> Finding | None:
        seconds = traffic.median_seconds(_LEAST_SAMPLES)
        if seconds is None or seconds < _SLOW_SECONDS:
            return None
        return Finding(f"half of its responses take {seconds:.1f} s or more")

    return check


def follows(watchers: Sequence[Watcher]) -> Check:
    """Whether the watches follow the cluster, and are told what happens."""

    def check() -> Finding | None:
        found = [finding for watcher in watchers if (finding := _lost(watcher))]
        if not found:
            return None
        since = min(finding.since or datetime.now(UTC) for finding in found)
        return Finding("; ".join(finding.cause for finding in found), since)

    return check


def _lost(watcher: Watcher) -> Finding | None:
    kind, missed = watcher.spec.resource.plural, time.monotonic() - watcher.missed
    if watcher.lost > _LOST_SECONDS:
        reason = watcher.obstacle or "Kubernetes does not respond"
        return Finding(f"{kind} are not followed: {reason}", _ago(watcher.lost))
    if watcher.idle > _SILENT_SECONDS:
        text = f"the watch of {kind} is open, but nothing comes"
        return Finding(text, _ago(watcher.idle))
    if missed < _MISSED_SECONDS:
        text = f"the watch of {kind} was open, but did not show a change"
        return Finding(text, _ago(missed))
    return None


def jobs_fail(jobs: Callable[[], Mapping[str, JobState]]) -> Check:
    """Whether background jobs have failed since they last succeeded."""

    def check() -> Finding | None:
        failing = {name: job for name, job in jobs().items() if job.failures}
        if not failing:
            return None
        since = min(job.failing_since or job.last_success for job in failing.values())
        return Finding(
            "; ".join(
                f"{name} has failed {_times(job.failures)}: {job.error}"
                for name, job in sorted(failing.items())
            ),
            since,
        )

    return check


def nodes_lost(lost: Callable[[], Sequence[LostNode]]) -> Check:
    """Whether nodes that labs may run on do not answer."""

    def check() -> Finding | None:
        nodes = lost()
        if not nodes:
            return None
        named = ", ".join(node.name for node in nodes[:_MOST_NAMED])
        more = len(nodes) - _MOST_NAMED
        named += f" and {more} more" if more > 0 else ""
        since = min((node.since for node in nodes if node.since), default=None)
        return Finding(f"{named}: {nodes[0].reason}", since)

    return check


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)
