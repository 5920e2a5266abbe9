"""Bring what is known of labs in line with what Kubernetes has.

Runs at the start, when nothing is known, and every hour. Everything is listed
first; a lab that has changed since is left to the next reconciliation.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import structlog

from nublado.config.model import LabConfig
from nublado.constants import ANNOTATION_SPAWN, SERVICE_PREFIX
from nublado.exceptions import MalformedLabError
from nublado.models.domain.kubernetes import JSON, created_at, name_of, uid_of
from nublado.models.domain.lab import LabState, LabStatus
from nublado.models.domain.spawn_record import SpawnRecord
from nublado.services.alerts import Alerts
from nublado.services.builder.lab import LabBuilder, quota_of
from nublado.services.builder.lab_environment import resources_of_environment
from nublado.services.builder.lab_state import internal_url, rebuild_state
from nublado.services.builder.pod_status import status_of_pod
from nublado.services.lab.manager import LabManager
from nublado.services.lab.operation import Operation, OperationKind
from nublado.services.lab.record import LabRecord
from nublado.services.lab.spawn import Spawner
from nublado.storage.kubernetes.lab import FoundLab, LabStorage
from nublado.timeout import Timeout

__all__ = ["LabReconciler"]

_FIND_SECONDS = 120.0
_STUCK_SECONDS = 600.0
_ENDED = frozenset({LabStatus.TERMINATING, LabStatus.TERMINATED, LabStatus.FAILED})


class LabReconciler:
    """Reconciles the labs of all users with Kubernetes.

    Parameters
    ----------
    config
        Configuration of labs.
    builder
        Builds the objects of labs.
    storage
        Finds labs.
    spawner
        Goes on with spawns.
    manager
        Holds what is known, and runs operations.
    alerts
        Is told of labs that cannot be reconciled.
    """

    def __init__(
        self,
        config: LabConfig,
        builder: LabBuilder,
        storage: LabStorage,
        spawner: Spawner,
        manager: LabManager,
        alerts: Alerts,
    ) -> None:
        self._config = config
        self._builder = builder
        self._storage = storage
        self._spawner = spawner
        self._manager = manager
        self._alerts = alerts
        self._log = structlog.get_logger(__name__)

    def reconcile(self) -> None:
        """Compare all labs; adopt, complete and delete what has to be.

        Raises
        ------
        KubernetesError
            Raised if the labs cannot be listed.
        """
        seen = {record.username: record.changes for record in self._manager.table}
        timeout = Timeout("Lab reconciliation", _FIND_SECONDS)
        found = self._storage.find(self._config.namespace_prefix, timeout)
        for lab in found:
            try:
                self._reconcile_lab(lab, seen.get(lab.username, 0))
            except Exception as e:  # noqa: BLE001
                # One lab must not keep the others from being reconciled.
                event = "Lab cannot be reconciled"
                self._alerts.report(e, event=event, user=lab.username)
        self._reconcile_gone({lab.username for lab in found}, seen)
        self._log.info("Reconciled labs", labs=len(found))

    # --- One lab ---------------------------------------------------------

    def _reconcile_lab(self, lab: FoundLab, seen: int) -> None:
        record = self._manager.table.get_or_add(lab.username)
        if lab.terminating:
            self._report_if_stuck(lab)
            if record.state is not None:
                self._remove(record, seen)
        elif lab.env_config_map is None:
            self._log.warning("Removing half-made lab", user=lab.username)
            self._remove(record, seen)
        elif lab.pod is None:
            self._complete(lab, lab.env_config_map, record, seen)
        else:
            self._adopt(lab, lab.pod, record, seen)

    def _adopt(self, lab: FoundLab, pod: JSON, record: LabRecord, seen: int) -> None:
        """Take over a lab that has a pod."""
        try:
            state = rebuild_state(
                self._config, lab.username, lab.env_config_map, pod, lab.quota
            )
        except MalformedLabError:
            # It may be in use for all that.
            if status_of_pod(pod) in _ENDED:
                self._remove(record, seen)
            raise
        if state.status in _ENDED:
            record.adopt(state, uid_of(pod), seen)
            self._remove(record, record.changes)
        elif state.status is LabStatus.PENDING:
            self._monitor(lab, pod, state, record, seen)
        elif record.adopt(state, uid_of(pod), seen):
            record.recall(_finished_spawn(lab.username, state))

    def _monitor(
        self,
        lab: FoundLab,
        pod: JSON,
        state: LabState,
        record: LabRecord,
        seen: int,
    ) -> None:
        """Watch a pending pod that nobody watches."""
        known = record.state
        elapsed = _age(pod)
        if known is not None and known.status is LabStatus.FAILED:
            # Its spawn has been given up; it is not to be awaited again.
            self._remove(record, seen)
            return
        operation = Operation(OperationKind.SPAWN, lab.username)
        if not record.begin_monitor(operation, state, seen):
            return
        self._announce(operation)
        timeout = self._manager.spawn_timeout(operation, elapsed)

        def monitor() -> LabState:
            return self._spawner.monitor(operation, record, pod, timeout)

        self._manager.run_spawn(operation, record, monitor)

    def _complete(
        self, lab: FoundLab, env_config_map: JSON, record: LabRecord, seen: int
    ) -> None:
        """Go on with a spawn that was cut off before its pod existed."""
        annotations = env_config_map["metadata"].get("annotations") or {}
        elapsed = _age(lab.namespace)
        if ANNOTATION_SPAWN not in annotations or elapsed >= self._config.spawn_timeout:
            self._log.warning("Removing half-made lab", user=lab.username)
            self._remove(record, seen)
            return
        try:
            spawn = SpawnRecord.from_json(annotations[ANNOTATION_SPAWN])
        except MalformedLabError:
            self._remove(record, seen)
            raise
        env = env_config_map.get("data") or {}
        state = _pending_state(spawn, env, created_at(lab.namespace))
        url = internal_url(self._builder.names(lab.username), env)
        operation = Operation(OperationKind.SPAWN, lab.username)
        if not record.begin_monitor(operation, state, seen):
            return
        self._announce(operation)
        timeout = self._manager.spawn_timeout(operation, elapsed)

        def complete() -> LabState:
            return self._spawner.complete(operation, record, spawn, env, url, timeout)

        self._manager.run_spawn(operation, record, complete)

    def _announce(self, operation: Operation) -> None:
        username = operation.username
        operation.events.info(f"Monitoring in-progress lab creation for {username}", 1)
        self._log.info("Going on with lab creation", user=username)

    def _remove(self, record: LabRecord, seen: int) -> None:
        """Delete what is left of a lab, unless something has begun with it."""
        operation = Operation(OperationKind.DELETE, record.username)
        if record.begin_removal(operation, seen):
            self._log.info("Removing remains of lab", user=record.username)
            self._manager.run_delete(operation, record)

    def _report_if_stuck(self, lab: FoundLab) -> None:
        deleted = lab.namespace["metadata"]["deletionTimestamp"]
        if _seconds_since(deleted) < _STUCK_SECONDS:
            return
        conditions = (lab.namespace.get("status") or {}).get("conditions") or ()
        reasons = [c.get("message") for c in conditions if c["status"] == "True"]
        self._alerts.report(
            "; ".join(filter(None, reasons)) or "no reason given",
            event="Namespace does not go away",
            user=lab.username,
            namespace=name_of(lab.namespace),
        )

    # --- Labs that are gone ----------------------------------------------

    def _reconcile_gone(self, found: set[str], seen: dict[str, int]) -> None:
        for record in self._manager.table:
            state, username = record.state, record.username
            if state is None or username in found or username not in seen:
                continue
            if state.status is LabStatus.FAILED:
                self._remove(record, seen[username])
            else:
                failed = replace(state, status=LabStatus.FAILED, internal_url=None)
                if record.adopt(failed, None, seen[username]):
                    self._log.warning("Lab is gone", user=username)


def _pending_state(
    spawn: SpawnRecord, env: Mapping[str, str], created: datetime | None
) -> LabState:
    return LabState(
        user=spawn.user,
        options=spawn.options,
        status=LabStatus.PENDING,
        internal_url=None,
        resources=resources_of_environment(env),
        quota=quota_of(spawn.user),
        path=env.get(SERVICE_PREFIX),
        created=created,
    )


def _finished_spawn(username: str, state: LabState) -> Operation:
    """Make the spawn that tells a listener who reconnects that all is well."""
    operation = Operation(OperationKind.SPAWN, username)
    operation.events.complete(f"Lab Kubernetes pod started for {username}")
    if state.created is not None:
        operation.started = state.created.timestamp()
    operation.end()
    return operation


def _age(obj: JSON) -> float:
    return _seconds_since(obj["metadata"]["creationTimestamp"])


def _seconds_since(timestamp: str) -> float:
    return max(0.0, time.time() - datetime.fromisoformat(timestamp).timestamp())
