"""What is known of each user's file server; every change of it goes through here.

A record has one lock, which is never held across input or output.
"""

from __future__ import annotations

import threading

from nublado.exceptions import UnknownUserError
from nublado.services.operation import AnyOperation, OperationKind

__all__ = ["FileserverRecord"]


class FileserverRecord:
    """The file server of one user, and the operation that changes it.

    It runs if its job is known. After a removal that has failed, remains are
    known, so that it can be repeated.
    """

    def __init__(self, username: str) -> None:
        self.username = username
        self._lock = threading.Lock()
        self._job_uid: str | None = None
        self._has_remains = False
        self._operation: AnyOperation | None = None
        self._creation: AnyOperation | None = None
        self._changes = 0

    @property
    def job_uid(self) -> str | None:
        """Job of the file server that runs; None if none does."""
        return self._job_uid

    @property
    def operation(self) -> AnyOperation | None:
        """What is being done to the file server now."""
        return self._operation

    @property
    def creation(self) -> AnyOperation | None:
        """The newest creation, which may be over; None if none ever began."""
        return self._creation

    @property
    def changes(self) -> int:
        """Grows with every change; shows whether an observation is stale."""
        return self._changes

    def begin_creation(self, creation: AnyOperation) -> AnyOperation | None:
        """Begin to create it, unless it runs.

        Returns
        -------
        Operation or None
            The operation in progress, which is the given one unless there was
            one already; None if the file server runs.
        """
        with self._lock:
            if self._operation is None:
                if self._job_uid is not None:
                    return None
                self._begin(creation)
                self._creation = creation
            return self._operation

    def begin_removal(
        self, removal: AnyOperation
    ) -> tuple[AnyOperation, AnyOperation | None]:
        """Begin to remove it, or join the removal that is in progress.

        Returns
        -------
        tuple
            The removal in progress (the given one, unless there was one
            already), and the creation that has to be cancelled for it.

        Raises
        ------
        UnknownUserError
            Raised if there is nothing to remove.
        """
        with self._lock:
            current = self._operation
            if current is not None and current.kind is OperationKind.DELETE:
                return current, None
            if current is None and self._job_uid is None and not self._has_remains:
                raise UnknownUserError(self.username)
            self._begin(removal)
            return removal, current

    def begin_cleaning(self, removal: AnyOperation, seen: int) -> bool:
        """Begin to remove what is of no use; False if changed since ``seen``."""
        with self._lock:
            if self._changes != seen or self._operation is not None:
                return False
            self._begin(removal)
            return True

    def adopt(self, job_uid: str | None, seen: int) -> bool:
        """Take over one that was found; False if changed since ``seen``."""
        with self._lock:
            if self._changes != seen or self._operation is not None:
                return False
            self._job_uid = job_uid
            self._has_remains = False
            self._changes += 1
            return True

    def end(
        self,
        operation: AnyOperation,
        *,
        job_uid: str | None = None,
        has_remains: bool = False,
    ) -> None:
        """End an operation, unless another has taken over meanwhile."""
        with self._lock:
            if self._operation is operation:
                self._operation = None
                self._job_uid = job_uid
                self._has_remains = has_remains
                self._changes += 1

    def _begin(self, operation: AnyOperation) -> None:
        self._operation = operation
        self._job_uid = None
        self._changes += 1
