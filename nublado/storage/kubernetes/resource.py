"""The kinds of Kubernetes objects that the controller handles, and their URLs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from nublado.models.domain.kubernetes import JSON, name_of, namespace_of

__all__ = [
    "CONFIG_MAP",
    "EVENT",
    "GAFAELFAWR_INGRESS",
    "INGRESS",
    "JOB",
    "NAMESPACE",
    "NETWORK_POLICY",
    "NODE",
    "PERSISTENT_VOLUME_CLAIM",
    "POD",
    "RESOURCE_QUOTA",
    "SECRET",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "ObjectRef",
    "Resource",
]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object.

    Parameters
    ----------
    kind
        Kind, such as ``Pod``.
    root
        Path of its API group and version.
    plural
        Name in the URL.
    namespaced
        Whether its objects live in namespaces.

    References
    ----------
    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
    """

    kind: str
    root: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None) -> str:
        """URL path of a collection."""
        if namespace is None or not self.namespaced:
            return f"{self.root}/{self.plural}"
        return f"{self.root}/namespaces/{quote(namespace, safe='')}/{self.plural}"

    def at(self, namespace: str | None, name: str) -> ObjectRef:
        """Refer to an object of this kind."""
        return ObjectRef(self, namespace, name)


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Which object; ``namespace`` is None for those of the cluster."""

    resource: Resource
    namespace: str | None
    name: str

    @classmethod
    def of(cls, obj: JSON) -> ObjectRef:
        """Refer to an object; `KeyError` for a kind that is never handled."""
        return cls(_BY_KIND[obj["kind"]], namespace_of(obj), name_of(obj))

    @property
    def path(self) -> str:
        """URL path of the object."""
        return f"{self.resource.path(self.namespace)}/{quote(self.name, safe='')}"

    @property
    def key(self) -> tuple[str | None, str]:
        """Namespace and name."""
        return self.namespace, self.name

    def __str__(self) -> str:
        path = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource.kind} {path}"


_CORE = "/api/v1"

CONFIG_MAP = Resource("ConfigMap", _CORE, "configmaps")
EVENT = Resource("Event", _CORE, "events")
NAMESPACE = Resource("Namespace", _CORE, "namespaces", namespaced=False)
NODE = Resource("Node", _CORE, "nodes", namespaced=False)
PERSISTENT_VOLUME_CLAIM = Resource(
    "PersistentVolumeClaim", _CORE, "persistentvolumeclaims"
)
POD = Resource("Pod", _CORE, "pods")
RESOURCE_QUOTA = Resource("ResourceQuota", _CORE, "resourcequotas")
SECRET = Resource("Secret", _CORE, "secrets")
SERVICE = Resource("Service", _CORE, "services")
SERVICE_ACCOUNT = Resource("ServiceAccount", _CORE, "serviceaccounts")
INGRESS = Resource("Ingress", "/apis/networking.k8s.io/v1", "ingresses")
NETWORK_POLICY = Resource(
    "NetworkPolicy", "/apis/networking.k8s.io/v1", "networkpolicies"
)
JOB = Resource("Job", "/apis/batch/v1", "jobs")
GAFAELFAWR_INGRESS = Resource(
    "GafaelfawrIngress", "/apis/gafaelfawr.lsst.io/v1alpha1", "gafaelfawringresses"
)

_BY_KIND = {
    resource.kind: resource
    for resource in (
        CONFIG_MAP,
        EVENT,
        GAFAELFAWR_INGRESS,
        INGRESS,
        JOB,
        NAMESPACE,
        NETWORK_POLICY,
        NODE,
        PERSISTENT_VOLUME_CLAIM,
        POD,
        RESOURCE_QUOTA,
        SECRET,
        SERVICE,
        SERVICE_ACCOUNT,
    )
}
