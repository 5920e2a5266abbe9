"""Bring what is known of labs in line with what Kubernetes has.

Runs at the start, when nothing is known, and every hour. Everything is listed
first; a lab that has changed since is left to the next reconciliation. Lists go
by label, so nothing ends because a list does not show it: what seems to have
ended is read by name and judged again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from nublado.config.model import LabConfig
from nublado.constants import ANNOTATION_SPAWN, LABEL_CATEGORY, LABEL_USER
from nublado.exceptions import MalformedLabError
from nublado.models.domain.history import Asker
from nublado.models.domain.kubernetes import (
    JSON,
    is_terminating,
    label_of,
    name_of,
    seconds_since,
    uid_of,
)
from nublado.models.domain.lab import LabState, LabStatus
from nublado.models.domain.spawn_record import SpawnRecord, request_id_in
from nublado.services.lab.context import LabContext
from nublado.services.lab.deletion import Deletion
from nublado.services.lab.find import FoundLab, find_labs, read_lab
from nublado.services.lab.labs import LabService
from nublado.services.lab.lost import LostSpawn
from nublado.services.lab.record import LabRecord
from nublado.services.lab.spawn import Spawn
from nublado.services.observed.lab_state import rebuild_state
from nublado.services.observed.phases import past_spawn
from nublado.services.observed.pod_status import status_of_pod
from nublado.storage.kubernetes.resource import NAMESPACE
from nublado.timeout import Timeout

__all__ = [
    "Adopt",
    "Complete",
    "Fail",
    "Follow",
    "LabReconciler",
    "Leave",
    "Remove",
    "Verdict",
    "judge",
]

_FIND_SECONDS = 120.0
_FORGOTTEN_SECONDS = 15.0
_STUCK_SECONDS = 600.0
_READERS = 16
_OVER = frozenset({LabStatus.TERMINATED, LabStatus.FAILED})
_ENDED = frozenset({LabStatus.TERMINATING, LabStatus.TERMINATED, LabStatus.FAILED})


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is to be done; ``error`` says what is wrong with the lab, if it is."""

    error: MalformedLabError | None = None


@dataclass(frozen=True, slots=True)
class Adopt:
    """The lab runs; ``request_id`` is that of its spawn, where it is known."""

    state: LabState
    pod: JSON
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """The lab's pod has not started, and nobody follows it.

    ``request_id`` is that of its spawn, where it is known.
    """

    state: LabState
    pod: JSON
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """A spawn was cut off before the pod existed."""

    request: SpawnRecord
    env: Mapping[str, str]
    namespace: JSON


@dataclass(frozen=True, slots=True)
class Fail:
    """All of the lab is gone, nobody knows why."""

    state: LabState


@dataclass(frozen=True, slots=True)
class Remove:
    """What there is of the lab is of no use.

    ``state`` and ``pod`` are the lab as it is shown until it is gone, and
    ``lost`` means that it never was one: its spawn was lost in a crash.
    """

    reason: str
    state: LabState | None = None
    pod: JSON | None = None
    error: MalformedLabError | None = None
    lost: bool = False


Verdict = Leave | Adopt | Follow | Complete | Fail | Remove


def judge(config: LabConfig, found: FoundLab | None, known: LabState | None) -> Verdict:
    """Decide what becomes of a lab; the only place where that is decided.

    Parameters
    ----------
    config
        Configuration of labs.
    found
        What there is of it in the cluster; None if there is nothing.
    known
        What was known of it; None if nothing was.
    """
    if found is None:
        if known is None:
            return Leave()
        if known.status is LabStatus.FAILED:
            return Remove("lab has failed")
        return Fail(replace(known, status=LabStatus.FAILED, internal_url=None))
    if not found.is_ours:
        return _judge_foreign(found, known)
    if found.terminating:
        return Leave() if known is None else Remove("namespace is terminating")
    if found.deletion_mark is not None:
        return Remove("deletion was cut off")
    if found.env_config_map is None:
        return _judge_without_environment(found, known)
    if found.pod is None:
        return _judge_without_pod(config, found, found.env_config_map, known)
    return _judge_pod(config, found, found.pod, known)


def _judge_foreign(found: FoundLab, known: LabState | None) -> Verdict:
    """Decide on a namespace that is somebody else's, or has lost its label."""
    if known is None or known.status in _OVER:
        return Leave()
    if found.pod is not None and status_of_pod(found.pod) is LabStatus.RUNNING:
        return Leave(MalformedLabError("namespace has lost its label"))
    return Fail(replace(known, status=LabStatus.FAILED, internal_url=None))


def _judge_without_environment(found: FoundLab, known: LabState | None) -> Verdict:
    what = "environment is missing"
    if found.pod is None:
        return Remove(what, lost=known is None)
    if status_of_pod(found.pod) is LabStatus.RUNNING:
        return Leave(MalformedLabError(what))
    return Remove(what)


def _judge_without_pod(
    config: LabConfig, found: FoundLab, env_config_map: JSON, known: LabState | None
) -> Verdict:
    annotations = env_config_map["metadata"].get("annotations") or {}
    if known is not None or ANNOTATION_SPAWN not in annotations:
        return Remove("pod is missing")
    age = seconds_since(found.namespace["metadata"]["creationTimestamp"])
    if age >= config.spawn_timeout:
        return Remove("time of the spawn is up", lost=True)
    try:
        request = SpawnRecord.from_json(annotations[ANNOTATION_SPAWN])
    except MalformedLabError as e:
        return Remove("record of the spawn is malformed", error=e, lost=True)
    return Complete(request, env_config_map.get("data") or {}, found.namespace)


def _judge_pod(
    config: LabConfig, found: FoundLab, pod: JSON, known: LabState | None
) -> Verdict:
    try:
        state = rebuild_state(
            config, found.username, found.env_config_map, pod, found.quota
        )
    except MalformedLabError as e:
        # It may be in use for all that.
        if status_of_pod(pod) in _ENDED:
            return Remove("lab is malformed", error=e)
        return Leave(error=e)
    if state.status in _ENDED:
        return Remove(f"lab is {state.status}", state, pod)
    if state.status is LabStatus.RUNNING:
        return Adopt(state, pod, _request_id(found))
    if known is not None and known.status is LabStatus.FAILED:
        return Remove("spawn has failed")
    return Follow(state, pod, _request_id(found))


def _request_id(found: FoundLab) -> str | None:
    """Id of the request for a lab, if its record tells."""
    metadata = (found.env_config_map or {}).get("metadata") or {}
    record = (metadata.get("annotations") or {}).get(ANNOTATION_SPAWN)
    return request_id_in(record) if record else None


def _is_certain(verdict: Verdict) -> bool:
    """Whether a verdict does not rest on something that a list does not show."""
    if isinstance(verdict, Leave):
        return verdict.error is None
    return isinstance(verdict, Adopt | Follow)


class LabReconciler:
    """Reconciles the labs of all users with Kubernetes.

    Parameters
    ----------
    labs
        What labs are made with.
    service
        Holds what is known, and runs operations.
    """

    def __init__(self, *, labs: LabContext, service: LabService) -> None:
        self._labs = labs
        self._service = service
        self._malformed: set[str] = set()
        self._log = structlog.get_logger(__name__)

    def reconcile(self) -> None:
        """Compare all labs; adopt, complete and delete what has to be.

        Raises
        ------
        KubernetesError
            Raised if the labs cannot be listed.
        """
        seen = {record.username: record.changes for record in self._service.table}
        timeout = Timeout("Lab reconciliation", _FIND_SECONDS)
        config = self._labs.config
        found = find_labs(self._labs.cluster, config.namespace_prefix, timeout)

        uncertain = [
            username
            for username in {**found, **seen}
            if not self._reconcile(username, found.get(username), seen.get(username, 0))
        ]
        with ThreadPoolExecutor(_READERS, "reconcile") as readers:
            for username in uncertain:
                readers.submit(
                    self._reconcile_by_name,
                    username,
                    found.get(username),
                    seen.get(username, 0),
                    timeout,
                )
        self._log.info("Reconciled labs", labs=len(found))

    def reconcile_forgotten(self) -> None:
        """Compare all labs again if there is one of which nothing is known.

        Its namespace could not be read, or not be removed, when that was tried.
        Costs no request where all labs are known.

        Raises
        ------
        KubernetesError
            Raised if the labs cannot be listed.
        """
        namespaces = self._labs.cluster.watcher(NAMESPACE).cache.objects()
        if any(map(self._is_forgotten, namespaces)):
            self.reconcile()

    def _is_forgotten(self, namespace: JSON) -> bool:
        username = label_of(namespace, LABEL_USER) or ""
        config = self._labs.config
        if name_of(namespace) != config.namespace_of(username):
            return False
        age = seconds_since(namespace["metadata"]["creationTimestamp"])
        if is_terminating(namespace) or age < _FORGOTTEN_SECONDS:
            return False
        if username in self._malformed:
            return False
        record = self._service.table.get(username)
        return record is None or (record.state is None and record.operation is None)

    def _reconcile(self, username: str, found: FoundLab | None, seen: int) -> bool:
        """Judge a lab by lists; False if it has to be read before that is certain."""
        record = self._service.table.get_or_add(username)
        with self._reporting(username):
            verdict = judge(self._labs.config, found, record.state)
            if not _is_certain(verdict):
                return False
            self._conclude(record, found, verdict, seen)
        return True

    def _reconcile_by_name(
        self, username: str, found: FoundLab | None, seen: int, timeout: Timeout
    ) -> None:
        """Read a lab, and judge it by what there is."""
        record = self._service.table.get_or_add(username)
        with self._reporting(username):
            found = read_lab(
                self._labs.cluster,
                self._labs.builder.names(username),
                found.namespace if found is not None else None,
                timeout,
            )
            verdict = judge(self._labs.config, found, record.state)
            self._conclude(record, found, verdict, seen)

    @contextmanager
    def _reporting(self, username: str) -> Iterator[None]:
        """Let no lab keep the others from being reconciled."""
        try:
            yield
        except Exception as e:  # noqa: BLE001
            self._report(e, username)

    def _conclude(
        self, record: LabRecord, found: FoundLab | None, verdict: Verdict, seen: int
    ) -> None:
        if found is not None:
            self._report_oddities(found)
        if isinstance(verdict, Leave | Remove) and verdict.error is not None:
            self._malformed.add(record.username)
            self._report(verdict.error, record.username)
        self._act(record, verdict, seen)

    def _act(self, record: LabRecord, verdict: Verdict, seen: int) -> None:
        match verdict:
            case Adopt():
                if record.adopt(verdict.state, uid_of(verdict.pod), seen):
                    record.recall(self._finished(record, verdict))
            case Follow(state, pod, request_id):
                spawn = Spawn.from_pod(self._labs, record, state, pod, request_id)
                self._resume(spawn, seen)
            case Complete(request, env, namespace):
                spawn = Spawn.from_record(self._labs, record, request, env, namespace)
                self._resume(spawn, seen)
            case Fail(state):
                before = record.state
                if record.adopt(state, None, seen):
                    self._log.warning("Lab has disappeared", user=record.username)
                    if before is not None and before.status is LabStatus.RUNNING:
                        self._service.deaths.note_end(before, None, gone=True)
            case Remove():
                self._remove(record, verdict, seen)

    def _resume(self, spawn: Spawn, seen: int) -> None:
        if spawn.resume(seen):
            self._service.run(spawn)

    def _remove(self, record: LabRecord, verdict: Remove, seen: int) -> None:
        """Delete what is left of a lab, unless something has begun with it."""
        if verdict.state is not None and verdict.pod is not None:
            is_news = record.state is None
            if not record.adopt(verdict.state, uid_of(verdict.pod), seen):
                return
            if is_news and verdict.state.status is LabStatus.TERMINATED:
                self._service.deaths.recall_end(verdict.state, verdict.pod)
            seen = record.changes
        removal = (
            LostSpawn(self._labs, record)
            if verdict.lost
            else Deletion(self._labs, record, Asker.SERVICE)
        )
        if removal.begin_removal(seen, verdict.reason):
            self._service.run(removal)

    def _finished(self, record: LabRecord, lab: Adopt) -> Spawn:
        """Make the concluded spawn for listeners who reconnect."""
        state, pod, request_id = lab.state, lab.pod, lab.request_id
        spawn = Spawn.from_pod(self._labs, record, state, pod, request_id)
        spawn.conclude()
        if (entry := past_spawn(state, pod)) is not None:
            self._labs.history.recall(replace(entry, request_id=request_id))
        return spawn

    def _report(self, error: Exception, username: str) -> None:
        self._labs.alerts.report(error, event="Cannot reconcile lab", user=username)

    def _report_oddities(self, found: FoundLab) -> None:
        if found.terminating:
            self._report_if_stuck(found)
        elif found.unlabelled:
            self._labs.alerts.report(
                f"{', '.join(found.unlabelled)}: label {LABEL_CATEGORY} is missing",
                event="Lab has lost labels",
                user=found.username,
                namespace=name_of(found.namespace),
            )

    def _report_if_stuck(self, found: FoundLab) -> None:
        deleted = found.namespace["metadata"]["deletionTimestamp"]
        if seconds_since(deleted) < _STUCK_SECONDS:
            return
        conditions = (found.namespace.get("status") or {}).get("conditions") or ()
        reasons = [c.get("message") for c in conditions if c["status"] == "True"]
        self._labs.alerts.report(
            "; ".join(filter(None, reasons)) or "no reason given",
            event="Namespace does not go away",
            user=found.username,
            namespace=name_of(found.namespace),
        )
