"""Delete an object and wait until it is gone."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    OperationTimeoutError,
)
from nublado.models.domain.kubernetes import JSON, uid_of
from nublado.storage.kubernetes.mailbox import Mailbox
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.resource import Resource
from nublado.storage.kubernetes.watcher import Change, ChangeType, Watcher
from nublado.timeout import Timeout

__all__ = ["Deleter"]

_QUIET_SECONDS = 5.0
_READ_SECONDS = 10.0


class Deleter:
    """Deletes objects of watched kinds and waits for their end.

    Parameters
    ----------
    objects
        Storage of the objects.
    watchers
        A watcher for each kind that may be deleted.
    """

    def __init__(
        self, objects: ObjectStore, watchers: Mapping[Resource, Watcher]
    ) -> None:
        self._objects = objects
        self._watchers = watchers

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        timeout: Timeout,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object and wait until it is gone, if it is there at all.

        Names are used again, so the end of this very object is waited for, not
        of a later one that bears its name.

        Parameters
        ----------
        resource, namespace, name
            Which object.
        timeout
            Deadline.
        uid
            Only this very object.
        grace_seconds
            How long a pod may take to stop.

        Raises
        ------
        KubernetesError
            Raised if it cannot be deleted.
        OperationCancelledError, OperationTimeoutError
            Raised if the wait was cancelled or took too long.
        """
        watcher = self._watchers[resource]
        mailbox: Mailbox[Change] = Mailbox(timeout)
        with (
            mailbox.open(),
            watcher.listening((namespace, name), mailbox.put),
        ):
            doomed = self._begin(resource, namespace, name, timeout, uid, grace_seconds)
            if doomed is None:
                return
            while True:
                change = mailbox.receive(_QUIET_SECONDS)
                if change is None:
                    if self._is_gone(resource, namespace, name, doomed, timeout):
                        watcher.suspect()
                        return
                elif _is_end_of(doomed, change):
                    return

    def _begin(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        timeout: Timeout,
        uid: str | None,
        grace_seconds: int | None,
    ) -> str | None:
        """Ask for the deletion; return the uid of what is being deleted."""
        answer: JSON | None
        try:
            answer = self._objects.delete(
                resource,
                namespace,
                name,
                timeout,
                uid=uid,
                grace_seconds=grace_seconds,
            )
        except KubernetesConflictError:
            # It is being deleted already, or another object has its name now.
            answer = self._objects.read(resource, namespace, name, timeout)
            if answer is None or (uid is not None and uid_of(answer) != uid):
                return None
            if "deletionTimestamp" not in answer["metadata"]:
                raise
        if answer is None:
            return None
        if answer.get("kind") == "Status":
            details = answer.get("details") or {}
            return str(details["uid"]) if "uid" in details else None
        return uid_of(answer)

    def _is_gone(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        uid: str,
        timeout: Timeout,
    ) -> bool:
        """Ask once, since nothing has been heard for a while."""
        patience = Timeout(
            timeout.operation, timeout.at_most(_READ_SECONDS), timeout.cancellation
        )
        try:
            found = self._objects.read(resource, namespace, name, patience)
        except (KubernetesError, OperationTimeoutError) as e:
            structlog.get_logger(__name__).warning(
                "Cannot tell whether object is gone", error=str(e)
            )
            return False
        return found is None or uid_of(found) != uid


def _is_end_of(uid: str, change: Change) -> bool:
    return change.type is ChangeType.DELETED and uid_of(change.object) == uid
