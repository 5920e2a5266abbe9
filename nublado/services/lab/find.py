"""Find the labs in the cluster, with what their state is read from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from nublado.constants import CATEGORY_LAB, LABEL_CATEGORY, LABEL_USER
from nublado.exceptions import KubernetesError
from nublado.models.domain.kubernetes import (
    JSON,
    is_terminating,
    label_of,
    name_of,
    namespace_of,
)
from nublado.models.domain.lab import LabObjectNames
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import (
    CONFIG_MAP,
    NAMESPACE,
    POD,
    RESOURCE_QUOTA,
    Resource,
)
from nublado.timeout import Timeout

__all__ = ["FoundLab", "find_labs", "is_lab"]

_LABELS = f"{LABEL_CATEGORY}={CATEGORY_LAB}"
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
        return is_terminating(self.namespace)


def is_lab(namespace: JSON) -> bool:
    """Whether a namespace is that of a lab."""
    return label_of(namespace, LABEL_CATEGORY) == CATEGORY_LAB


def find_labs(cluster: Cluster, prefix: str, timeout: Timeout) -> dict[str, FoundLab]:
    """Find all labs, by user.

    Parameters
    ----------
    cluster
        Where they are.
    prefix
        Prefix of their namespaces, without the hyphen.
    timeout
        Deadline.

    Raises
    ------
    KubernetesError
        Raised if they cannot be listed or read.
    """
    namespaces = _namespaces(cluster, prefix, timeout)
    try:
        pods, config_maps, quotas = (
            _by_name(cluster, resource, timeout)
            for resource in (POD, CONFIG_MAP, RESOURCE_QUOTA)
        )
    except KubernetesError as e:
        if e.status != 403:
            raise
        log = structlog.get_logger(__name__)
        log.info("Not allowed to list objects of all labs, reading each lab")
        return _read_each(cluster, namespaces, timeout)
    found = {}
    for username, namespace in namespaces.items():
        names = LabObjectNames.of(username, name_of(namespace))
        found[username] = FoundLab(
            username=username,
            namespace=namespace,
            env_config_map=config_maps.get((names.namespace, names.env_config_map)),
            pod=pods.get((names.namespace, names.pod)),
            quota=quotas.get((names.namespace, names.quota)),
        )
    return found


def _namespaces(cluster: Cluster, prefix: str, timeout: Timeout) -> dict[str, JSON]:
    found = {}
    for namespace in cluster.list(NAMESPACE, timeout):
        name = name_of(namespace)
        if not name.startswith(f"{prefix}-"):
            continue
        username = name.removeprefix(f"{prefix}-")
        if is_lab(namespace) and label_of(namespace, LABEL_USER) in (None, username):
            found[username] = namespace
        else:
            log = structlog.get_logger(__name__)
            log.info("Ignoring namespace that is not a lab", namespace=name)
    return found


def _by_name(
    cluster: Cluster, resource: Resource, timeout: Timeout
) -> dict[tuple[str | None, str], JSON]:
    found = cluster.list(resource, timeout, labels=_LABELS)
    return {(namespace_of(obj), name_of(obj)): obj for obj in found}


def _read_each(
    cluster: Cluster, namespaces: dict[str, JSON], timeout: Timeout
) -> dict[str, FoundLab]:
    def read(username: str) -> FoundLab:
        namespace = namespaces[username]
        names = LabObjectNames.of(username, name_of(namespace))

        def part(resource: Resource, name: str) -> JSON | None:
            return cluster.read(resource.at(names.namespace, name), timeout)

        return FoundLab(
            username=username,
            namespace=namespace,
            env_config_map=part(CONFIG_MAP, names.env_config_map),
            pod=part(POD, names.pod),
            quota=part(RESOURCE_QUOTA, names.quota),
        )

    with ThreadPoolExecutor(_READERS, "read-labs") as readers:
        return {lab.username: lab for lab in readers.map(read, namespaces)}
