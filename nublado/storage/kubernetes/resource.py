"""The kinds of Kubernetes objects that the controller handles, and their URLs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

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
    "Resource",
    "resource_of",
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

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """URL path of a collection, or of one object of it."""
        parts = [self.root]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


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


def resource_of(kind: str) -> Resource:
    """Resource of a kind; `KeyError` for one that the controller never handles."""
    return _BY_KIND[kind]
