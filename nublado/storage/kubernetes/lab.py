"""The Kubernetes side of labs: make their objects, find them, remove them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog

from nublado.constants import (
    CATEGORY_LAB,
    LAB_STOP_GRACE_SECONDS,
    LABEL_CATEGORY,
    LABEL_USER,
)
from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    KubernetesNotFoundError,
    MissingSecretError,
)
from nublado.models.domain.kubernetes import JSON, name_of, namespace_of, uid_of
from nublado.models.domain.lab import LabObjectNames
from nublado.storage.kubernetes.deletion import Deleter
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.pod import PodFollower, PodStorage
from nublado.storage.kubernetes.resource import (
    CONFIG_MAP,
    NAMESPACE,
    POD,
    RESOURCE_QUOTA,
    SECRET,
    Resource,
)
from nublado.timeout import Timeout

__all__ = ["FoundLab", "LabStorage"]

_LAB_LABELS = f"{LABEL_CATEGORY}={CATEGORY_LAB}"
_READERS = 16


@dataclass(frozen=True, slots=True)
class FoundLab:
    """What was found in the namespace of a lab; any part may be missing."""

    username: str
    namespace: JSON
    env_config_map: JSON | None
    pod: JSON | None
    quota: JSON | None

    @property
    def terminating(self) -> bool:
        """Whether the namespace is being deleted."""
        return "deletionTimestamp" in self.namespace["metadata"]


class LabStorage:
    """Makes, finds and removes the objects of labs.

    Parameters
    ----------
    objects
        Storage of single objects.
    pods
        Creates and follows pods.
    deleter
        Deletes pods and namespaces.
    """

    def __init__(
        self, objects: ObjectStore, pods: PodStorage, deleter: Deleter
    ) -> None:
        self._objects = objects
        self._pods = pods
        self._deleter = deleter
        self._log = structlog.get_logger(__name__)

    # --- Make ------------------------------------------------------------

    def read_secrets(
        self, namespace: str, wanted: Iterable[tuple[str, str]], timeout: Timeout
    ) -> dict[str, dict[str, str]]:
        """Read keys of secrets.

        Parameters
        ----------
        namespace
            Namespace of the secrets.
        wanted
            Pairs of a secret's name and a key that has to be in it.
        timeout
            Deadline.

        Returns
        -------
        dict
            Of each secret that was named, its data: base64 text by key.

        Raises
        ------
        MissingSecretError
            Raised if a secret or a key does not exist.
        KubernetesError
            Raised if a secret cannot be read.
        """
        found: dict[str, dict[str, str]] = {}
        for name, key in wanted:
            if name not in found:
                found[name] = (
                    self.read_secret(namespace, name, timeout).get("data") or {}
                )
            if key not in found[name]:
                raise MissingSecretError(f"No key {key} in secret {namespace}/{name}")
        return found

    def read_secret(self, namespace: str, name: str, timeout: Timeout) -> JSON:
        """Read a whole secret.

        Raises
        ------
        MissingSecretError
            Raised if it does not exist.
        KubernetesError
            Raised if it cannot be read.
        """
        secret = self._objects.read(SECRET, namespace, name, timeout)
        if secret is None:
            raise MissingSecretError(f"Secret {namespace}/{name} does not exist")
        return secret

    def create_namespace(self, namespace: JSON, timeout: Timeout) -> JSON:
        """Create the namespace of a lab, replacing one that a crash has left.

        Raises
        ------
        KubernetesError
            Raised if it cannot be created, or exists and is somebody else's.
        """
        while True:
            try:
                return self._objects.create(namespace, timeout)
            except KubernetesConflictError as e:
                name = name_of(namespace)
                existing = self._objects.read(NAMESPACE, None, name, timeout)
                if existing is None:
                    continue
                if not _is_lab(existing):
                    raise
                self._log.warning("Replacing leftover namespace", namespace=name)
                error = e
            self._deleter.delete(NAMESPACE, None, name, timeout, uid=uid_of(existing))
            self._log.info("Leftover namespace is gone", reason=error.message)

    def create(self, obj: JSON, timeout: Timeout) -> None:
        """Create an object of a lab; one that exists already is kept.

        Raises
        ------
        KubernetesError
            Raised if it cannot be created.
        """
        self._objects.ensure(obj, timeout)

    def create_pod(self, pod: JSON, timeout: Timeout) -> JSON:
        """Create the pod of a lab; one that exists already is kept.

        Raises
        ------
        KubernetesError
            Raised if it cannot be created.
        """
        try:
            return self._pods.create(pod, timeout)
        except KubernetesConflictError:
            existing = self._pods.read(str(namespace_of(pod)), name_of(pod), timeout)
            if existing is None:
                raise
            return existing

    def following(
        self, names: LabObjectNames, timeout: Timeout
    ) -> AbstractContextManager[PodFollower]:
        """Listen for the pod of a lab, before it is created."""
        return self._pods.following(names.namespace, names.pod, timeout)

    # --- Find ------------------------------------------------------------

    def read_pod(self, names: LabObjectNames, timeout: Timeout) -> JSON | None:
        """Read the pod of a lab; None if it does not exist."""
        return self._pods.read(names.namespace, names.pod, timeout)

    def find(self, prefix: str, timeout: Timeout) -> list[FoundLab]:
        """Find all labs, with what tells their state.

        Parameters
        ----------
        prefix
            Prefix of their namespaces, without the hyphen.
        timeout
            Deadline.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed or read.
        """
        namespaces = self._lab_namespaces(prefix, timeout)
        try:
            pods, config_maps, quotas = (
                self._by_name(resource, timeout)
                for resource in (POD, CONFIG_MAP, RESOURCE_QUOTA)
            )
        except KubernetesError as e:
            if e.status != 403:
                raise
            self._log.info("Not allowed to list all labs, reading each of them")
            return self._read_each(namespaces, timeout)
        found = []
        for username, namespace in namespaces.items():
            names = LabObjectNames.of(username, name_of(namespace))
            found.append(
                FoundLab(
                    username=username,
                    namespace=namespace,
                    env_config_map=config_maps.get(
                        (names.namespace, names.env_config_map)
                    ),
                    pod=pods.get((names.namespace, names.pod)),
                    quota=quotas.get((names.namespace, names.quota)),
                )
            )
        return found

    def _lab_namespaces(self, prefix: str, timeout: Timeout) -> dict[str, JSON]:
        found = {}
        for namespace in self._objects.list(NAMESPACE, timeout):
            name = name_of(namespace)
            if not name.startswith(f"{prefix}-"):
                continue
            username = name.removeprefix(f"{prefix}-")
            owner = (namespace["metadata"].get("labels") or {}).get(LABEL_USER)
            if not _is_lab(namespace) or owner not in (None, username):
                self._log.info("Namespace is not that of a lab", namespace=name)
                continue
            found[username] = namespace
        return found

    def _by_name(
        self, resource: Resource, timeout: Timeout
    ) -> dict[tuple[str | None, str], JSON]:
        found = self._objects.list(resource, timeout, labels=_LAB_LABELS)
        return {(namespace_of(obj), name_of(obj)): obj for obj in found}

    def _read_each(
        self, namespaces: dict[str, JSON], timeout: Timeout
    ) -> list[FoundLab]:
        def read(username: str) -> FoundLab:
            namespace = namespaces[username]
            names = LabObjectNames.of(username, name_of(namespace))

            def part(resource: Resource, name: str) -> JSON | None:
                return self._objects.read(resource, names.namespace, name, timeout)

            return FoundLab(
                username=username,
                namespace=namespace,
                env_config_map=part(CONFIG_MAP, names.env_config_map),
                pod=part(POD, names.pod),
                quota=part(RESOURCE_QUOTA, names.quota),
            )

        with ThreadPoolExecutor(_READERS, "read-labs") as readers:
            return list(readers.map(read, namespaces))

    # --- Remove ----------------------------------------------------------

    def delete(
        self,
        names: LabObjectNames,
        timeout: Timeout,
        *,
        stopping: Callable[[], None],
        removing: Callable[[], None],
    ) -> None:
        """Delete a lab: its pod, then its namespace with all that is in it.

        What is gone already is fine.

        Parameters
        ----------
        names
            Names of the lab's objects.
        timeout
            Deadline.
        stopping, removing
            Called before the pod and before the namespace is deleted.

        Raises
        ------
        KubernetesError
            Raised if Kubernetes refuses.
        OperationTimeoutError
            Raised if it takes too long; says what holds the namespace up.
        """
        stopping()
        self._forget_request(names, timeout)
        self._deleter.delete(
            POD,
            names.namespace,
            names.pod,
            timeout,
            grace_seconds=LAB_STOP_GRACE_SECONDS,
        )
        removing()
        self._deleter.delete(NAMESPACE, None, names.namespace, timeout)

    def delete_namespace(self, name: str, uid: str, timeout: Timeout) -> None:
        """Delete this very namespace, if it is still there."""
        self._deleter.delete(NAMESPACE, None, name, timeout, uid=uid)

    def _forget_request(self, names: LabObjectNames, timeout: Timeout) -> None:
        """Remove the record of the request with its config map.

        Else a controller that is killed in the middle of a deletion would
        take the lab for a spawn that was cut off, and complete it.
        """
        try:
            self._objects.delete(
                CONFIG_MAP, names.namespace, names.env_config_map, timeout
            )
        except KubernetesNotFoundError:
            return
        except KubernetesError as e:
            if e.status != 403:
                raise
            self._log.info("Not allowed to delete config map", error=str(e))


def _is_lab(namespace: JSON) -> bool:
    labels = namespace["metadata"].get("labels") or {}
    return bool(labels.get(LABEL_CATEGORY) == CATEGORY_LAB)
