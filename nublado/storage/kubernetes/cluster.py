"""The cluster: create, read, list and remove objects, and follow them.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import structlog

from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    KubernetesNotFoundError,
    NubladoError,
    OperationTimeoutError,
)
from nublado.models.domain.kubernetes import (
    JSON,
    is_terminating,
    uid_of,
)
from nublado.storage.kubernetes.cache import Change, ChangeType, WatchSpec
from nublado.storage.kubernetes.client import KubernetesClient, Target
from nublado.storage.kubernetes.mailbox import Mailbox
from nublado.storage.kubernetes.pod import PodFollower
from nublado.storage.kubernetes.resource import (
    EVENT,
    NAMESPACE,
    POD,
    SECRET,
    ObjectRef,
    Resource,
)
from nublado.storage.kubernetes.retry import Retry, backoff, wait_to_retry
from nublado.storage.kubernetes.watcher import WATCH_SECONDS, Watcher
from nublado.storage.traffic import Traffic
from nublado.timeout import Timeout

__all__ = ["Cluster"]

_QUIET_SECONDS = 5.0
_READ_SECONDS = 10.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_MOST_COLLISIONS = 8


class Cluster:
    """All that the service does with Kubernetes; shared by all threads.

    Parameters
    ----------
    client
        Connection to the API server; closed by `stop`.
    watches
        What is watched; of each kind one watch at most.
    watch_seconds
        How long a connection that watches may live.
    """

    def __init__(
        self,
        client: KubernetesClient,
        watches: Iterable[WatchSpec] = (),
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        self._client = client
        self._watchers = {
            spec.resource: Watcher(client, spec, watch_seconds) for spec in watches
        }
        self._log = structlog.get_logger(__name__)

    # --- Watches ---------------------------------------------------------

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """All watches."""
        return tuple(self._watchers.values())

    @property
    def traffic(self) -> Traffic:
        """How the API server responds."""
        return self._client.traffic

    @property
    def waiting(self) -> int:
        """How many requests wait for others to end."""
        return self._client.waiting

    def start(self) -> None:
        """Begin to watch."""
        for watcher in self.watchers:
            watcher.start()

    def stop(self) -> None:
        """End all watches and close all connections."""
        for watcher in self.watchers:
            watcher.stop()
        self._client.close()

    def wait_synced(self, seconds: float) -> None:
        """Wait until the watches follow the cluster, each for so many seconds.

        Raises
        ------
        NubladoError
            Raised if one does not by then.
        """
        for watcher in self.watchers:
            if not watcher.spec.on_demand and not watcher.wait_synced(seconds):
                kind = watcher.spec.resource.plural
                raise NubladoError(f"Kubernetes does not list {kind}")

    def problems(self) -> list[str]:
        """Watches that only a restart can bring back."""
        return [f"{watcher.name} has died" for watcher in self.watchers if watcher.dead]

    def watcher(self, resource: Resource) -> Watcher:
        """The watch of a kind; `KeyError` for a kind that is not watched."""
        return self._watchers[resource]

    def listen(self, resource: Resource, listener: Callable[[Change], None]) -> None:
        """Pass all changes of a kind to a listener, which must not block."""
        self._watchers[resource].cache.listen(listener)

    # --- Create ----------------------------------------------------------

    def create(self, obj: JSON, timeout: Timeout) -> JSON:
        """Create an object.

        If an earlier attempt has created it and only the response was lost,
        that is success too.

        Raises
        ------
        KubernetesConflictError
            Raised if an object of that name exists already.
        KubernetesError
            Raised if it cannot be created.
        """
        ref = ObjectRef.of(obj)
        target, path = _target("creating", ref), ref.resource.path(ref.namespace)
        try:
            return self._client.request("POST", path, target, timeout, body=obj)
        except KubernetesError as e:
            created = self._lost(obj, e, timeout) if e.fate_unknown else None
            if created is None:
                raise
            return created

    def ensure(self, obj: JSON, timeout: Timeout) -> JSON:
        """Create an object unless one of its name exists, which is kept.

        Returns
        -------
        dict
            The object that is there now.

        Raises
        ------
        KubernetesError
            Raised if it cannot be created.
        """
        try:
            return self.create(obj, timeout)
        except KubernetesConflictError:
            existing = self._existing(obj, timeout)
            if existing is None:
                raise
            return existing

    def replace(self, obj: JSON, timeout: Timeout) -> JSON:
        """Put an object in place of the one of its name, or create it.

        Raises
        ------
        KubernetesConflictError
            Raised if it was read, and somebody else has changed it since.
        KubernetesError
            Raised if that is not possible.
        """
        ref = ObjectRef.of(obj)
        target = _target("replacing", ref)
        try:
            return self._client.request("PUT", ref.path, target, timeout, body=obj)
        except KubernetesNotFoundError:
            return self.create(obj, timeout)

    def _lost(self, obj: JSON, error: KubernetesError, timeout: Timeout) -> JSON | None:
        """Look up what an attempt has created, the response to which was lost.

        A further attempt need not fail with a conflict: the object itself may
        have used its quota up.
        """
        ref = ObjectRef.of(obj)
        if ref.resource is SECRET and not isinstance(error, KubernetesConflictError):
            return None
        existing = self._existing(obj, timeout)
        if existing is None or is_terminating(existing):
            return None
        return existing if _contains(existing, obj) else None

    def _existing(self, obj: JSON, timeout: Timeout) -> JSON | None:
        """Read the object that has the name of another.

        A secret may be created but not read; nobody else uses its name.
        """
        ref = ObjectRef.of(obj)
        return obj if ref.resource is SECRET else self.read(ref, timeout)

    # --- Read ------------------------------------------------------------

    def read(self, ref: ObjectRef, timeout: Timeout) -> JSON | None:
        """Read an object; None if it does not exist.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        """
        target = _target("reading", ref)
        try:
            return self._client.request("GET", ref.path, target, timeout)
        except KubernetesNotFoundError:
            return None

    def list(
        self,
        resource: Resource,
        timeout: Timeout,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Iterator[JSON]:
        """List objects by label and field selector.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.
        """
        noun = "namespaces" if resource is NAMESPACE else "objects"
        target = Target(f"Error listing {noun}", resource.kind, namespace)
        spec = WatchSpec(
            resource=resource, namespace=namespace, labels=labels, fields=fields
        )
        path = resource.path(namespace)
        for page in self._client.pages(path, target, timeout, spec.query()):
            yield from page.get("items") or ()

    # --- Remove ----------------------------------------------------------

    def remove(
        self,
        ref: ObjectRef,
        timeout: Timeout,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete an object and wait until it is gone, if it is there at all.

        Names are used again, so the end of this very object is waited for, not
        of a later one that bears its name.

        Parameters
        ----------
        ref
            Which object.
        timeout
            Deadline.
        uid
            Only this very object.
        grace_seconds
            How long a pod may take to stop.
        propagation
            ``Foreground`` or ``Background``.

        Raises
        ------
        KubernetesError
            Raised if it cannot be deleted.
        OperationCancelledError, OperationTimeoutError
            Raised if the wait was cancelled or took too long.
        """
        options: JSON = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        with self._changes(ref, timeout) as mailbox:
            doomed = self._delete(ref, timeout, options)
            if doomed is None:
                return
            again = {**options, "preconditions": {"uid": doomed}}
            repeat = partial(self._delete, ref, timeout, again)
            self._await_end(ref, doomed, timeout, mailbox, repeat)

    def wait_gone(self, ref: ObjectRef, timeout: Timeout) -> None:
        """Wait until an object, which somebody else deletes, is gone.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        OperationCancelledError, OperationTimeoutError
            Raised if the wait was cancelled or took too long.
        """
        with self._changes(ref, timeout) as mailbox:
            found = self.read(ref, timeout)
            if found is not None:
                self._await_end(ref, uid_of(found), timeout, mailbox)

    @contextmanager
    def _changes(self, ref: ObjectRef, timeout: Timeout) -> Iterator[Mailbox[Change]]:
        """Collect changes of an object; of kinds that are not watched, none."""
        mailbox: Mailbox[Change] = Mailbox(timeout)
        watcher = self._watchers.get(ref.resource)
        with ExitStack() as stack:
            stack.enter_context(mailbox.open())
            if watcher is not None:
                stack.enter_context(watcher.cache.listening(ref.key, mailbox.put))
            yield mailbox

    def _delete(self, ref: ObjectRef, timeout: Timeout, options: JSON) -> str | None:
        """Request a deletion; return the uid of what is being deleted."""
        target = _target("deleting", ref)
        uid = options.get("preconditions", {}).get("uid")
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._client.request(
                    "DELETE", ref.path, target, timeout, body=options
                )
            except KubernetesNotFoundError:
                return None
            except KubernetesConflictError as e:
                found = self.read(ref, timeout)
                if found is None or (uid is not None and uid_of(found) != uid):
                    return None
                if is_terminating(found):
                    return uid_of(found)
                if attempt >= _MOST_COLLISIONS:
                    raise
                retry = Retry("object changed", backoff(attempt))
                wait_to_retry(retry, attempt, e, timeout)
            else:
                return _deleted_uid(response)

    def _await_end(
        self,
        ref: ObjectRef,
        uid: str,
        timeout: Timeout,
        mailbox: Mailbox[Change],
        repeat: Callable[[], object] = lambda: None,
    ) -> None:
        """Wait for the end of one object.

        An object that a watch knows is waited for; any other is polled. A server
        that was restored from a backup may have forgotten the deletion, which is
        repeated then.
        """
        watcher = self._watchers.get(ref.resource)
        known = watcher.cache.get(ref.key) if watcher else None
        is_watched = known is not None and uid_of(known) == uid
        pause = _QUIET_SECONDS if is_watched else 0.0
        while True:
            change = mailbox.receive(pause)
            if change is None:
                if self._is_gone(ref, uid, timeout, repeat):
                    if watcher is not None and is_watched:
                        watcher.reconnect()
                    return
                if not is_watched:
                    pause = min(max(pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
            elif change.type is ChangeType.DELETED and uid_of(change.object) == uid:
                return

    def _is_gone(
        self, ref: ObjectRef, uid: str, timeout: Timeout, repeat: Callable[[], object]
    ) -> bool:
        try:
            found = self.read(ref, timeout.part(_READ_SECONDS))
        except (KubernetesError, OperationTimeoutError) as e:
            self._log.warning("Cannot tell whether object is gone", error=str(e))
            return False
        if found is None or uid_of(found) != uid:
            return True
        if not is_terminating(found):
            repeat()
        return False

    # --- Follow ----------------------------------------------------------

    @contextmanager
    def follow(
        self, pod: ObjectRef, timeout: Timeout, *, events: bool = True
    ) -> Iterator[PodFollower]:
        """Follow a pod of a name, from before it is created.

        Parameters
        ----------
        pod
            Which pod.
        timeout
            Deadline.
        events
            Whether to follow events about it as well.
        """
        mailbox: Mailbox[Change] = Mailbox(timeout)
        kinds = (POD, EVENT) if events else (POD,)
        watchers = tuple(self._watchers[kind] for kind in kinds)
        with ExitStack() as stack:
            stack.enter_context(mailbox.open())
            for watcher in reversed(watchers):
                stack.enter_context(watcher.cache.listening(pod.key, mailbox.put))
            yield PodFollower(
                key=pod.key,
                mailbox=mailbox,
                timeout=timeout,
                read=lambda limit: self.read(pod, limit),
                watchers=watchers,
            )


def _target(verb: str, ref: ObjectRef) -> Target:
    noun = "namespace" if ref.resource is NAMESPACE else "object"
    kind = ref.resource.kind
    return Target(f"Error {verb} {noun}", kind, ref.namespace, ref.name)


def _deleted_uid(response: JSON) -> str | None:
    """Read off the response to a deletion what has to be waited for.

    A ``Status`` in place of the object says that it is gone already.
    """
    return None if response.get("kind") == "Status" else uid_of(response)


def _contains(existing: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; Kubernetes adds its defaults."""
    if isinstance(wanted, dict):
        return isinstance(existing, dict) and all(
            key in existing and _contains(existing[key], value)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(existing, list)
            and len(existing) == len(wanted)
            and all(map(_contains, existing, wanted))
        )
    return bool(existing == wanted)
