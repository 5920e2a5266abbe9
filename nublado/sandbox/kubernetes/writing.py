"""Requests that create, change and delete objects."""

from __future__ import annotations

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import ApiError, bad_request, not_found
from nublado.sandbox.kubernetes.event_groups import from_newer_event
from nublado.sandbox.kubernetes.history import Revision
from nublado.sandbox.kubernetes.patches import APPLY_PATCH, apply_patch
from nublado.sandbox.kubernetes.rendering import json_response, rendering_for
from nublado.sandbox.kubernetes.requests import (
    DeleteOptions,
    is_dry_run,
    read_body,
    read_object,
)
from nublado.sandbox.kubernetes.resources import EVENTS_GROUP
from nublado.sandbox.kubernetes.selectors import selection
from nublado.sandbox.kubernetes.server_apply import AppliedConfigurations
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.kubernetes.urls import Place

__all__ = ["Writer", "success"]

_ANSWERED_WITH_OBJECT = (
    "Pod",
    "Service",
    "ServiceAccount",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "ResourceQuota",
    "Namespace",
)
"""Kinds whose deletion is answered with the object even when it is gone."""


class Writer:
    """Serves requests that write.

    Parameters
    ----------
    store
        The objects.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._applied = AppliedConfigurations()
        store.subscribe(None, self._changed)

    async def create(self, request: web.Request, place: Place) -> web.Response:
        """Create an object."""
        obj = _expect(place, await read_object(request))
        namespace = obj["metadata"].get("namespace")
        if place.kind.namespaced and namespace and namespace != place.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace"
                " sent on the request"
            )
        created = self._store.create(
            place.kind.kind, obj, place.namespace, dry_run=is_dry_run(request.query)
        )
        return _answer(request, place, created, 201)

    async def replace(self, request: web.Request, place: Place) -> web.Response:
        """Replace an object, or a part of it."""
        obj = _named(place, _expect(place, await read_object(request)))
        return self._replace(request, place, obj)

    async def patch(self, request: web.Request, place: Place) -> web.Response:
        """Patch an object, or a part of it."""
        patch = await read_body(request)
        if request.content_type == APPLY_PATCH:
            return self._apply(request, place, patch)
        old = self._store.get(place.kind.kind, place.namespace, str(place.name))
        new = apply_patch(request.content_type, old, patch)
        return self._replace(request, place, _named(place, new))

    async def delete(self, request: web.Request, place: Place) -> web.Response:
        """Delete an object."""
        options = await DeleteOptions.read(request)
        obj = self._delete(place, str(place.name), place.namespace, options)
        kind = place.kind
        stays = self._store.find(kind.kind, place.namespace, str(place.name))
        if stays is not None or kind.kind in _ANSWERED_WITH_OBJECT:
            return _answer(request, place, obj)
        details = {
            "name": place.name,
            "kind": kind.plural,
            "uid": obj["metadata"]["uid"],
        }
        if kind.group:
            details["group"] = kind.group
        return json_response(success(details))

    async def delete_collection(
        self, request: web.Request, place: Place
    ) -> web.Response:
        """Delete the objects that are selected."""
        options = await DeleteOptions.read(request)
        query = request.query
        matches = selection(query.get("labelSelector"), query.get("fieldSelector"))
        gone = []
        for obj in self._store.list(place.kind.kind, place.namespace):
            metadata = obj["metadata"]
            if matches is None or matches(obj):
                namespace = metadata.get("namespace")
                last = self._delete(place, metadata["name"], namespace, options)
                gone.append(Revision(last, self._store.version))
        metadata = {"resourceVersion": str(self._store.version)}
        return json_response(rendering_for(request, place).many(gone, metadata))

    def _replace(self, request: web.Request, place: Place, obj: JSON) -> web.Response:
        new = self._store.replace(
            place.kind.kind,
            obj,
            subresource=place.subresource,
            dry_run=is_dry_run(request.query),
        )
        return _answer(request, place, new)

    def _apply(
        self, request: web.Request, place: Place, configuration: object
    ) -> web.Response:
        if not isinstance(configuration, dict):
            raise bad_request("the object provided is unrecognized")
        query, kind = request.query, place.kind
        manager = query.get("fieldManager")
        if not manager:
            text = (
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value:'
                " is required for apply patch"
            )
            raise ApiError(422, "Invalid", text)
        configuration = _named(place, _expect(place, configuration))
        old = self._store.find(kind.kind, place.namespace, str(place.name))
        if old is None and place.subresource is not None:
            raise not_found(kind, str(place.name))
        if old is None:
            new = self._store.create(
                kind.kind, configuration, place.namespace, dry_run=is_dry_run(query)
            )
        else:
            new = self._store.replace(
                kind.kind,
                self._applied.merge(old, manager, configuration),
                subresource=place.subresource,
                dry_run=is_dry_run(query),
            )
        if not is_dry_run(query):
            self._applied.remember(new, manager, configuration)
        return _answer(request, place, new, 201 if old is None else 200)

    def _delete(
        self, place: Place, name: str, namespace: str | None, options: DeleteOptions
    ) -> JSON:
        return self._store.delete(
            place.kind.kind,
            namespace,
            name,
            options.grace_seconds,
            options.propagation,
            options.uid,
            version=options.version,
            dry_run=options.dry_run,
        )

    def _changed(self, change_type: str, obj: JSON) -> None:
        if change_type == "DELETED":
            self._applied.forget(obj)


def success(details: JSON | None = None) -> JSON:
    """Make the ``Status`` of a request that has nothing else to say."""
    status: JSON = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
    }
    return status if details is None else status | {"details": details}


def _answer(
    request: web.Request, place: Place, obj: JSON, status: int = 200
) -> web.Response:
    revision = Revision(obj, int(obj["metadata"].get("resourceVersion", 0)))
    return json_response(rendering_for(request, place).one(revision), status)


def _expect(place: Place, obj: JSON) -> JSON:
    """Check that an object is of the kind that the URL is about."""
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if kind not in (None, place.kind.kind):
        raise bad_request(
            f"{kind} in version {version!r} cannot be handled as a {place.kind.kind}:"
            f" no kind {kind!r} is registered for {place.api_version!r}"
        )
    if version not in (None, place.api_version):
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API"
            f" version ({place.api_version})"
        )
    return from_newer_event(obj) if place.group == EVENTS_GROUP else obj


def _named(place: Place, obj: JSON) -> JSON:
    """Check that an object is the one that the URL is about."""
    metadata = obj.setdefault("metadata", {})
    for field, wanted in (("name", place.name), ("namespace", place.namespace)):
        found = metadata.get(field)
        if found and wanted and found != wanted:
            raise bad_request(
                f"the {field} of the object ({found}) does not match the {field} on the"
                f" URL ({wanted})"
            )
        if wanted:
            metadata[field] = wanted
    return obj
