"""What a request wants to do, as authorization and its refusals see it.

References
----------
https://kubernetes.io/docs/reference/access-authn-authz/authorization/#request-attributes-used-in-authorization
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.requests import flag
from nublado.sandbox.kubernetes.urls import Place

__all__ = ["Attributes", "attributes_of", "denied"]

_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_COLLECTION_VERBS = {"get": "list", "delete": "deletecollection"}


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a request wants to do.

    Parameters
    ----------
    verb
        Such as ``create``, ``list`` or ``watch``.
    group
        API group; empty for the core.
    resource
        Plural name with the subresource, such as ``pods/log``; empty if the
        request is about a path.
    namespace
        Namespace that it is about; None for the cluster.
    name
        Name of the object; empty if the URL does not say.
    path
        Path of the request.
    """

    verb: str
    group: str
    resource: str
    namespace: str | None
    name: str
    path: str


def attributes_of(request: web.Request, place: Place | None) -> Attributes:
    """Tell what a request wants to do."""
    verb = _VERBS.get(request.method, request.method.lower())
    if place is None:
        return Attributes(verb, "", "", None, "", request.path)
    name = place.name or ""
    if not name:
        verb = _COLLECTION_VERBS.get(verb, verb)
        if verb == "list" and (place.watch or flag(request.query, "watch")):
            verb = "watch"
        if verb != "create":
            name = _selected_name(request.query.get("fieldSelector", ""))
    namespace = place.namespace
    if place.kind.kind == "Namespace" and place.name:
        namespace = place.name
    parts = (place.kind.plural, place.subresource)
    resource = "/".join(filter(None, parts))
    return Attributes(verb, place.group, resource, namespace, name, request.path)


def denied(user: str, wanted: Attributes) -> ApiError:
    """A user may not do that (403)."""
    if not wanted.resource:
        message = f'forbidden: User "{user}" cannot {wanted.verb} path "{wanted.path}"'
        return ApiError(403, "Forbidden", message, {})
    plural = wanted.resource.partition("/")[0]
    what = f"{plural}.{wanted.group}" if wanted.group else plural
    if wanted.name:
        what += f' "{wanted.name}"'
    where = "at the cluster scope"
    if wanted.namespace:
        where = f'in the namespace "{wanted.namespace}"'
    message = (
        f'{what} is forbidden: User "{user}" cannot {wanted.verb} resource'
        f' "{wanted.resource}" in API group "{wanted.group}" {where}'
    )
    details: JSON = {"name": wanted.name} if wanted.name else {}
    if wanted.group:
        details["group"] = wanted.group
    return ApiError(403, "Forbidden", message, details | {"kind": plural})


def _selected_name(selector: str) -> str:
    for part in selector.split(","):
        field, _, value = part.replace("==", "=").partition("=")
        if field == "metadata.name":
            return value
    return ""
