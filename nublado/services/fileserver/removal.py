"""Remove a file server: ingress, service, job, pods and claims."""

from __future__ import annotations

from nublado.models.domain.failure import Failure
from nublado.models.domain.fileserver import FileserverNames
from nublado.models.domain.history import HistoryKind
from nublado.models.domain.kubernetes import name_of, uid_of
from nublado.services.fileserver.context import FileserverContext
from nublado.services.fileserver.record import FileserverRecord
from nublado.services.operation import AnyOperation, Operation, OperationKind
from nublado.storage.kubernetes.resource import (
    GAFAELFAWR_INGRESS,
    INGRESS,
    JOB,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
)
from nublado.timeout import Timeout

__all__ = ["FOREGROUND", "Removal", "remove_fileserver"]

FOREGROUND = {GAFAELFAWR_INGRESS: "Foreground", JOB: "Foreground"}
"""How to delete what is only gone once all that was made from it is gone."""


class Removal(Operation[None]):
    """Removes the file server of one user, or what is left of it.

    Parameters
    ----------
    files
        What file servers are made with.
    record
        Record of the file server.
    """

    kind = OperationKind.DELETE
    noted_as = HistoryKind.FILESERVER_DELETION
    title = "File server deletion"
    timed_as = "File server deletion"
    epitaph = "File server deletion failed"

    def __init__(self, files: FileserverContext, record: FileserverRecord) -> None:
        super().__init__(
            record.username,
            alerts=files.alerts,
            history=files.history,
            seconds=files.config.delete_timeout,
        )
        self._files = files
        self._record = record
        self._creation: AnyOperation | None = None

    def begin(self) -> AnyOperation:
        """Begin on the record, cancelling a creation that is in progress.

        Returns
        -------
        Operation
            This removal, or the one that was in progress already.

        Raises
        ------
        UnknownUserError
            Raised if there is nothing to remove.
        """
        current, creation = self._record.begin_removal(self)
        if current is self and creation is not None:
            self._creation = creation
            creation.cancel()
        return current

    def begin_cleaning(self, seen: int) -> bool:
        """Begin to remove remains; False if the record has changed since ``seen``."""
        return self._record.begin_cleaning(self, seen)

    def perform(self) -> None:
        """Remove it, once a creation has stopped creating objects."""
        if self._creation is not None:
            self._creation.wait(self.timeout.left())
        remove_fileserver(self._files, self.username, self.timeout)

    def succeed(self, result: None) -> None:
        """Forget the file server."""
        del result
        self._record.end(self)
        self.events.complete(f"File server for {self.username} deleted", 100)

    def fail(self, failure: Failure) -> None:
        """Record that something is left."""
        del failure
        self._record.end(self, has_remains=True)


def remove_fileserver(
    files: FileserverContext, username: str, timeout: Timeout
) -> None:
    """Delete all objects of a file server and wait until they are gone.

    Raises
    ------
    KubernetesError
        Raised if one cannot be deleted.
    OperationCancelledError, OperationTimeoutError
        Raised if the operation was cancelled or its time is up.
    """
    cluster, namespace = files.cluster, files.config.namespace
    name = FileserverNames(username).fileserver
    for resource in (GAFAELFAWR_INGRESS, SERVICE, JOB):
        propagation = FOREGROUND.get(resource)
        cluster.remove(resource.at(namespace, name), timeout, propagation=propagation)
        if resource is GAFAELFAWR_INGRESS:
            cluster.wait_gone(INGRESS.at(namespace, name), timeout)
    # Those of the job are gone; what is left is owned by no job.
    for resource in (POD, PERSISTENT_VOLUME_CLAIM):
        for obj in list(files.list(resource, timeout, username)):
            ref = resource.at(namespace, name_of(obj))
            cluster.remove(ref, timeout, uid=uid_of(obj))
