"""Find the labs in the cluster, with what their state is read from."""

from __future__ import annotations

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

__all__ = ["FoundLab", "find_labs", "is_lab", "read_lab"]

_LABELS = f"{LABEL_CATEGORY}={CATEGORY_LAB}"


@dataclass(frozen=True, slots=True)
class FoundLab:
    """What was found in the namespace of a lab; any part may be missing.

    ``deletion_mark`` is there if the lab was being deleted.
    """

    username: str
    namespace: JSON
    env_config_map: JSON | None
    pod: JSON | None
    quota: JSON | None
    deletion_mark: JSON | None

    @property
    def terminating(self) -> bool:
        """Whether the namespace is being deleted."""
        return is_terminating(self.namespace)

    @property
    def is_ours(self) -> bool:
        """Whether the namespace is marked as that of this user's lab."""
        return _is_lab_of(self.namespace, self.username)

    @property
    def unlabelled(self) -> list[str]:
        """Objects that no list and no watch shows, as their label is gone."""
        parts = (self.env_config_map, self.pod, self.deletion_mark)
        return [name_of(part) for part in parts if part and not is_lab(part)]


def is_lab(obj: JSON) -> bool:
    """Whether a namespace, or an object in it, is marked as one of a lab."""
    return label_of(obj, LABEL_CATEGORY) == CATEGORY_LAB


def find_labs(cluster: Cluster, prefix: str, timeout: Timeout) -> dict[str, FoundLab]:
    """Find all labs, by user, with what of them can be listed.

    Lists go by label, so what they do not show may be there all the same.

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
        Raised if they cannot be listed.
    """
    namespaces = _namespaces(cluster, prefix, timeout)
    pods, config_maps, quotas = (
        _by_name(cluster, resource, timeout)
        for resource in (POD, CONFIG_MAP, RESOURCE_QUOTA)
    )
    found = {}
    for username, namespace in namespaces.items():
        names = LabObjectNames.of(username, name_of(namespace))
        found[username] = FoundLab(
            username=username,
            namespace=namespace,
            env_config_map=config_maps.get((names.namespace, names.env_config_map)),
            pod=pods.get((names.namespace, names.pod)),
            quota=quotas.get((names.namespace, names.quota)),
            deletion_mark=config_maps.get((names.namespace, names.deletion_mark)),
        )
    return found


def read_lab(
    cluster: Cluster, names: LabObjectNames, namespace: JSON | None, timeout: Timeout
) -> FoundLab | None:
    """Read what there is of one lab by name, whatever its labels say.

    Parameters
    ----------
    cluster
        Where it is.
    names
        What its objects are called.
    namespace
        Its namespace, as it was listed; None if it was not.
    timeout
        Deadline.

    Returns
    -------
    FoundLab or None
        What was found; None if there is no namespace.

    Raises
    ------
    KubernetesError
        Raised if something cannot be read.
    """
    if namespace is None:
        namespace = cluster.read(NAMESPACE.at(None, names.namespace), timeout)
    if namespace is None:
        return None

    def part(resource: Resource, name: str) -> JSON | None:
        return cluster.read(resource.at(names.namespace, name), timeout)

    return FoundLab(
        username=names.username,
        namespace=namespace,
        env_config_map=part(CONFIG_MAP, names.env_config_map),
        pod=part(POD, names.pod),
        quota=part(RESOURCE_QUOTA, names.quota),
        deletion_mark=part(CONFIG_MAP, names.deletion_mark),
    )


def _is_lab_of(namespace: JSON, username: str) -> bool:
    return is_lab(namespace) and label_of(namespace, LABEL_USER) in (None, username)


def _namespaces(cluster: Cluster, prefix: str, timeout: Timeout) -> dict[str, JSON]:
    found = {}
    for namespace in cluster.list(NAMESPACE, timeout):
        name = name_of(namespace)
        if not name.startswith(f"{prefix}-"):
            continue
        username = name.removeprefix(f"{prefix}-")
        if _is_lab_of(namespace, username):
            found[username] = namespace
        else:
            log = structlog.get_logger(__name__)
            log.info("Ignoring namespace that is not a lab", namespace=name)
    return found


def _by_name(
    cluster: Cluster, resource: Resource, timeout: Timeout
) -> dict[tuple[str | None, str], JSON]:
    """List what can be listed: where that is forbidden, nothing."""
    try:
        found = list(cluster.list(resource, timeout, labels=_LABELS))
    except KubernetesError as e:
        if e.status != 403:
            raise
        log = structlog.get_logger(__name__)
        log.info("Not allowed to list objects of all labs, reading each lab")
        return {}
    return {(namespace_of(obj), name_of(obj)): obj for obj in found}
