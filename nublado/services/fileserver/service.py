"""File servers of all users: create, delete, follow, reconcile."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import structlog

from nublado.exceptions import (
    FileserverCreationError,
    FileserverDeletionError,
    OperationTimeoutError,
    UnknownUserError,
)
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.services.fileserver.context import WATCHED, FileserverContext
from nublado.services.fileserver.creation import Creation
from nublado.services.fileserver.progress import (
    FilesProgress,
    describe_files,
    has_failed_lately,
)
from nublado.services.fileserver.record import FileserverRecord
from nublado.services.fileserver.removal import Removal
from nublado.services.observed.fileserver import ObservedFileserver
from nublado.services.operation import OperationPool
from nublado.services.waiting import WaitingRoom
from nublado.storage.kubernetes.cache import Change
from nublado.timeout import Timeout

__all__ = ["FileserverService"]

_FIND_SECONDS = 60.0
_SLACK_SECONDS = 5.0
_STOP_SECONDS = 5.0
_THREADS = 256


class FileserverService:
    """The file servers of all users.

    Parameters
    ----------
    files
        What file servers are made with.
    waiting
        Where requests wait for creations and removals.
    """

    def __init__(self, *, files: FileserverContext, waiting: WaitingRoom) -> None:
        self._files = files
        self._waiting = waiting
        self._creations = OperationPool("fileserver-creation", _THREADS)
        self._removals = OperationPool("fileserver-removal", _THREADS)
        self._records: dict[str, FileserverRecord] = {}
        self._log = structlog.get_logger(__name__)
        config = files.config
        self._patience = config.creation_timeout + config.delete_timeout
        for resource in WATCHED:
            files.cluster.listen(resource, self.observe)

    def queues(self) -> dict[str, int]:
        """How many creations and removals have begun or wait."""
        return {
            "fileserver-creations": self._creations.active,
            "fileserver-removals": self._removals.active,
        }

    def stop(self) -> None:
        """Stop at the next step, leaving what was made to the next process."""
        deadline = time.monotonic() + _STOP_SECONDS
        for pool in (self._creations, self._removals):
            pool.close()
        for pool in (self._creations, self._removals):
            pool.stop(deadline)

    # --- State -----------------------------------------------------------

    def running(self) -> list[str]:
        """Usernames of those whose file server is running, sorted."""
        return sorted(name for name in list(self._records) if self.is_running(name))

    def waiting(self, seconds: float) -> list[tuple[str, datetime, str]]:
        """File servers that have been created for so long and are not ready.

        Returns
        -------
        list
            User, beginning, and what keeps each from being ready.
        """
        now = time.time()
        return [
            (
                record.username,
                datetime.fromtimestamp(operation.started, UTC),
                self._files.observe(record.username).obstacle_text,
            )
            for record in list(self._records.values())
            if isinstance(operation := record.operation, Creation)
            and now - operation.started > seconds
        ]

    def is_running(self, username: str) -> bool:
        """Whether a user's file server is running."""
        record = self._records.get(username)
        return record is not None and record.job_uid is not None

    def url(self, username: str) -> str:
        """URL of a user's file server."""
        return self._files.builder.url(username)

    def progress(self, username: str) -> FilesProgress:
        """How far a user's file server is; costs no request."""
        return describe_files(
            self._records.get(username),
            self._files.observe(username),
            self._files.history,
        )

    # --- Create and delete -----------------------------------------------

    def begin(self, user: UserInfo, *, again: bool = False) -> None:
        """Begin to create a user's file server, unless there is one or one begins.

        One that has just failed is not tried again by itself.

        Parameters
        ----------
        user
            Whose it is.
        again
            Try once more what has just failed.

        Raises
        ------
        ServiceUnavailableError
            Raised if the process stops.
        """
        record = self._record(user.username)
        if not again and has_failed_lately(record.creation):
            return
        creation = self._new_creation(record, user)
        if record.begin_creation(creation) is creation:
            self._creations.submit(creation)
            creation.check_abandoned()

    def create(self, user: UserInfo) -> None:
        """Create a user's file server unless it is running; wait until it is.

        Concurrent callers wait for the same creation.

        Raises
        ------
        FileserverCreationError
            Raised if it cannot be created; nothing is left of it.
        ServiceUnavailableError
            Raised if the process stops; or if too many requests wait for
            operations, and nothing has been begun.
        """
        if self.is_running(user.username):
            return
        with self._waiting.place(user.username):
            self._create(user)

    def _create(self, user: UserInfo) -> None:
        record = self._record(user.username)
        limit = Timeout("File server creation", self._patience + _SLACK_SECONDS)
        while True:
            creation = self._new_creation(record, user)
            current = record.begin_creation(creation)
            if current is None:
                return
            if current is creation:
                self._creations.submit(creation)
            try:
                current.wait(limit.left())
                limit.left()
            except OperationTimeoutError as e:
                raise FileserverCreationError(str(e)) from e
            current.check_abandoned()
            if isinstance(current, Creation):
                break
        if not current.succeeded:
            raise FileserverCreationError(current.reason)

    def _new_creation(self, record: FileserverRecord, user: UserInfo) -> Creation:
        return Creation(self._files, record, user, self._remove_if_ended)

    def delete(self, username: str) -> None:
        """Delete a user's file server and wait until it is gone.

        A creation in progress is cancelled.

        Raises
        ------
        UnknownUserError
            Raised if the user has none.
        FileserverDeletionError
            Raised if it cannot be deleted.
        ServiceUnavailableError
            Raised if the process stops; or if too many requests wait for
            operations, and nothing has been begun.
        """
        record = self._records.get(username)
        if record is None:
            raise UnknownUserError(username)
        with self._waiting.place(username):
            self._delete(record)

    def _delete(self, record: FileserverRecord) -> None:
        removal = Removal(self._files, record)
        current = removal.begin()
        if current is removal:
            self._removals.submit(removal)
        ended = current.wait(self._files.config.delete_timeout + _SLACK_SECONDS)
        current.check_abandoned()
        if not (ended and current.succeeded):
            raise FileserverDeletionError(current.reason)

    # --- Following the cluster -------------------------------------------

    def observe(self, change: Change) -> None:
        """Record a change of an object; called by the watches."""
        username = self._files.user_of(change.object)
        record = self._records.get(username) if username else None
        if record is None:
            return
        operation = record.operation
        if isinstance(operation, Creation):
            operation.notice(change)
        elif operation is None and record.job_uid is not None:
            self._remove_if_ended(record)

    def reconcile(self) -> None:
        """Compare with the cluster: adopt what is valid, remove what is not.

        What has changed since the reconciliation began is left alone.

        Raises
        ------
        KubernetesError
            Raised if file servers cannot be listed.
        """
        seen = {name: record.changes for name, record in list(self._records.items())}
        found = self._files.find(Timeout("File server reconciliation", _FIND_SECONDS))
        for username in sorted({*found, *self.running()}):
            observed = found.get(username, ObservedFileserver())
            self._reconcile(self._record(username), observed, seen.get(username, 0))
        self._log.info("Reconciled file servers", running=len(self.running()))

    def _reconcile(
        self, record: FileserverRecord, observed: ObservedFileserver, seen: int
    ) -> None:
        if not observed.is_running:
            self._remove(record, seen)
        elif record.job_uid != observed.job_uid and record.adopt(
            observed.job_uid, seen
        ):
            self._log.info("Found file server", user=record.username)

    def _remove_if_ended(self, record: FileserverRecord) -> None:
        seen, job_uid = record.changes, record.job_uid
        if self._files.observe(record.username).has_ended(job_uid):
            self._remove(record, seen)

    def _remove(self, record: FileserverRecord, seen: int) -> None:
        removal = Removal(self._files, record)
        if removal.begin_cleaning(seen):
            self._log.info("Deleting remains of file server", user=record.username)
            self._removals.submit(removal)

    def _record(self, username: str) -> FileserverRecord:
        record = self._records.get(username)
        if record is None:
            record = self._records.setdefault(username, FileserverRecord(username))
        return record
