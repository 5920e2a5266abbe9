"""The pod for file systems: create, look at, delete; one of these at a time."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import structlog

from nublado.constants import ANNOTATION_REQUESTED_BY, KUBERNETES_REQUEST_TIMEOUT
from nublado.exceptions import (
    ForeignObjectError,
    FsadminCreationError,
    FsadminDeletionError,
    FsadminPhaseError,
    NoFsadminError,
)
from nublado.models.domain.status import FsadminLine
from nublado.services.fsadmin.context import FsadminContext, phase_of, runs, start_of
from nublado.services.fsadmin.creation import Creation
from nublado.services.fsadmin.removal import Removal
from nublado.services.operation import AnyOperation, OperationPool
from nublado.services.waiting import WaitingRoom
from nublado.storage.kubernetes.resource import POD
from nublado.timeout import Cancellation, Timeout

__all__ = ["FsadminService"]

_SLACK_SECONDS = 5.0
_STOP_SECONDS = 5.0


class FsadminService:
    """The one pod in which operators have all file systems of labs, as root.

    All that is known of it is in Kubernetes.

    Parameters
    ----------
    fsadmin
        What it is made with.
    waiting
        Where requests wait for operations.
    """

    def __init__(self, *, fsadmin: FsadminContext, waiting: WaitingRoom) -> None:
        self._fsadmin = fsadmin
        self._waiting = waiting
        # One thread: an operation waits for the end of those before it.
        self._operations = OperationPool("fsadmin", 1)
        self._cancellation = Cancellation()
        self._lock = threading.Lock()
        self._creations: set[Creation] = set()
        structlog.get_logger(__name__).warning(
            "Operators can have a privileged pod with all file systems of labs:"
            " fsadmin is in the configuration",
            pod=str(fsadmin.ref),
        )

    def stop(self) -> None:
        """Stop at the next step, leaving what was made to the next process."""
        self._cancellation.cancel()
        self._operations.close()
        self._operations.stop(time.monotonic() + _STOP_SECONDS)

    def create(self, username: str) -> datetime:
        """Create the pod unless it runs, and wait until it does.

        Parameters
        ----------
        username
            Who asks for it.

        Returns
        -------
        datetime
            When it was started.

        Raises
        ------
        FsadminCreationError
            Raised if it cannot be created.
        ServiceUnavailableError
            Raised if the process stops, or too many requests wait.
        """
        creation = Creation(self._fsadmin, username)
        with self._lock:
            self._creations.add(creation)
        try:
            self._run(creation)
        finally:
            with self._lock:
                self._creations.discard(creation)
        if not creation.succeeded:
            raise FsadminCreationError(creation.reason)
        return creation.pod_started

    def started(self) -> datetime:
        """When the pod that runs was started.

        Raises
        ------
        NoFsadminError
            Raised if there is none.
        FsadminPhaseError
            Raised if there is one that does not run.
        NubladoError
            Raised if it cannot be read.
        """
        timeout = Timeout(
            "Reading fsadmin pod", KUBERNETES_REQUEST_TIMEOUT, self._cancellation
        )
        try:
            pod = self._fsadmin.read(timeout)
        except ForeignObjectError as e:
            raise NoFsadminError from e
        if pod is None:
            raise NoFsadminError
        if not runs(pod):
            raise FsadminPhaseError(phase_of(pod))
        return start_of(pod) or datetime.now(UTC)

    def delete(self, username: str) -> None:
        """Delete the pod, if there is one, and wait until it is gone.

        Creations in progress are cancelled.

        Parameters
        ----------
        username
            Who asks for it; empty if that is not known.

        Raises
        ------
        FsadminDeletionError
            Raised if it cannot be deleted.
        ServiceUnavailableError
            Raised if the process stops, or too many requests wait.
        """
        with self._lock:
            creations = list(self._creations)
        for creation in creations:
            creation.cancel()
        removal = Removal(self._fsadmin, username)
        self._run(removal)
        if not removal.succeeded:
            raise FsadminDeletionError(removal.reason)

    def line(self) -> FsadminLine:
        """Tell what the watch knows of the pod; costs no request."""
        ref = self._fsadmin.ref
        pod = self._fsadmin.cluster.watcher(POD).cache.get(ref.key)
        if pod is None:
            return FsadminLine(pod=ref.name, phase=None, started=None, username=None)
        annotations = pod["metadata"].get("annotations") or {}
        return FsadminLine(
            pod=ref.name,
            phase=phase_of(pod),
            started=start_of(pod),
            username=annotations.get(ANNOTATION_REQUESTED_BY),
        )

    def _run(self, operation: AnyOperation) -> None:
        fsadmin = self._fsadmin
        with self._waiting.place(str(fsadmin.ref)):
            self._operations.submit(operation)
            operation.wait(fsadmin.config.timeout + _SLACK_SECONDS)
        operation.check_abandoned()
