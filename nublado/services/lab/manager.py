"""Labs of all users: accept requests, run operations, tell the state.

The state is kept true by the operations and by the watch of pods, so telling
it never asks Kubernetes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from nublado.config.model import LabConfig
from nublado.constants import KUBERNETES_REQUEST_TIMEOUT, LABEL_USER
from nublado.events import EventLog
from nublado.exceptions import (
    KubernetesError,
    LabDeletionError,
    LabExistsError,
    LabPodEndedError,
    NubladoError,
    OperationCancelledError,
    OperationTimeoutError,
    ServiceUnavailableError,
    UnknownUserError,
)
from nublado.models.domain.gafaelfawr import GafaelfawrUser
from nublado.models.domain.kubernetes import uid_of
from nublado.models.domain.lab import (
    LabSpecification,
    LabState,
    LabStatus,
)
from nublado.services.alerts import Alerts
from nublado.services.builder.lab import LabBuilder
from nublado.services.builder.lab_state import internal_url
from nublado.services.builder.pod_status import status_of_pod
from nublado.services.image import ImageService
from nublado.services.lab.operation import Operation, OperationKind, OperationPools
from nublado.services.lab.record import LabRecord, LabTable, Observation
from nublado.services.lab.spawn import Spawner, SpawnRequest
from nublado.storage.kubernetes.lab import LabStorage
from nublado.storage.kubernetes.watcher import Change, ChangeType
from nublado.timeout import Timeout

__all__ = ["LabManager"]

_HANDOVER_SECONDS = 1.0
_DELETE_SLACK_SECONDS = 5.0
_STOP_SECONDS = 10.0


class LabManager:
    """Manages the labs of all users.

    Parameters
    ----------
    config
        Configuration of labs.
    images
        Knows the images that labs may run.
    builder
        Builds the objects of labs.
    storage
        Makes and removes them.
    spawner
        Runs the steps of a spawn.
    alerts
        Is told of failures.
    """

    def __init__(
        self,
        config: LabConfig,
        images: ImageService,
        builder: LabBuilder,
        storage: LabStorage,
        spawner: Spawner,
        alerts: Alerts,
    ) -> None:
        self._config = config
        self._images = images
        self._builder = builder
        self._storage = storage
        self._spawner = spawner
        self._alerts = alerts
        self._pools = OperationPools()
        self.table = LabTable()
        self._log = structlog.get_logger(__name__)

    def stop(self) -> None:
        """Stop all operations at their next step, leaving what they made.

        Spawns first come so far that the next process can go on with them.
        """
        self._pools.close()
        operations = [r.operation for r in self.table if r.operation is not None]
        for operation in operations:
            operation.abandon()
        deadline = time.monotonic() + _STOP_SECONDS
        for operation in operations:
            if not operation.wait(max(0.0, deadline - time.monotonic())):
                self._log.warning("Operation is lost", user=operation.username)
            operation.cancellation.cancel()
        self._pools.stop()

    # --- What is asked of it ---------------------------------------------

    def running(self) -> list[str]:
        """Usernames of those whose lab is running, sorted."""
        return sorted(
            record.username
            for record in self.table
            if record.state and record.state.status is LabStatus.RUNNING
        )

    def state(self, username: str) -> LabState:
        """State of a user's lab.

        Raises
        ------
        UnknownUserError
            Raised if the user has no lab.
        """
        record = self.table.get(username)
        if record is None or record.state is None:
            raise UnknownUserError(username)
        return record.state

    def events(self, username: str) -> EventLog:
        """Events of the newest operation of a user.

        Raises
        ------
        UnknownUserError
            Raised if no operation ever began.
        """
        return self.newest_operation(username).events

    def newest_operation(self, username: str) -> Operation:
        """The newest operation of a user, which may be over.

        Raises
        ------
        UnknownUserError
            Raised if no operation ever began.
        """
        record = self.table.get(username)
        if record is None or record.newest is None:
            raise UnknownUserError(username)
        return record.newest

    def create(self, user: GafaelfawrUser, specification: LabSpecification) -> None:
        """Accept a request for a lab; the lab is then made in the background.

        Raises
        ------
        ClientRequestError
            Raised if the request cannot be granted.
        """
        username = user.username
        image = self._images.resolve(specification.image)
        self._builder.check_quota(user.info, specification.size)
        state = self._builder.pending_state(
            user.info, specification, image, datetime.now(UTC)
        )
        names = self._builder.names(username)
        url = internal_url(names, specification.env)
        request = SpawnRequest(user, specification, image, url)
        record = self.table.get_or_add(username)
        self._check_pod(record)
        operation = Operation(OperationKind.SPAWN, username, resumable=False)
        remains = record.begin_spawn(operation, state) is not None
        operation.events.info(f"Starting lab creation for {username}", 1)
        self._log.info(
            "Starting lab creation",
            user=username,
            image=image.reference,
            size=specification.size,
        )
        timeout = self.spawn_timeout(operation)

        def spawn() -> LabState:
            return self._spawner.spawn(
                operation, record, request, timeout, remains=remains
            )

        self.run_spawn(operation, record, spawn)

    def delete(self, username: str) -> None:
        """Delete a user's lab and wait until it is gone.

        A spawn in progress is cancelled; a deletion in progress is joined.

        Raises
        ------
        UnknownUserError
            Raised if the user has no lab.
        LabDeletionError
            Raised if it cannot be deleted.
        ServiceUnavailableError
            Raised if the process stops; the next one goes on with it.
        """
        record = self.table.get(username)
        if record is None:
            raise UnknownUserError(username)
        mine = Operation(OperationKind.DELETE, username)
        operation, spawn = record.begin_delete(mine)
        if operation is mine:
            self._log.info("Deleting lab", user=username)
            if spawn is not None:
                spawn.cancel()
            self.run_delete(operation, record, spawn)
        patience = self._config.delete_timeout + _DELETE_SLACK_SECONDS
        ended = operation.wait(patience)
        if operation.abandoned:
            raise ServiceUnavailableError("Service is stopping, try again")
        if not ended or not operation.succeeded:
            raise LabDeletionError

    # --- Operations ------------------------------------------------------

    def run_spawn(
        self, operation: Operation, record: LabRecord, work: Callable[[], LabState]
    ) -> None:
        """Run a spawn, or what goes on with one, in the background.

        Parameters
        ----------
        operation
            The spawn, begun on the record.
        record
            Record of the lab.
        work
            Makes the lab and returns its state.
        """

        def spawn() -> None:
            events, username = operation.events, operation.username
            try:
                state = work()
            except OperationCancelledError:
                self._log.info("Lab creation was cancelled", user=username)
            except Exception as e:  # noqa: BLE001
                self._alerts.report(e, event="Lab creation failed", user=username)
                ended = isinstance(e, LabPodEndedError)
                status = LabStatus.TERMINATED if ended else LabStatus.FAILED
                record.end_failed(operation, status)
                events.error(_reason(e))
                events.failed("Lab spawn failed")
            else:
                record.end(operation, state)
                events.complete(f"Lab Kubernetes pod started for {username}")
                self._log.info("Lab started", user=username)
                operation.succeeded = True
            finally:
                operation.end()

        self._pools.submit(operation, spawn)

    def run_delete(
        self, operation: Operation, record: LabRecord, spawn: Operation | None = None
    ) -> None:
        """Run a deletion in the background.

        Parameters
        ----------
        operation
            The deletion.
        record
            Record of the lab.
        spawn
            A cancelled spawn, which is given a moment to stop.
        """

        def delete() -> None:
            events, username = operation.events, operation.username
            names = self._builder.names(username)
            try:
                if spawn is not None:
                    spawn.wait(_HANDOVER_SECONDS)
                self._storage.delete(
                    names,
                    self._delete_timeout(operation),
                    stopping=lambda: events.info("Shutting down Kubernetes pod", 25),
                    removing=lambda: events.info("Deleting user namespace", 62),
                )
            except OperationCancelledError:
                self._log.info("Lab deletion was interrupted", user=username)
            except Exception as e:  # noqa: BLE001
                self._alerts.report(e, event="Lab deletion failed", user=username)
                record.end_failed(operation, LabStatus.FAILED)
                events.error(_reason(e))
                events.failed("Lab delete failed")
            else:
                record.end(operation, None)
                events.complete(f"Lab for {username} deleted", 100)
                self._log.info("Lab deleted", user=username)
                operation.succeeded = True
            finally:
                operation.end()

        self._pools.submit(operation, delete)

    def spawn_timeout(self, operation: Operation, elapsed: float = 0.0) -> Timeout:
        """Deadline of a spawn of which so many seconds are used up."""
        return Timeout(
            "Lab spawn",
            self._config.spawn_timeout,
            operation.cancellation,
            elapsed=elapsed,
        )

    # --- Following pods --------------------------------------------------

    def observe(self, change: Change) -> None:
        """Take note of a change of a lab's pod; called by the watch of pods."""
        metadata = change.object["metadata"]
        username = (metadata.get("labels") or {}).get(LABEL_USER)
        record = self.table.get(username) if username else None
        if record is None or metadata["namespace"] != self._namespace(record):
            return
        status = None
        if change.type is not ChangeType.DELETED:
            status = status_of_pod(change.object)
        record.observe(Observation(uid_of(change.object), status))

    def _check_pod(self, record: LabRecord) -> None:
        """If a lab is in the way, ask whether its pod really still runs.

        Raises
        ------
        OperationInProgressError, LabExistsError
            Raised if a lab cannot be created now.
        """
        try:
            record.check_free()
        except LabExistsError:
            names = self._builder.names(record.username)
            timeout = Timeout("Reading pod", KUBERNETES_REQUEST_TIMEOUT)
            try:
                pod = self._storage.read_pod(names, timeout)
            except (KubernetesError, OperationTimeoutError) as e:
                self._log.warning(
                    "Cannot tell whether lab still runs",
                    user=record.username,
                    error=str(e),
                )
                raise LabExistsError(record.username) from e
            if pod is None:
                record.pod_missing()
            else:
                record.observe(Observation(uid_of(pod), status_of_pod(pod)))

    # --- Parts -----------------------------------------------------------

    def _namespace(self, record: LabRecord) -> str:
        return self._config.namespace_of(record.username)

    def _delete_timeout(self, operation: Operation) -> Timeout:
        return Timeout(
            "Lab deletion", self._config.delete_timeout, operation.cancellation
        )


def _reason(error: Exception) -> str:
    if isinstance(error, NubladoError):
        return str(error)
    return "Internal error"
