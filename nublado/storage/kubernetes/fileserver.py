"""The objects of file servers in the cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from nublado.constants import CATEGORY_FILESERVER, LABEL_CATEGORY, LABEL_USER
from nublado.exceptions import KubernetesConflictError, KubernetesError
from nublado.models.domain.fileserver import FileserverNames, FileserverObjects
from nublado.models.domain.kubernetes import JSON, PodPhase, name_of, uid_of
from nublado.storage.kubernetes.mailbox import Mailbox
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.resource import (
    GAFAELFAWR_INGRESS,
    INGRESS,
    JOB,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
    Resource,
    resource_of,
)
from nublado.storage.kubernetes.watcher import Change, Watcher
from nublado.timeout import Timeout

__all__ = ["FileserverPicture", "FileserverStorage", "FileserverWatchers"]

_QUIET_SECONDS = 10.0
_READ_SECONDS = 10.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_ENDED = (PodPhase.SUCCEEDED, PodPhase.FAILED)
_FOREGROUND = frozenset({GAFAELFAWR_INGRESS, JOB})
"""What is only gone once all that was made from it is gone."""


@dataclass(frozen=True, slots=True)
class FileserverWatchers:
    """Watches that file servers are followed by."""

    pods: Watcher
    jobs: Watcher
    ingresses: Watcher

    def __iter__(self) -> Iterator[Watcher]:
        return iter((self.pods, self.jobs, self.ingresses))


@dataclass(slots=True)
class FileserverPicture:
    """What is there of one user's file server.

    Parameters
    ----------
    job, ingress
        These objects, if they exist.
    pods
        All pods that carry the labels of the file server.
    is_more
        Whether there are other objects of it.
    """

    job: JSON | None = None
    ingress: JSON | None = None
    pods: list[JSON] = field(default_factory=list)
    is_more: bool = False

    @property
    def pods_of_job(self) -> list[JSON]:
        """Pods of this very job, not of an earlier one of its name.

        Kubernetes may start a second pod where it has lost sight of the first.
        """
        job = uid_of(self.job) if self.job else None
        return [pod for pod in self.pods if job and job in _owners(pod)]

    @property
    def has_address(self) -> bool:
        """Whether the ingress can be reached."""
        status = (self.ingress or {}).get("status") or {}
        points = (status.get("loadBalancer") or {}).get("ingress") or ()
        return any(point.get("ip") or point.get("hostname") for point in points)

    @property
    def is_running(self) -> bool:
        """Whether users can be served."""
        phases = [_phase(pod) for pod in self.pods_of_job if not _is_leaving(pod)]
        return self.has_address and PodPhase.RUNNING in phases

    @property
    def has_ended(self) -> bool:
        """Whether the file server has exited, or its job is gone."""
        if self.job is None:
            return True
        pods = self.pods_of_job
        return bool(pods) and all(_phase(pod) in _ENDED for pod in pods)

    @property
    def obstacle(self) -> str:
        """What keeps users from being served."""
        pods = self.pods_of_job
        if not any(_phase(pod) == PodPhase.RUNNING for pod in pods):
            return f"pod is {_phase(pods[0])}" if pods else "there is no pod"
        return "ingress has no address" if self.ingress else "there is no ingress"


class FileserverStorage:
    """Creates, follows and removes the objects of file servers.

    Parameters
    ----------
    namespace
        Where file servers are.
    objects
        Storage of the objects.
    watchers
        Watches to follow them by.
    """

    def __init__(
        self, namespace: str, objects: ObjectStore, watchers: FileserverWatchers
    ) -> None:
        self._namespace = namespace
        self._objects = objects
        self._watchers = watchers
        self._lock = threading.Lock()
        self._listeners: dict[str, list[Mailbox[Change]]] = {}
        for watcher in watchers:
            watcher.listen(self._pass_on)
        self._log = structlog.get_logger(__name__)

    # --- What is there ---------------------------------------------------

    def picture(self, username: str) -> FileserverPicture:
        """What the watches know of a user's file server; costs no request."""
        name = FileserverNames(username).fileserver
        return FileserverPicture(
            job=self._watchers.jobs.get((self._namespace, name)),
            ingress=self._watchers.ingresses.get((self._namespace, name)),
            pods=[
                pod
                for pod in self._watchers.pods.objects()
                if _user_of(pod) == username and self._is_ours(pod)
            ],
        )

    def find(self, timeout: Timeout) -> dict[str, FileserverPicture]:
        """Ask for all that is there, by user.

        Raises
        ------
        KubernetesError
            Raised if it cannot be listed.
        """
        found: dict[str, FileserverPicture] = {}
        for job in self._list(JOB, timeout):
            found.setdefault(_user_of(job), FileserverPicture()).job = job
        for ingress in self._list(INGRESS, timeout):
            found.setdefault(_user_of(ingress), FileserverPicture()).ingress = ingress
        for pod in self._list(POD, timeout):
            found.setdefault(_user_of(pod), FileserverPicture()).pods.append(pod)
        for resource in (GAFAELFAWR_INGRESS, SERVICE, PERSISTENT_VOLUME_CLAIM):
            for obj in self._list(resource, timeout):
                found.setdefault(_user_of(obj), FileserverPicture()).is_more = True
        found.pop("", None)
        return found

    # --- Create ----------------------------------------------------------

    def create(
        self, username: str, objects: FileserverObjects, timeout: Timeout
    ) -> None:
        """Create a file server and wait until it can be used.

        Objects that are left of an earlier one are replaced, but claims that
        are in order are kept: what is behind them may be all that a user has.

        Raises
        ------
        KubernetesError
            Raised if an object cannot be created.
        OperationCancelledError, OperationTimeoutError
            Raised if the operation was cancelled or its time is up.
        """
        mailbox: Mailbox[Change] = Mailbox(timeout)
        with mailbox.open(), self._listening(username, mailbox):
            for obj in objects:
                self._create(obj, timeout)
            self._wait(username, mailbox, timeout)

    def _wait(self, username: str, mailbox: Mailbox[Change], timeout: Timeout) -> None:
        picture = self.picture(username)
        while not picture.is_running:
            heard = mailbox.receive(_QUIET_SECONDS)
            picture = self.picture(username)
            if heard is None and not picture.is_running:
                # A watch alone is not trusted.
                patience = Timeout(
                    timeout.operation,
                    timeout.at_most(_READ_SECONDS),
                    timeout.cancellation,
                )
                picture = self._read(username, patience)
                if picture.is_running:
                    for watcher in self._watchers:
                        watcher.suspect()

    def _create(self, obj: JSON, timeout: Timeout) -> None:
        try:
            self._objects.create(obj, timeout)
        except KubernetesConflictError:
            resource, name = resource_of(obj["kind"]), name_of(obj)
            if resource is PERSISTENT_VOLUME_CLAIM:
                existing = self._objects.read(resource, self._namespace, name, timeout)
                if existing is not None and not _is_leaving(existing):
                    return
            self._log.info("Replacing leftover", object=f"{resource.kind} {name}")
            self._remove(resource, name, timeout)
            self._objects.create(obj, timeout)

    def _read(self, username: str, timeout: Timeout) -> FileserverPicture:
        name = FileserverNames(username).fileserver
        labels = f"{LABEL_CATEGORY}={CATEGORY_FILESERVER},{LABEL_USER}={username}"
        return FileserverPicture(
            job=self._objects.read(JOB, self._namespace, name, timeout),
            ingress=self._objects.read(INGRESS, self._namespace, name, timeout),
            pods=list(
                self._objects.list(
                    POD, timeout, namespace=self._namespace, labels=labels
                )
            ),
        )

    # --- Delete ----------------------------------------------------------

    def delete(self, username: str, timeout: Timeout) -> None:
        """Delete all objects of a file server and wait until they are gone.

        Raises
        ------
        KubernetesError
            Raised if one cannot be deleted.
        OperationCancelledError, OperationTimeoutError
            Raised if the operation was cancelled or its time is up.
        """
        name = FileserverNames(username).fileserver
        self._remove(GAFAELFAWR_INGRESS, name, timeout)
        self._wait_gone(INGRESS, name, timeout)
        self._remove(SERVICE, name, timeout)
        self._remove(JOB, name, timeout)
        self._remove_pods(username, timeout)
        labels = f"{LABEL_CATEGORY}={CATEGORY_FILESERVER},{LABEL_USER}={username}"
        for claim in self._objects.list(
            PERSISTENT_VOLUME_CLAIM, timeout, namespace=self._namespace, labels=labels
        ):
            self._remove(PERSISTENT_VOLUME_CLAIM, name_of(claim), timeout)

    def _remove_pods(self, username: str, timeout: Timeout) -> None:
        """Wait for the pods of the job; delete those that no job owns."""
        for pod in self._read(username, timeout).pods:
            self._remove(POD, name_of(pod), timeout)

    def _remove(self, resource: Resource, name: str, timeout: Timeout) -> None:
        propagation = "Foreground" if resource in _FOREGROUND else None
        deleted = self._objects.delete(
            resource, self._namespace, name, timeout, propagation=propagation
        )
        if deleted is not None:
            self._wait_gone(resource, name, timeout)

    def _wait_gone(self, resource: Resource, name: str, timeout: Timeout) -> None:
        pause = _FIRST_PAUSE
        while self._objects.read(resource, self._namespace, name, timeout):
            timeout.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    # --- Parts -----------------------------------------------------------

    def _list(self, resource: Resource, timeout: Timeout) -> Iterable[JSON]:
        labels = f"{LABEL_CATEGORY}={CATEGORY_FILESERVER}"
        try:
            return list(
                self._objects.list(
                    resource, timeout, namespace=self._namespace, labels=labels
                )
            )
        except KubernetesError as e:
            if e.status != 403 or resource in (JOB, INGRESS, POD):
                raise
            # Not needed to tell what runs, only what was left.
            self._log.warning("Cannot look for leftovers", error=str(e))
            return ()

    def _is_ours(self, obj: JSON) -> bool:
        metadata = obj["metadata"]
        labels = metadata.get("labels") or {}
        return bool(
            metadata.get("namespace") == self._namespace
            and labels.get(LABEL_CATEGORY) == CATEGORY_FILESERVER
        )

    @contextmanager
    def _listening(self, username: str, mailbox: Mailbox[Change]) -> Iterator[None]:
        with self._lock:
            self._listeners.setdefault(username, []).append(mailbox)
        try:
            yield
        finally:
            with self._lock:
                self._listeners[username].remove(mailbox)
                if not self._listeners[username]:
                    del self._listeners[username]

    def _pass_on(self, change: Change) -> None:
        if not self._is_ours(change.object):
            return
        with self._lock:
            mailboxes = list(self._listeners.get(_user_of(change.object), ()))
        for mailbox in mailboxes:
            mailbox.put(change)


def _user_of(obj: JSON) -> str:
    return str((obj["metadata"].get("labels") or {}).get(LABEL_USER, ""))


def _owners(obj: JSON) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}


def _phase(pod: JSON) -> str:
    return str((pod.get("status") or {}).get("phase", PodPhase.UNKNOWN))


def _is_leaving(obj: JSON) -> bool:
    return "deletionTimestamp" in obj["metadata"]
