"""How objects look to clients: as they are, as a table, or otherwise.

Objects as they are, the usual case by far, are put together from pieces that
are encoded once (`Revision.body`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.event_groups import to_newer_event
from nublado.sandbox.kubernetes.history import Revision
from nublado.sandbox.kubernetes.requests import accepts
from nublado.sandbox.kubernetes.resources import EVENTS_GROUP
from nublado.sandbox.kubernetes.tables import make_table
from nublado.sandbox.kubernetes.urls import Place

__all__ = ["Rendering", "encode", "json_response", "rendering_for"]

_METADATA_ONLY = "PartialObjectMetadata"
_META_VERSION = "meta.k8s.io/v1"

_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encode(content: object) -> bytes:
    """Write JSON."""
    return _encoder.encode(content).encode()


def json_response(content: JSON | bytes, status: int = 200) -> web.Response:
    """Make an answer of JSON."""
    body = content if isinstance(content, bytes) else encode(content)
    return web.Response(body=body, status=status, content_type="application/json")


class Rendering:
    """Objects as they are.

    Parameters
    ----------
    kind, api_version
        What the client is told that they are.
    typed_items
        Whether these two are repeated in the items of lists.
    """

    def __init__(self, kind: str, api_version: str, *, typed_items: bool) -> None:
        self._kind = kind
        self._api_version = api_version
        self._typed_items = typed_items
        self._prefix = encode({"kind": kind, "apiVersion": api_version})[:-1] + b","

    def one(self, revision: Revision) -> bytes:
        """Render an object."""
        return self._prefix + revision.body[1:]

    def many(self, revisions: Sequence[Revision], metadata: JSON) -> bytes:
        """Render a list of objects."""
        kind = f"{self._kind}List"
        head = {"kind": kind, "apiVersion": self._api_version, "metadata": metadata}
        if self._typed_items:
            items = [self.one(revision) for revision in revisions]
        else:
            items = [revision.body for revision in revisions]
        return encode(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"

    def event(self, event_type: str, revision: Revision) -> bytes:
        """Render an event of a watch, with the end of its line."""
        start = f'{{"type":"{event_type}","object":'.encode()
        return start + self.one(revision) + b"}\n"

    def bookmark(self, metadata: JSON) -> bytes:
        """Render a bookmark."""
        return self.event("BOOKMARK", Revision({"metadata": metadata}, 0))


class _Converted(Rendering):
    """Objects converted to something else."""

    def __init__(
        self, kind: str, api_version: str, convert: Callable[[JSON], JSON]
    ) -> None:
        super().__init__(kind, api_version, typed_items=True)
        self._convert = convert

    def one(self, revision: Revision) -> bytes:
        converted = self._convert(revision.obj)
        return super().one(Revision(converted, revision.version))


class _Table(Rendering):
    """Objects as rows of a table."""

    def __init__(self, place: Place, include: str) -> None:
        super().__init__("Table", _META_VERSION, typed_items=True)
        self._place = place
        self._include = include
        self._headers = True

    def one(self, revision: Revision) -> bytes:
        version = revision.obj["metadata"].get("resourceVersion", "")
        return self.many([revision], {"resourceVersion": version})

    def many(self, revisions: Sequence[Revision], metadata: JSON) -> bytes:
        objects = [revision.obj for revision in revisions]
        table = make_table(self._place.kind, objects, metadata, include=self._include)
        if not self._headers:
            table["columnDefinitions"] = None
        return encode(table)

    def event(self, event_type: str, revision: Revision) -> bytes:
        line = super().event(event_type, revision)
        # Only the first table of a watch describes its columns.
        self._headers = False
        return line

    def bookmark(self, metadata: JSON) -> bytes:
        table = {"type": "BOOKMARK", "object": json.loads(self.many([], metadata))}
        return encode(table) + b"\n"


def rendering_for(request: web.Request, place: Place) -> Rendering:
    """Choose how to show objects to a client."""
    kind = place.kind
    if accepts(request, "Table"):
        return _Table(place, request.query.get("includeObject", "Metadata"))
    if accepts(request, _METADATA_ONLY) or accepts(request, f"{_METADATA_ONLY}List"):
        return _Converted(
            _METADATA_ONLY, _META_VERSION, lambda obj: {"metadata": obj["metadata"]}
        )
    if place.group == EVENTS_GROUP:
        return _Converted(kind.kind, place.api_version, to_newer_event)
    return Rendering(kind.kind, kind.api_version, typed_items=kind.custom)
