"""The API server: HTTP requests to the store and back.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress

import structlog
from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.access import Access
from nublado.sandbox.kubernetes.containers.logs import ContainerLogs
from nublado.sandbox.kubernetes.discovery import aggregated, discover
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.exec import Execute
from nublado.sandbox.kubernetes.faults import Faults
from nublado.sandbox.kubernetes.listing import list_page
from nublado.sandbox.kubernetes.openapi import openapi
from nublado.sandbox.kubernetes.releases import (
    DEFAULT_RELEASE,
    RELEASES,
    Release,
)
from nublado.sandbox.kubernetes.rendering import encode, json_response, rendering_for
from nublado.sandbox.kubernetes.requests import accepts, flag
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.kubernetes.subresources import serve_action
from nublado.sandbox.kubernetes.urls import Place, locate, unknown_path
from nublado.sandbox.kubernetes.watching import WatchServer
from nublado.sandbox.kubernetes.writing import Writer
from nublado.sandbox.stats import Stats

__all__ = ["ApiServer", "make_app"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_BODY = 3 * 1024 * 1024
"""Bytes that a request may have, as on a real server."""

_IDLE_SECONDS = 0.5
"""How often it is looked whether the history is to be compacted."""

_HEALTH = ("/healthz", "/livez", "/readyz")
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_PLACE: web.RequestKey[Place | None] = web.RequestKey("place")

_logger = structlog.get_logger(__name__)


def make_app(
    store: Store, faults: Faults, stats: Stats, *, tokens: Collection[str] = ()
) -> web.Application:
    """Make the web application that serves a store; see `ApiServer`."""
    return ApiServer(store, faults, stats, tokens=tokens).app


class ApiServer:
    """Serves a store as the API server of a cluster.

    Parameters
    ----------
    store
        The objects.
    faults, stats
        What goes wrong, and what is counted.
    tokens
        Bearer tokens of which clients have to send one; by default they need
        none.
    release
        Release of Kubernetes that it is.
    logs
        What containers that run have written.

    Attributes
    ----------
    access
        Who is let in.
    execute
        Runs commands in containers; None where there are none.
    app
        The web application.
    watches
        The watches that are open.
    """

    def __init__(
        self,
        store: Store,
        faults: Faults,
        stats: Stats,
        *,
        tokens: Collection[str] = (),
        release: Release = RELEASES[DEFAULT_RELEASE],
        logs: ContainerLogs | None = None,
    ) -> None:
        self._store = store
        self._faults = faults
        self._stats = stats
        self._release = release
        self.access = Access(store, tokens)
        self._tokens = [f"Bearer {token}".encode() for token in tokens]
        self._logs = logs or ContainerLogs()
        self.execute: Execute | None = None
        self._writer = Writer(store)
        self.watches = WatchServer(store, faults, stats)
        middlewares = (self._count, faults.middleware("kubernetes"))
        self.app = web.Application(client_max_size=_MAX_BODY, middlewares=middlewares)
        self.app.router.add_route("*", "/{path:.*}", self._handle)
        self.app.on_shutdown.append(self._shut_down)
        self.app.cleanup_ctx.append(self._compacting)

    @web.middleware
    async def _count(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        place = request[_PLACE] = locate(request.path)
        route = request.path
        if place is not None:
            route = "/".join(filter(None, (place.kind.plural, place.subresource)))
            if place.name is None and request.method == "GET":
                route += " watch" if _is_watch(request, place) else " list"
        self._stats.count(request, "kubernetes", route)
        return await handler(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        place = request[_PLACE]
        try:
            self.access.check(request, place)
            if place is None:
                return _describe(request, self._release)
            if not _is_part(place):
                return await serve_action(
                    self._store, self._logs, self.execute, request, place
                )
            return await self._serve(request, place)
        except ApiError as e:
            return _refuse(e)
        except web.HTTPRequestEntityTooLarge:
            text = f"Request entity too large: limit is {_MAX_BODY}"
            return _refuse(ApiError(413, "RequestEntityTooLarge", text))
        except Exception as e:
            _logger.exception("Request failed", path=request.path)
            text = f"Internal error occurred: {type(e).__name__}: {e}"
            return _refuse(ApiError(500, "InternalError", text))

    async def _serve(self, request: web.Request, place: Place) -> web.StreamResponse:
        method = request.method
        if method in ("GET", "HEAD"):
            if _is_watch(request, place):
                return await self.watches.serve(request, place)
            return self._read(request, place)
        if place.name is None:
            handlers = {
                "POST": self._writer.create,
                "DELETE": self._writer.delete_collection,
            }
        else:
            handlers = {"PUT": self._writer.replace, "PATCH": self._writer.patch}
            if place.subresource is None:
                handlers["DELETE"] = self._writer.delete
        if method not in handlers or not _is_complete(place):
            text = "the server does not allow this method on the requested resource"
            raise ApiError(405, "MethodNotAllowed", text, {})
        return await handlers[method](request, place)

    def _read(self, request: web.Request, place: Place) -> web.Response:
        rendering = rendering_for(request, place)
        if place.name is None:
            self.watches.versions.check_list(request.query)
            page = list_page(self._store, place, request.query)
            return json_response(rendering.many(page.revisions, page.metadata))
        found = self._store.revision(place.kind.kind, place.namespace, place.name)
        return json_response(rendering.one(found))

    async def _shut_down(self, _: web.Application) -> None:
        self.watches.drop_all()

    async def _compacting(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._compact_at_random())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _compact_at_random(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            every = self._faults.watch.compact_every
            if every is not None and self._faults.strikes(
                _IDLE_SECONDS / max(every, _IDLE_SECONDS)
            ):
                self._store.compact()


def _is_watch(request: web.Request, place: Place) -> bool:
    return place.watch or (place.name is None and flag(request.query, "watch"))


def _is_part(place: Place) -> bool:
    """Whether a URL is about an object or a part of it, not about an action."""
    match place.subresource:
        case None:
            return True
        case "status":
            return place.kind.status
        case "finalize":
            return place.kind.kind == "Namespace"
    return False


def _is_complete(place: Place) -> bool:
    """Whether a URL names the namespace that its kind needs to be written."""
    return place.namespace is not None or not place.kind.namespaced


def _describe(request: web.Request, release: Release) -> web.Response:
    """Answer a request that is about the server itself."""
    path = request.path
    if path.rstrip("/") in _HEALTH or path.startswith(("/livez/", "/readyz/")):
        return web.Response(text="ok")
    if path.startswith("/openapi/v2") and "protobuf" in request.headers.get(
        "Accept", ""
    ):
        text = "only the following media types are accepted: application/json"
        raise ApiError(406, "NotAcceptable", text)
    document: JSON | None = None
    if accepts(request, "APIGroupDiscoveryList"):
        document = aggregated(path)
    if document is not None:
        headers = {"Content-Type": _AGGREGATED, "Vary": "Accept"}
        return web.Response(body=encode(document), headers=headers)
    document = discover(path, request.host, release) or openapi(path, release)
    if document is None:
        raise unknown_path()
    return json_response(document)


def _refuse(error: ApiError) -> web.Response:
    response = json_response(error.status(), error.code)
    response.headers.update(error.headers)
    return response
