"""Labs that end, or whose container is restarted, though nobody asked for it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from nublado.metrics import LAB_RESTARTS, LABS_DIED
from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.models.domain.kubernetes import JSON, created_at, uid_of
from nublado.models.domain.lab import LabState, LabStatus
from nublado.services.history import History
from nublado.services.observed.pod_end import (
    PodEnd,
    ended_at,
    last_restart,
    why_pod_ends,
)

__all__ = ["LabDeaths"]


class LabDeaths:
    """Notes each end and each restart once: log, history, metrics.

    Parameters
    ----------
    history
        Keeps them.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._restarts: dict[str, tuple[str, int]] = {}
        self._log = structlog.get_logger(__name__)

    def note_end(self, state: LabState, pod: JSON | None, *, gone: bool) -> None:
        """Note that a lab no longer runs.

        Parameters
        ----------
        state
            The lab as it was.
        pod
            Its pod as it was seen last; None if nobody saw it.
        gone
            Whether the pod is gone.
        """
        end = why_pod_ends(pod, gone=gone)
        LABS_DIED.labels(end.reason.value).inc()
        entry = self._note(HistoryKind.LAB_ENDED, state, pod, end)
        self._log.warning("Lab ended", **_facts(entry, pod))

    def recall_end(self, state: LabState, pod: JSON) -> None:
        """Remember how a lab ended that no process of this service saw end.

        It counts as nothing of this process.

        Parameters
        ----------
        state
            The lab.
        pod
            Its pod, which has ended.
        """
        end = why_pod_ends(pod, gone=False)
        entry = _entry(HistoryKind.LAB_ENDED, state, pod, end)
        self._history.recall(replace(entry, ended=ended_at(pod) or entry.ended))

    def note_restarts(self, state: LabState, pod: JSON) -> None:
        """Note if the container of a lab has been restarted since it was seen last."""
        username, uid = state.user.username, uid_of(pod)
        found = last_restart(pod)
        if found is None:
            return
        count, end = found
        with self._lock:
            known_uid, known = self._restarts.get(username, ("", 0))
            self._restarts[username] = (uid, count)
        is_running = state.status is LabStatus.RUNNING
        if known_uid != uid or count <= known or not is_running:
            return
        LAB_RESTARTS.labels(end.reason.value).inc()
        entry = self._note(HistoryKind.LAB_RESTARTED, state, pod, end)
        self._log.warning("Lab restarted", restarts=count, **_facts(entry, pod))

    def _note(
        self, kind: HistoryKind, state: LabState, pod: JSON | None, end: PodEnd
    ) -> HistoryEntry:
        entry = _entry(kind, state, pod, end)
        self._history.note(entry)
        return entry


def _entry(
    kind: HistoryKind, state: LabState, pod: JSON | None, end: PodEnd
) -> HistoryEntry:
    return HistoryEntry(
        kind=kind,
        username=state.user.username,
        started=created_at(pod) if pod else state.created,
        ended=datetime.now(UTC),
        result=Result.FAILED,
        reason=end.text,
        cause=end.reason.value,
        image=state.options.image,
        size=state.options.size,
        node=((pod or {}).get("spec") or {}).get("nodeName"),
    )


def _facts(entry: HistoryEntry, pod: JSON | None) -> dict[str, object]:
    age = entry.total_seconds
    return {
        "user": entry.username,
        "reason": entry.cause,
        "error": entry.reason,
        "image": entry.image,
        "size": entry.size,
        "node": entry.node,
        "pod_uid": uid_of(pod) if pod else None,
        "seconds": None if age is None else round(age),
    }
