"""Delete a lab: its pod, then its namespace with all that is in it."""

from __future__ import annotations

from dataclasses import replace

import structlog

from nublado.constants import LAB_STOP_GRACE_SECONDS
from nublado.events import Step
from nublado.exceptions import (
    KubernetesError,
    KubernetesNotFoundError,
    OperationTimeoutError,
)
from nublado.models.domain.failure import Failure
from nublado.models.domain.history import Asker, HistoryEntry, HistoryKind
from nublado.models.domain.lab import LabStatus
from nublado.services.lab.context import LabContext
from nublado.services.lab.record import LabRecord
from nublado.services.observed.failure import explain
from nublado.services.observed.namespaces import describe_hold
from nublado.services.operation import AnyOperation, Operation, OperationKind
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import NAMESPACE, POD
from nublado.timeout import Timeout

__all__ = ["Deletion", "remove_lab"]

_HANDOVER_SECONDS = 1.0
_HOLD_SECONDS = 2.0


class Deletion(Operation[None]):
    """Deletes the lab of one user, or what is left of it.

    Parameters
    ----------
    labs
        What labs are made with.
    record
        Record of the lab.
    asker
        Who wants it.
    """

    kind = OperationKind.DELETE
    noted_as = HistoryKind.DELETION
    title = "Lab deletion"
    timed_as = "Lab deletion"
    epitaph = "Lab delete failed"

    def __init__(self, labs: LabContext, record: LabRecord, asker: Asker) -> None:
        super().__init__(
            record.username,
            alerts=labs.alerts,
            history=labs.history,
            seconds=labs.config.delete_timeout,
        )
        self._labs = labs
        self._names = labs.builder.names(record.username)
        self._record = record
        self.asker = asker
        self._spawn: AnyOperation | None = None

    @property
    def cancels_spawn(self) -> bool:
        """Whether it has cut off a spawn."""
        return self._spawn is not None

    def begin(self) -> AnyOperation:
        """Begin on the record, cancelling a spawn that is in progress.

        Returns
        -------
        Operation
            This deletion, or the one that was in progress already.

        Raises
        ------
        UnknownUserError
            Raised if there is no lab.
        """
        current, spawn = self._record.begin_delete(self)
        if current is self:
            self._log.info("Deleting lab")
            self._spawn = spawn
            if spawn is not None:
                spawn.cancel()
        return current

    def begin_cancellation(self, spawn: AnyOperation) -> bool:
        """Begin on the record by cancelling a spawn; False if that is over."""
        if not self._record.begin_cancellation(self, spawn):
            return False
        self._log.info("Cancelling lab creation")
        self._spawn = spawn
        spawn.cancel()
        return True

    def begin_removal(self, seen: int, reason: str) -> bool:
        """Begin to delete remains; False if the record has changed since ``seen``."""
        if not self._record.begin_removal(self, seen):
            return False
        self._log.info("Deleting remains of lab", reason=reason)
        return True

    def perform(self) -> None:
        """Delete it."""
        if self._spawn is not None:
            self._spawn.wait(_HANDOVER_SECONDS)
        remove_lab(self._labs, self, at=(25, 62))

    def succeed(self, result: None) -> None:
        """Forget the lab."""
        self._record.end(self, result)
        self.events.complete(f"Lab for {self.username} deleted", 100)

    def fail(self, failure: Failure) -> None:
        """Keep the lab as one that has failed."""
        del failure
        self._record.end_failed(self, LabStatus.FAILED)

    def with_facts(self, entry: HistoryEntry) -> HistoryEntry:
        """Add who wanted it."""
        return replace(entry, asker=self.asker)

    def explain(self, error: Exception) -> Failure:
        """Explain the error by the namespace that has to go."""
        return explain(error, object=f"Namespace {self._names.namespace}")


def remove_lab(
    labs: LabContext, operation: AnyOperation, *, at: tuple[int, int]
) -> None:
    """Delete all objects of the lab of a user; what is gone already is fine.

    Parameters
    ----------
    labs
        What labs are made with.
    operation
        What this is part of.
    at
        Progress when the pod, and when the namespace is deleted (percent).

    Raises
    ------
    KubernetesError
        Raised if Kubernetes refuses.
    OperationCancelledError, OperationTimeoutError
        Raised if the operation was cancelled or its time is up.
    """
    events, timeout = operation.events, operation.timeout
    names = labs.builder.names(operation.username)
    events.info("Shutting down Kubernetes pod", at[0], step=Step.STOPPING)
    _mark_deletion(labs, operation.username, timeout)
    pod = POD.at(names.namespace, names.pod)
    labs.cluster.remove(pod, timeout, grace_seconds=LAB_STOP_GRACE_SECONDS)
    events.info("Deleting user namespace", at[1], step=Step.REMOVING)
    try:
        labs.cluster.remove(NAMESPACE.at(None, names.namespace), timeout)
    except OperationTimeoutError as e:
        e.waited_for = _hold_of(labs.cluster, names.namespace)
        raise


def _hold_of(cluster: Cluster, name: str) -> str | None:
    """Find out what holds a namespace up; None if Kubernetes does not tell."""
    ref = NAMESPACE.at(None, name)
    try:
        namespace = cluster.read(ref, Timeout("Reading namespace", _HOLD_SECONDS))
    except (KubernetesError, OperationTimeoutError) as e:
        log = structlog.get_logger(__name__)
        log.warning("Cannot tell what holds namespace", namespace=name, error=str(e))
        return None
    return f"{ref}: {describe_hold(namespace)}" if namespace else None


def _mark_deletion(labs: LabContext, username: str, timeout: Timeout) -> None:
    """Mark the lab as being deleted, for a controller that finds it half deleted.

    Nothing can be created in a namespace that is gone, or terminating: then
    there is nothing to mark.
    """
    try:
        labs.cluster.ensure(labs.builder.deletion_mark(username), timeout)
    except KubernetesNotFoundError:
        return
    except KubernetesError as e:
        if e.status != 403:
            raise
        structlog.get_logger(__name__).info("Cannot mark deletion", error=str(e))
