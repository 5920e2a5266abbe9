"""What the API server says of itself.

References
----------
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.releases import Release
from nublado.sandbox.kubernetes.resources import (
    EVENTS_GROUP,
    GROUP_VERSIONS,
    KINDS,
    Kind,
    kind_named,
)

__all__ = ["aggregated", "discover", "kinds_in"]


_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update")
_ALL_VERBS = (*_VERBS, "watch")
_PART_VERBS = ("get", "patch", "update")

_ACTIONS: dict[str, tuple[tuple[str, str, str, tuple[str, ...]], ...]] = {
    "Namespace": (("finalize", "", "Namespace", ("update",)),),
    "Pod": (
        ("binding", "", "Binding", ("create",)),
        ("eviction", "policy/v1", "Eviction", ("create",)),
        ("log", "", "Pod", ("get",)),
    ),
    "ServiceAccount": (
        ("token", "authentication.k8s.io/v1", "TokenRequest", ("create",)),
    ),
}
"""By kind: name, API version, kind of the body and verbs of subresources."""


def discover(path: str, address: str, release: Release) -> JSON | None:
    """Answer a request for a document of discovery.

    Parameters
    ----------
    path
        Path of the request.
    address
        Host and port of the server.
    release
        Release that the server is.

    Returns
    -------
    dict or None
        The document; None if the path is not one of discovery.
    """
    match path.strip("/").split("/"):
        case ["version"]:
            return release.version()
        case ["api"]:
            servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
            return {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": servers,
            }
        case ["apis"]:
            groups = [_group(*names) for names in GROUP_VERSIONS]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["api", "v1"]:
            return _resource_list("", "v1")
        case ["apis", group]:
            versions = dict(GROUP_VERSIONS)
            if group in versions:
                head = {"kind": "APIGroup", "apiVersion": "v1"}
                return head | _group(group, versions[group])
        case ["apis", group, version] if (group, version) in GROUP_VERSIONS:
            return _resource_list(group, version)
    return None


def aggregated(path: str) -> JSON | None:
    """Answer a request for all of discovery in one document.

    Returns
    -------
    dict or None
        The document; None if the path does not offer it.
    """
    match path.strip("/"):
        case "api":
            groups = [("", "v1")]
        case "apis":
            groups = list(GROUP_VERSIONS)
        case _:
            return None
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {
                        "version": version,
                        "resources": [
                            _aggregated_resource(kind, group, version)
                            for kind in kinds_in(group, version)
                        ],
                        "freshness": "Current",
                    }
                ],
            }
            for group, version in groups
        ],
    }


def kinds_in(group: str, version: str) -> list[Kind]:
    """Kinds of an API group."""
    if group == EVENTS_GROUP:
        return [kind_named("Event")]
    return [k for k in KINDS if (k.group, k.version) == (group, version)]


def _group(name: str, version: str) -> JSON:
    entry = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [entry], "preferredVersion": entry}


def _subresources(kind: Kind) -> list[tuple[str, str, str, tuple[str, ...]]]:
    parts = [("status", "", kind.kind, _PART_VERBS)] if kind.status else []
    return sorted([*parts, *_ACTIONS.get(kind.kind, ())])


def _resource_list(group: str, version: str) -> JSON:
    resources: list[JSON] = []
    for kind in kinds_in(group, version):
        resource: JSON = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": _ALL_VERBS,
        }
        if kind.short:
            resource["shortNames"] = kind.short
        if kind.in_all:
            resource["categories"] = ["all"]
        resources.append(resource)
        for name, api_version, body_kind, verbs in _subresources(kind):
            part = {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": body_kind,
                "verbs": verbs,
            }
            if api_version:
                part["group"], part["version"] = api_version.split("/")
            resources.append(part)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def _aggregated_resource(kind: Kind, group: str, version: str) -> JSON:
    def body(api_version: str, name: str) -> JSON:
        if not api_version:
            return {"group": group, "version": version, "kind": name}
        other_group, other_version = api_version.split("/")
        return {"group": other_group, "version": other_version, "kind": name}

    resource: JSON = {
        "resource": kind.plural,
        "responseKind": body("", kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _ALL_VERBS,
    }
    if kind.short:
        resource["shortNames"] = kind.short
    if kind.in_all:
        resource["categories"] = ["all"]
    if subresources := _subresources(kind):
        resource["subresources"] = [
            {
                "subresource": name,
                "responseKind": body(api_version, body_kind),
                "verbs": verbs,
            }
            for name, api_version, body_kind, verbs in subresources
        ]
    return resource
