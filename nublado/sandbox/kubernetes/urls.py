"""What URLs of the API server are about.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from dataclasses import dataclass

from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.resources import Kind, find_kind

__all__ = ["Place", "locate", "unknown_path"]

_ROOTS = ("api", "apis")


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL is about.

    Parameters
    ----------
    kind
        Kind of the objects.
    group
        API group under which they are asked for.
    namespace
        Their namespace; None for those of all or of none.
    name
        Name of the one object; None for a collection.
    subresource
        Part of the object, such as ``status``.
    watch
        Whether the URL itself asks for a watch, as it did once.
    """

    kind: Kind
    group: str
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    watch: bool = False

    @property
    def api_version(self) -> str:
        """``apiVersion`` that the client expects."""
        return f"{self.group}/{self.kind.version}" if self.group else self.kind.version


def locate(path: str) -> Place | None:
    """Tell what a URL is about.

    Returns
    -------
    Place or None
        None if the path is not about objects, or about an unknown kind.
    """
    root, *parts = path.strip("/").split("/")
    if root not in _ROOTS:
        return None
    group = parts.pop(0) if root == "apis" and parts else ""
    version = parts.pop(0) if parts else ""
    watch = bool(parts) and parts[0] == "watch"
    if watch:
        del parts[0]
    if not parts or not all(parts):
        return None
    namespace = None
    if parts[0] == "namespaces" and len(parts) > 2:
        kind = find_kind(group, version, parts[2])
        if kind is not None and kind.namespaced:
            namespace, parts = parts[1], parts[2:]
    kind = find_kind(group, version, parts[0])
    if kind is None or len(parts) > 3:
        return None
    if kind.namespaced and namespace is None and len(parts) > 1:
        return None
    name, subresource = [*parts[1:], None, None][:2]
    return Place(kind, group, namespace, name, subresource, watch)


def unknown_path() -> ApiError:
    """Nothing is at a URL (404)."""
    text = "the server could not find the requested resource"
    return ApiError(404, "NotFound", text, {})
