"""Just enough OpenAPI that ``kubectl apply`` leaves validation to the server.

It looks for a ``fieldValidation`` parameter of the patches of a kind. Schemas
are not given; ``kubectl explain`` therefore has nothing to show.

References
----------
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from __future__ import annotations

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.discovery import kinds_in
from nublado.sandbox.kubernetes.releases import Release
from nublado.sandbox.kubernetes.resources import GROUP_VERSIONS, Kind

__all__ = ["openapi"]

_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation", "force")


def openapi(path: str, release: Release) -> JSON | None:
    """Answer a request for an OpenAPI document.

    Returns
    -------
    dict or None
        The document; None if the path is not one of them.
    """
    info = {"title": "Kubernetes", "version": release.version()["gitVersion"]}
    roots = {"api/v1": ("", "v1")} | {
        f"apis/{group}/{version}": (group, version) for group, version in GROUP_VERSIONS
    }
    match path.strip("/").split("/"):
        case ["openapi", "v3"]:
            urls = {r: {"serverRelativeURL": f"/openapi/v3/{r}"} for r in roots}
            return {"paths": urls}
        case ["openapi", "v3", *parts] if "/".join(parts) in roots:
            root = "/".join(parts)
            paths = {}
            for kind in kinds_in(*roots[root]):
                scope = "/namespaces/{namespace}" if kind.namespaced else ""
                url = f"/{root}{scope}/{kind.plural}/{{name}}"
                paths[url] = {"patch": _patch(kind, *roots[root])}
            return {"openapi": "3.0.0", "info": info, "paths": paths}
        case ["openapi", "v2"]:
            return {"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}
    return None


def _patch(kind: Kind, group: str, version: str) -> JSON:
    return {
        "operationId": f"patch{kind.kind}",
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string"}}
            for name in _PARAMETERS
        ],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {
            "group": group,
            "version": version,
            "kind": kind.kind,
        },
    }
