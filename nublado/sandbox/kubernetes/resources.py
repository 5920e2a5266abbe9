"""The kinds of objects that the embedded cluster knows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EVENTS_GROUP", "GROUP_VERSIONS", "KINDS", "Kind", "find_kind", "kind_named"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    Parameters
    ----------
    kind
        Its name, such as ``Pod``.
    plural
        Its name in URLs, such as ``pods``.
    group, version
        API group (empty for the core) and version.
    namespaced
        Whether its objects live in namespaces.
    short
        Short names that ``kubectl`` takes.
    status
        Whether ``status`` is a subresource: updates of the object leave it
        alone, updates of the subresource leave everything else alone.
    generation
        Whether ``metadata.generation`` counts changes of the specification.
    custom
        Whether it is defined by a custom resource definition.
    in_all
        Whether ``kubectl get all`` shows it.
    """

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short: tuple[str, ...] = ()
    status: bool = False
    generation: bool = False
    custom: bool = False
    in_all: bool = False

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """Name of one object."""
        return self.kind.lower()

    @property
    def qualified(self) -> str:
        """Name in error messages, such as ``jobs.batch``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_NETWORKING = "networking.k8s.io"
_RBAC = "rbac.authorization.k8s.io"

KINDS = (
    Kind("Namespace", "namespaces", namespaced=False, short=("ns",), status=True),
    Kind("Node", "nodes", namespaced=False, short=("no",), status=True),
    Kind(
        "PersistentVolume",
        "persistentvolumes",
        namespaced=False,
        short=("pv",),
        status=True,
    ),
    Kind("ConfigMap", "configmaps", short=("cm",)),
    Kind("Endpoints", "endpoints", short=("ep",)),
    Kind("Event", "events", short=("ev",)),
    Kind(
        "PersistentVolumeClaim", "persistentvolumeclaims", short=("pvc",), status=True
    ),
    Kind("Pod", "pods", short=("po",), status=True, in_all=True),
    Kind("ResourceQuota", "resourcequotas", short=("quota",), status=True),
    Kind("Secret", "secrets"),
    Kind("Service", "services", short=("svc",), status=True, in_all=True),
    Kind("ServiceAccount", "serviceaccounts", short=("sa",)),
    Kind("Job", "jobs", group="batch", status=True, generation=True, in_all=True),
    Kind("Lease", "leases", group="coordination.k8s.io"),
    Kind(
        "Ingress",
        "ingresses",
        group=_NETWORKING,
        short=("ing",),
        status=True,
        generation=True,
    ),
    Kind(
        "NetworkPolicy",
        "networkpolicies",
        group=_NETWORKING,
        short=("netpol",),
        generation=True,
    ),
    Kind(
        "StorageClass",
        "storageclasses",
        group="storage.k8s.io",
        namespaced=False,
        short=("sc",),
    ),
    Kind("Role", "roles", group=_RBAC),
    Kind("RoleBinding", "rolebindings", group=_RBAC),
    Kind("ClusterRole", "clusterroles", group=_RBAC, namespaced=False),
    Kind("ClusterRoleBinding", "clusterrolebindings", group=_RBAC, namespaced=False),
    Kind(
        "GafaelfawrIngress",
        "gafaelfawringresses",
        group="gafaelfawr.lsst.io",
        version="v1alpha1",
        status=True,
        generation=True,
        custom=True,
    ),
)
"""Every kind that is stored, once."""

EVENTS_GROUP = "events.k8s.io"
"""Second API group under which events can be read and written."""

_BY_NAME = {kind.kind: kind for kind in KINDS}
_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_PATH[EVENTS_GROUP, "v1", "events"] = _BY_NAME["Event"]

GROUP_VERSIONS = tuple(
    sorted({(group, version) for group, version, _ in _BY_PATH if group})
)
"""API groups other than the core, with the one version each has."""


def kind_named(name: str) -> Kind:
    """Kind of a name such as ``Pod``."""
    return _BY_NAME[name]


def find_kind(group: str, version: str, plural: str) -> Kind | None:
    """Kind at a URL; None if there is none."""
    return _BY_PATH.get((group, version, plural))
