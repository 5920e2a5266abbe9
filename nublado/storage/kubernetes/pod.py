"""Start pods and follow them, with what Kubernetes says of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import structlog

from nublado.exceptions import KubernetesError, OperationTimeoutError
from nublado.models.domain.kubernetes import JSON, namespace_of, uid_of
from nublado.storage.kubernetes.mailbox import Mailbox
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.resource import EVENT, POD, SERVICE_ACCOUNT
from nublado.storage.kubernetes.watcher import (
    Change,
    ChangeType,
    Key,
    Selection,
    Watcher,
)
from nublado.timeout import Timeout

__all__ = [
    "POD_EVENTS",
    "PodChanged",
    "PodFollower",
    "PodGone",
    "PodNews",
    "PodSaid",
    "PodStorage",
    "reduce_pod",
]

_QUIET_SECONDS = 10.0
_QUIET_ROUNDS = 6
_READ_SECONDS = 10.0
_EVENTS_SYNC_SECONDS = 5.0
_ACCOUNT_PAUSE = 0.05
_ACCOUNT_LONGEST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class PodChanged:
    """The pod has a new state."""

    pod: JSON


@dataclass(frozen=True, slots=True)
class PodGone:
    """The pod was deleted."""


@dataclass(frozen=True, slots=True)
class PodSaid:
    """Kubernetes reported an event on the pod."""

    message: str


PodNews = PodChanged | PodGone | PodSaid


def reduce_pod(pod: JSON) -> JSON:
    """Keep of a pod what tells its state; hundreds are held in memory."""
    metadata = {k: v for k, v in pod["metadata"].items() if k != "managedFields"}
    return {"metadata": metadata, "status": pod.get("status") or {}}


def _pod_of_event(event: JSON) -> Key:
    involved = event.get("involvedObject") or {}
    return involved.get("namespace"), str(involved.get("name", ""))


def _reduce_event(event: JSON) -> JSON:
    return {
        "metadata": event["metadata"],
        "involvedObject": event.get("involvedObject") or {},
        "message": event.get("message") or "",
    }


POD_EVENTS = Selection(
    EVENT,
    fields="involvedObject.kind=Pod",
    key=_pod_of_event,
    reduce=_reduce_event,
    remembered=False,
)
"""Events on pods, told to whoever listens for the pod."""


class PodFollower:
    """Tells what happens to one pod, from before its creation on."""

    def __init__(
        self, key: Key, mailbox: Mailbox[Change], storage: PodStorage, timeout: Timeout
    ) -> None:
        self._key = key
        self._mailbox = mailbox
        self._storage = storage
        self._timeout = timeout

    def follow(self, pod: JSON) -> Iterator[PodNews]:
        """Yield news of a pod, beginning with its state as given, until it is gone.

        A watch alone is not trusted: when nothing has come for a while, the
        pod is read.

        Raises
        ------
        OperationCancelledError, OperationTimeoutError
            Raised if the operation was cancelled or its time is up.
        """
        uid, version = uid_of(pod), _version_of(pod)
        yield PodChanged(pod)
        quiet_rounds = 0
        while True:
            change = self._mailbox.receive(_QUIET_SECONDS)
            if change is None:
                quiet_rounds += 1
                change = self._storage.missed_change(
                    self._key, version, self._timeout, force=quiet_rounds
                )
                if change is None:
                    continue
            quiet_rounds = 0
            if "involvedObject" in change.object:
                yield from self._event(change, uid)
            elif uid_of(change.object) == uid:
                version = _version_of(change.object)
                if change.type is ChangeType.DELETED:
                    yield PodGone()
                    return
                yield PodChanged(change.object)

    def hear_out(self, pod: JSON, seconds: float) -> Iterator[PodSaid]:
        """Yield events that are still on their way, for so many seconds.

        They come by another watch than the state of the pod, and often later.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            change = self._mailbox.receive(left)
            if change is not None and "involvedObject" in change.object:
                yield from self._event(change, uid_of(pod))

    def _event(self, change: Change, uid: str) -> Iterator[PodSaid]:
        about = change.object["involvedObject"].get("uid")
        message = change.object["message"]
        if change.type is not ChangeType.DELETED and message and about in (None, uid):
            yield PodSaid(message)


class PodStorage:
    """Creates pods and follows them by the shared watches.

    Parameters
    ----------
    objects
        Storage of the objects.
    pods
        Watch of our pods.
    events
        Watch of the events on pods.
    """

    def __init__(self, objects: ObjectStore, pods: Watcher, events: Watcher) -> None:
        self._objects = objects
        self._pods = pods
        self._events = events
        self._log = structlog.get_logger(__name__)

    @contextmanager
    def following(
        self, namespace: str, name: str, timeout: Timeout, *, events: bool = True
    ) -> Iterator[PodFollower]:
        """Listen for a pod of a name, before it is created.

        Parameters
        ----------
        namespace, name
            Which pod.
        timeout
            Deadline.
        events
            Whether to listen for events on it as well.
        """
        key = (namespace, name)
        mailbox: Mailbox[Change] = Mailbox(timeout)
        with (
            mailbox.open(),
            self._events.listening(key, mailbox.put) if events else nullcontext(),
            self._pods.listening(key, mailbox.put),
        ):
            yield PodFollower(key, mailbox, self, timeout)

    def create(self, pod: JSON, timeout: Timeout) -> JSON:
        """Create a pod as soon as Kubernetes accepts pods in its namespace.

        Kubernetes refuses pods until the default service account exists.

        Raises
        ------
        KubernetesError
            Raised if the pod is refused for another reason.
        OperationCancelledError, OperationTimeoutError
            Raised if the operation was cancelled or its time is up.

        References
        ----------
        https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
        """
        self._wait_for_events()
        self._wait_for_account(str(namespace_of(pod)), timeout)
        pause = _ACCOUNT_PAUSE
        while True:
            try:
                return self._objects.create(pod, timeout)
            except KubernetesError as e:
                if not _is_account_missing(e):
                    raise
            timeout.sleep(pause)
            pause = min(pause * 2, _ACCOUNT_LONGEST_PAUSE)

    def read(self, namespace: str, name: str, timeout: Timeout) -> JSON | None:
        """Read a pod; None if it does not exist."""
        return self._objects.read(POD, namespace, name, timeout)

    def missed_change(
        self, key: Key, version: str, timeout: Timeout, *, force: int
    ) -> Change | None:
        """Read a pod, in case the watch has missed a change of it.

        Parameters
        ----------
        key
            Namespace and name of the pod.
        version
            Its version as it was last seen.
        timeout
            Deadline of the operation that asks.
        force
            How many quiet spells there have been. A watch that is heard of
            is believed, but not for ever.
        """
        lively = self._pods.silence < _QUIET_SECONDS
        if lively and force % _QUIET_ROUNDS:
            return None
        namespace, name = key
        patience = Timeout(
            timeout.operation, timeout.at_most(_READ_SECONDS), timeout.cancellation
        )
        try:
            pod = self._objects.read(POD, namespace, name, patience)
        except (KubernetesError, OperationTimeoutError) as e:
            self._log.warning("Cannot read pod while waiting", error=str(e))
            return None
        if pod is not None and _version_of(pod) == version:
            return None
        self._pods.suspect()
        self._events.suspect()
        if pod is not None:
            return Change(ChangeType.MODIFIED, reduce_pod(pod))
        known = self._pods.get(key)
        return Change(ChangeType.DELETED, known) if known is not None else None

    def _wait_for_events(self) -> None:
        if not self._events.wait_synced(_EVENTS_SYNC_SECONDS):
            self._log.error("Cannot follow events on pods, users will not see them")

    def _wait_for_account(self, namespace: str, timeout: Timeout) -> None:
        pause = _ACCOUNT_PAUSE
        while True:
            try:
                if self._objects.read(SERVICE_ACCOUNT, namespace, "default", timeout):
                    return
            except KubernetesError as e:
                if e.status != 403:
                    raise
                # Not allowed to look: creating the pod will tell.
                return
            timeout.sleep(pause)
            pause = min(pause * 2, _ACCOUNT_LONGEST_PAUSE)


def _is_account_missing(error: KubernetesError) -> bool:
    return (
        error.status == 403 and "serviceaccount" in (error.body or "").lower()
    ) and "not found" in (error.body or "")


def _version_of(pod: JSON) -> str:
    return str(pod["metadata"]["resourceVersion"])
