"""Patches of objects in the formats that clients send.

References
----------
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
https://www.rfc-editor.org/rfc/rfc6902
https://www.rfc-editor.org/rfc/rfc7386
"""

from __future__ import annotations

from typing import Any

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import ApiError, bad_request
from nublado.sandbox.kubernetes.metadata import clone
from nublado.sandbox.kubernetes.strategic_merge import strategic_merge

__all__ = ["APPLY_PATCH", "apply_patch"]

APPLY_PATCH = "application/apply-patch+yaml"
"""Content type of server-side apply, which is not handled here."""


def apply_patch(content_type: str, obj: JSON, patch: Any) -> JSON:
    """Apply a patch to a copy of an object.

    Parameters
    ----------
    content_type
        Format of the patch.
    obj
        Object to patch.
    patch
        The patch.

    Raises
    ------
    ApiError
        Raised if the patch cannot be applied (400, 422), or in no known format
        (415).
    """
    patched: Any = clone(obj)
    match content_type:
        case "application/json-patch+json":
            if not isinstance(patch, list):
                raise bad_request("a JSON patch must be a list of operations")
            for operation in patch:
                _operate_checked(patched, operation)
        case "application/merge-patch+json":
            _merge(patched, _object(patch))
        case "application/strategic-merge-patch+json":
            strategic_merge(patched, _object(patch))
        case _:
            text = (
                "the body of the request was in an unknown format - accepted media"
                " types include: application/json-patch+json,"
                " application/merge-patch+json,"
                " application/strategic-merge-patch+json,"
                f" {APPLY_PATCH}"
            )
            raise ApiError(415, "UnsupportedMediaType", text)
    if not isinstance(patched.get("metadata"), dict):
        raise bad_request("a patch must leave the metadata an object")
    result: JSON = patched
    return result


def _object(patch: Any) -> JSON:
    if not isinstance(patch, dict):
        raise bad_request("a merge patch must be an object")
    return patch


def _merge(target: JSON, patch: JSON) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = value


def _operate_checked(obj: JSON, operation: Any) -> None:
    try:
        _operate(obj, operation)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as e:
        text = f"the server rejected our request due to an error in our request: {e!r}"
        raise ApiError(422, "Invalid", text) from e


def _operate(obj: JSON, operation: JSON) -> None:
    name, value = operation["op"], clone(operation.get("value"))
    if name in ("move", "copy"):
        parent, last = _resolve(obj, operation["from"])
        value = clone(parent[last])
        if name == "move":
            del parent[last]
        name = "add"
    parent, last = _resolve(obj, operation["path"])
    if name == "add":
        if isinstance(parent, list):
            parent.insert(last, value)
        else:
            parent[last] = value
        return
    found = parent[last]
    if name == "remove":
        del parent[last]
    elif name == "replace":
        parent[last] = value
    elif name != "test":
        raise ValueError(f"unknown operation {name}")
    elif found != value:
        raise ValueError(f"test of {operation['path']} failed")


def _resolve(obj: JSON, pointer: str) -> tuple[Any, Any]:
    """Find what holds the place that a JSON pointer names, and its key there."""
    start, *parts = pointer.split("/")
    if start or not parts:
        raise ValueError(f"{pointer!r} is no path of a field")
    *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in parts]
    place: Any = obj
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if not isinstance(place, list):
        return place, last
    return place, len(place) if last == "-" else int(last)
