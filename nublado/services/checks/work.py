"""What is done for users: spawns, labs, file servers, prepulling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from nublado.models.domain.failure import Cause
from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.models.domain.problem import Finding
from nublado.services.fileserver.service import FileserverService
from nublado.services.health import Check
from nublado.services.history import History
from nublado.services.lab.record import LabTable
from nublado.services.lab.spawn import Spawn, SpawnTrouble
from nublado.services.prepuller import StuckPull

__all__ = [
    "fileservers_fail",
    "labs_die",
    "near_limit",
    "prepulling_is_stuck",
    "spawns_fail",
    "spawns_wait",
]

_WINDOW_SECONDS = 15 * 60.0
_MANY = 3
_SHARE = 0.25
_ALL = 2
_MOST_NAMED = 5
_PATIENCE = {Cause.NO_ROOM: 120.0, Cause.NO_NODE: 120.0}
_DEFAULT_PATIENCE = 20.0
_FILESERVER_SECONDS = 45.0
_NEAR = 0.9


def spawns_fail(history: History) -> Check:
    """Whether many of the spawns of the last quarter of an hour have failed.

    It is over once three in a row have succeeded.
    """

    def check() -> Finding | None:
        over = [
            entry
            for entry in history.since(_WINDOW_SECONDS)
            if entry.kind is HistoryKind.SPAWN
            and entry.result in (Result.SUCCEEDED, Result.FAILED)
        ]
        failed = [entry for entry in over if entry.result is Result.FAILED]
        if not any(entry in failed for entry in over[:_MANY]):
            return None
        is_many = len(failed) >= _MANY and len(failed) >= _SHARE * len(over)
        if not is_many and (len(failed) < _ALL or len(failed) < len(over)):
            return None
        return Finding(
            f"{len(failed)} of {len(over)} spawns failed in the last 15 minutes:"
            f" {_by_cause(failed)}",
            failed[-1].ended,
        )

    return check


def spawns_wait(table: LabTable) -> Check:
    """Whether spawns wait for something that may not come."""

    def check() -> Finding | None:
        waiting = [
            trouble
            for record in table
            if isinstance(record.operation, Spawn)
            and (trouble := record.operation.trouble) is not None
            and _seconds_since(trouble.since)
            > _PATIENCE.get(trouble.cause, _DEFAULT_PATIENCE)
        ]
        if not waiting:
            return None
        waiting.sort(key=lambda trouble: trouble.since)
        return Finding("; ".join(_by_trouble(waiting)), waiting[0].since)

    return check


def _by_trouble(waiting: Sequence[SpawnTrouble]) -> list[str]:
    groups: dict[tuple[Cause, str], list[SpawnTrouble]] = {}
    for trouble in waiting:
        image = trouble.image if trouble.cause.is_of_image else ""
        groups.setdefault((trouble.cause, image), []).append(trouble)
    return [
        f"{cause.value}, {len(group)} ({_named(t.username for t in group)}):"
        f" {group[-1].text}{_place(group[-1])}"
        for (cause, _), group in list(groups.items())[:_MOST_NAMED]
    ]


def _place(trouble: SpawnTrouble) -> str:
    """Say where it is, as far as its text does not."""
    named = {"image ": trouble.image, "node ": trouble.node}
    facts = [f"{k}{v}" for k, v in named.items() if v and v not in trouble.text]
    return f" ({', '.join(facts)})" if facts else ""


def labs_die(history: History) -> Check:
    """Whether several labs ended or were restarted in a quarter of an hour."""

    def check() -> Finding | None:
        kinds = (HistoryKind.LAB_ENDED, HistoryKind.LAB_RESTARTED)
        died = [e for e in history.since(_WINDOW_SECONDS) if e.kind in kinds]
        if len(died) < _MANY:
            return None
        text = f"{len(died)} times in the last 15 minutes: {_by_cause(died)}"
        return Finding(text, died[-1].ended)

    return check


def fileservers_fail(history: History, service: FileserverService | None) -> Check:
    """Whether file servers do not start, or wait for long."""

    def check() -> Finding | None:
        created = [
            entry
            for entry in history.since(_WINDOW_SECONDS)
            if entry.kind is HistoryKind.FILESERVER_CREATION
            and entry.result in (Result.SUCCEEDED, Result.FAILED)
        ]
        failed = [entry for entry in created if entry.result is Result.FAILED]
        waiting = service.waiting(_FILESERVER_SECONDS) if service is not None else []
        found = []
        if failed and created[0].result is Result.FAILED:
            found.append(f"{len(failed)} of {len(created)} failed: {_by_cause(failed)}")
        if waiting:
            users = _named(username for username, _, _ in waiting)
            found.append(f"{len(waiting)} not ready ({users}): {waiting[0][2]}")
        if not found:
            return None
        moments = [entry.ended for entry in failed] + [since for _, since, _ in waiting]
        return Finding("; ".join(found), min(moments))

    return check


def prepulling_is_stuck(stuck: Callable[[], Sequence[StuckPull]]) -> Check:
    """Whether nodes do not get an image that they are to have."""

    def check() -> Finding | None:
        pulls = sorted(stuck(), key=lambda pull: pull.since)
        if not pulls:
            return None
        groups: dict[tuple[str, str], list[StuckPull]] = {}
        for pull in pulls:
            groups.setdefault((pull.image, pull.reason), []).append(pull)
        named = [
            f"{image} on {_named(pull.node for pull in group)}"
            f" since {group[0].since:%H:%M} UTC: {reason}"
            for (image, reason), group in list(groups.items())[:_MOST_NAMED]
        ]
        if len(groups) > _MOST_NAMED:
            named.append(f"and {len(groups) - _MOST_NAMED} more images")
        return Finding("; ".join(named), pulls[0].since)

    return check


def near_limit(name: str, used: Callable[[], int], limit: int) -> Check:
    """Whether nine tenths of something are used up."""

    def check() -> Finding | None:
        count = used()
        return Finding(f"{count} of {limit} {name}") if count >= _NEAR * limit else None

    return check


def _by_cause(entries: Sequence[HistoryEntry]) -> str:
    """Count what has the same cause; the newest come first."""
    counts = Counter(entry.cause or "unknown" for entry in entries)
    latest = {entry.cause or "unknown": entry for entry in reversed(entries)}
    return "; ".join(
        f"{cause}, {count} ("
        f"{_named(e.username for e in entries if (e.cause or 'unknown') == cause)}):"
        f" {latest[cause].reason}"
        for cause, count in counts.most_common(_MOST_NAMED)
    )


def _named(names: Iterable[str]) -> str:
    named = list(dict.fromkeys(names))
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment) / timedelta(seconds=1)
