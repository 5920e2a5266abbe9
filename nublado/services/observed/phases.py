"""How long the phases of a spawn took, read from its events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from nublado.events import Event
from nublado.models.domain.history import HistoryEntry, HistoryKind, Result, SpawnPhase
from nublado.models.domain.kubernetes import JSON, created_at
from nublado.models.domain.lab import LabState
from nublado.services.builder.lab_containers import NOTEBOOK
from nublado.services.observed.timeline import timeline

__all__ = ["bytes_pulled", "past_spawn", "phases"]

_SIZE = re.compile(r"^Successfully pulled image .* Image size: (\d+) bytes", re.DOTALL)
"""Kubelets say so from 1.30 on."""


def phases(
    events: Sequence[Event], *, accepted: float, began: float | None, ended: float
) -> dict[SpawnPhase, float]:
    """Tell how long each phase took (seconds), as far as this process has seen it.

    A phase whose end nobody reported is part of the one that follows; the last
    is the one in which the spawn ended.

    Parameters
    ----------
    events
        All events of the spawn.
    accepted, began, ended
        When it was accepted, began and over (seconds since the epoch). None if
        it never began.
    """
    stretches = timeline(events, accepted=accepted, began=began, ended=ended)
    found = {stretch.phase: stretch.seconds(ended) for stretch in stretches}
    return {p: round(spent, 3) for p, spent in found.items() if spent is not None}


def bytes_pulled(events: Iterable[Event]) -> int | None:
    """Sum up how much nodes have fetched; None where they do not say."""
    sizes = [
        int(found[1])
        for event in events
        if event.reason == "Pulled" and (found := _SIZE.search(event.message))
    ]
    return sum(sizes) if sizes else None


def past_spawn(state: LabState, pod: JSON) -> HistoryEntry | None:
    """Tell of the spawn of a lab that runs, from what its pod still says.

    Parameters
    ----------
    state
        The lab.
    pod
        Its pod.

    Returns
    -------
    HistoryEntry or None
        The spawn; None where the pod does not say when it started.
    """
    created, started = created_at(pod), _started_at(pod)
    if created is None or started is None:
        return None
    scheduled = _scheduled_at(pod)
    marks = {
        SpawnPhase.SCHEDULED: scheduled,
        SpawnPhase.PREPARED: _prepared_at(pod),
        SpawnPhase.STARTED: started,
    }
    seconds, before = {}, created
    for phase, mark in marks.items():
        if mark is not None:
            seconds[phase] = max(0.0, (mark - before).total_seconds())
            before = max(before, mark)
    return HistoryEntry(
        kind=HistoryKind.SPAWN,
        username=state.user.username,
        started=created,
        ended=started,
        result=Result.SUCCEEDED,
        seconds=seconds,
        image=state.options.image,
        size=state.options.size,
        node=(pod.get("spec") or {}).get("nodeName"),
    )


def _started_at(pod: JSON) -> datetime | None:
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        if container["name"] == NOTEBOOK:
            running = (container.get("state") or {}).get("running") or {}
            return _moment(running.get("startedAt"))
    return None


def _scheduled_at(pod: JSON) -> datetime | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled":
            return _moment(condition.get("lastTransitionTime"))
    return None


def _prepared_at(pod: JSON) -> datetime | None:
    """When the last init container ended; None if there is none."""
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    ended = [
        _moment(((status.get("state") or {}).get("terminated") or {}).get("finishedAt"))
        for status in statuses
    ]
    return max(filter(None, ended), default=None)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
