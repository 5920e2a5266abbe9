"""File servers of all users: made on demand, gone when they are not used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from nublado.config.model import FileserverConfig
from nublado.constants import CATEGORY_FILESERVER, LABEL_CATEGORY, LABEL_USER
from nublado.exceptions import (
    FileserverCreationError,
    FileserverDeletionError,
    NubladoError,
    OperationCancelledError,
    OperationTimeoutError,
    ServiceUnavailableError,
    UnknownUserError,
)
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.services.alerts import Alerts
from nublado.services.builder.fileserver import FileserverBuilder
from nublado.storage.kubernetes.fileserver import FileserverPicture, FileserverStorage
from nublado.storage.kubernetes.watcher import Change
from nublado.timeout import Cancellation, Timeout

__all__ = ["FileserverManager"]

_FIND_SECONDS = 60.0
_CLEANERS = 16


class _Record:
    """One user's file server; ``turn`` is held by who makes or removes it."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.is_running = False
        self.changes = 0
        self.creation: Cancellation | None = None
        self.is_cleaning = False

    @property
    def is_known(self) -> bool:
        """Whether there is something to delete."""
        return self.is_running or self.creation is not None


class FileserverManager:
    """Makes, removes and tracks file servers.

    Parameters
    ----------
    config
        Configuration of file servers.
    builder
        Builds their objects.
    storage
        Makes, follows and removes these.
    alerts
        Is told of failures.
    """

    def __init__(
        self,
        config: FileserverConfig,
        builder: FileserverBuilder,
        storage: FileserverStorage,
        alerts: Alerts,
    ) -> None:
        self._config = config
        self._builder = builder
        self._storage = storage
        self._alerts = alerts
        self._stopping = Cancellation()
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}
        self._cleaners = ThreadPoolExecutor(_CLEANERS, "fileserver-cleaner")
        self._log = structlog.get_logger(__name__)

    def stop(self) -> None:
        """Stop at the next step, leaving what was made to the next process."""
        self._stopping.cancel()
        with self._lock:
            creations = [r.creation for r in self._records.values() if r.creation]
        for creation in creations:
            creation.cancel()
        self._cleaners.shutdown(wait=False, cancel_futures=True)

    # --- What is asked of it ---------------------------------------------

    def running(self) -> list[str]:
        """Usernames of those whose file server is running, sorted."""
        with self._lock:
            records = list(self._records.items())
        return sorted(username for username, r in records if r.is_running)

    def is_running(self, username: str) -> bool:
        """Whether a user's file server is running."""
        with self._lock:
            record = self._records.get(username)
        return record is not None and record.is_running

    def url(self, username: str) -> str:
        """URL of a user's file server."""
        return self._builder.url(username)

    def create(self, user: UserInfo) -> None:
        """Make a user's file server unless it is running; wait until it is.

        Whoever comes while it is being made waits for that.

        Raises
        ------
        FileserverCreationError
            Raised if it cannot be made; nothing is left of it.
        ServiceUnavailableError
            Raised if the process stops.
        """
        username = user.username
        record = self._record(username)
        if record.is_running:
            return
        creation = Cancellation()
        timeout = Timeout(
            "File server creation", self._config.creation_timeout, creation
        )
        if not record.turn.acquire(timeout=self._config.creation_timeout):
            raise FileserverCreationError(str(timeout.expired()))
        try:
            if record.is_running:
                return
            self._check_stopping()
            record.changes += 1
            record.creation = creation
            self._create(user, record, timeout)
        finally:
            record.creation = None
            record.changes += 1
            record.turn.release()

    def delete(self, username: str) -> None:
        """Delete a user's file server and wait until it is gone.

        One that is being made is given up.

        Raises
        ------
        UnknownUserError
            Raised if the user has none.
        FileserverDeletionError
            Raised if it cannot be deleted.
        ServiceUnavailableError
            Raised if the process stops.
        """
        with self._lock:
            record = self._records.get(username)
        if record is None or not record.is_known:
            raise UnknownUserError(username)
        creation = record.creation
        if creation is not None:
            creation.cancel()
        timeout = self._delete_timeout()
        if not record.turn.acquire(timeout=self._config.delete_timeout):
            raise FileserverDeletionError(str(timeout.expired()))
        try:
            self._check_stopping()
            self._delete(username, record, timeout)
        except OperationCancelledError as e:
            raise ServiceUnavailableError("Service is stopping, try again") from e
        except NubladoError as e:
            self._alerts.report(e, event="File server deletion failed", user=username)
            raise FileserverDeletionError(str(e)) from e
        finally:
            record.turn.release()

    # --- Creation and deletion, by whoever has the turn ------------------

    def _create(self, user: UserInfo, record: _Record, timeout: Timeout) -> None:
        username = user.username
        self._log.info("Creating file server", user=username)
        try:
            objects = self._builder.build(user)
            self._storage.create(username, objects, timeout)
        except OperationCancelledError as e:
            self._check_stopping()
            self._clean_up(username, record)
            raise FileserverCreationError("Operation cancelled") from e
        except NubladoError as e:
            reason = str(e)
            if isinstance(e, OperationTimeoutError):
                reason = f"{e}: {self._storage.picture(username).obstacle}"
            self._alerts.report(
                e, event="File server creation failed", user=username, reason=reason
            )
            self._clean_up(username, record)
            raise FileserverCreationError(reason) from e
        record.is_running = True
        self._log.info("File server is running", user=username)
        if self._storage.picture(username).has_ended:
            self._begin_cleaning(username)

    def _clean_up(self, username: str, record: _Record) -> None:
        """Remove what was made of a file server that failed."""
        try:
            self._delete(username, record, self._delete_timeout())
        except OperationCancelledError:
            return
        except NubladoError as e:
            event = "File server cannot be cleaned up"
            self._alerts.report(e, event=event, user=username)

    def _delete(self, username: str, record: _Record, timeout: Timeout) -> None:
        record.changes += 1
        record.is_running = False
        self._storage.delete(username, timeout)
        record.changes += 1
        self._log.info("File server is gone", user=username)

    # --- Following the cluster -------------------------------------------

    def observe(self, change: Change) -> None:
        """Take note of a change of an object; called by the watches."""
        labels = change.object["metadata"].get("labels") or {}
        if labels.get(LABEL_CATEGORY) != CATEGORY_FILESERVER:
            return
        username = labels.get(LABEL_USER, "")
        if self.is_running(username) and self._storage.picture(username).has_ended:
            self._begin_cleaning(username)

    def _begin_cleaning(self, username: str) -> None:
        self._submit(username, lambda: self._storage.picture(username).has_ended)

    def _submit(self, username: str, is_needed: Callable[[], bool]) -> None:
        """Remove a file server in the background, if that is needed by then."""
        record = self._record(username)
        with self._lock:
            if record.is_cleaning or self._stopping.cancelled:
                return
            record.is_cleaning = True

        def clean() -> None:
            try:
                if record.turn.acquire(timeout=self._config.delete_timeout):
                    try:
                        if is_needed():
                            self._clean_up(username, record)
                    finally:
                        record.turn.release()
            finally:
                record.is_cleaning = False

        self._cleaners.submit(clean)

    # --- Reconciliation --------------------------------------------------

    def reconcile(self) -> None:
        """Compare with the cluster: adopt what is valid, remove what is not.

        What has changed since the reconciliation began is left alone.

        Raises
        ------
        KubernetesError
            Raised if file servers cannot be listed.
        """
        with self._lock:
            seen = {name: record.changes for name, record in self._records.items()}
        timeout = Timeout("File server reconciliation", _FIND_SECONDS, self._stopping)
        found = self._storage.find(timeout)
        for username in sorted({*found, *self.running()}):
            picture = found.get(username, FileserverPicture())
            self._reconcile(username, picture, seen.get(username, 0))
        self._log.info("Reconciled file servers", running=len(self.running()))

    def _reconcile(self, username: str, picture: FileserverPicture, seen: int) -> None:
        record = self._record(username)
        if record.creation is not None or record.changes != seen:
            return
        if not picture.is_running:
            self._log.warning("Removing remains of file server", user=username)
            self._submit(username, lambda: record.changes == seen)
        elif not record.is_running:
            record.is_running = True
            self._log.info("Found file server", user=username)

    # --- Parts -----------------------------------------------------------

    def _record(self, username: str) -> _Record:
        with self._lock:
            return self._records.setdefault(username, _Record())

    def _delete_timeout(self) -> Timeout:
        seconds = self._config.delete_timeout
        return Timeout("File server deletion", seconds, self._stopping)

    def _check_stopping(self) -> None:
        if self._stopping.cancelled:
            raise ServiceUnavailableError("Service is stopping, try again")
