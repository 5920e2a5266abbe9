"""The HTTP API by which the sandbox itself is controlled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.registry_modes import MODES

if TYPE_CHECKING:
    from nublado.sandbox.cluster import Sandbox

__all__ = ["make_control_app"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HELP = {
    "GET /faults": "faults that are switched on",
    "PUT /faults": 'replace them: {"rules": […], "watch": {…}, "seed": 1}',
    "DELETE /faults": "switch all off",
    "GET /settings": "how fast and how well the cluster works",
    "PATCH /settings": "change some of that",
    "GET /stats": "requests and connections, counted",
    "POST /stats/reset": "begin to count anew",
    "POST /watches/drop": "close all watches",
    "POST /watches/mute": "let all watches of now fall silent",
    "POST /compact": "forget history, so that watches expire (410)",
    "POST /pods/{namespace}/{name}/finish": 'end a pod: {"exit_code": 1}',
    "POST /pods/{namespace}/{name}/evict": "evict a pod",
    "POST /nodes": 'add a node: {"name": "node-9", "labels": {}}',
    "DELETE /nodes/{name}": "lose a node with its pods",
    "PATCH /nodes/{name}": 'change a node: {"unschedulable": true, "taints": []}',
    "PUT /nodes/{name}/images": 'give a node an image: {"image": "…@sha256:…"}',
    "PUT /tags/{repository}/{tag}": 'set a tag: {"digest": "sha256:…"}',
    "DELETE /tags/{repository}/{tag}": "remove a tag",
    "PATCH /registry": 'change the registry: {"mode": "ecr", "password": "new"}',
    "PUT /service": 'where the ingress finds the service: {"url": "http://…"}',
    "PUT /users/{username}": "what Gafaelfawr says of a user",
}
_NODE_SETTINGS = ("unschedulable", "taints")
_REGISTRY_SETTINGS = ("mode", "auth", "public", "password", "token_seconds")


def make_control_app(sandbox: Sandbox) -> web.Application:
    """Make the web application that controls a sandbox."""
    control = _Control(sandbox)
    app = web.Application(middlewares=[_errors])
    router = app.router
    router.add_get("/", control.help)
    router.add_get("/faults", control.get_faults)
    router.add_put("/faults", control.put_faults)
    router.add_delete("/faults", control.delete_faults)
    router.add_get("/settings", control.get_settings)
    router.add_patch("/settings", control.patch_settings)
    router.add_get("/stats", control.get_stats)
    router.add_post("/stats/reset", control.reset_stats)
    router.add_post("/watches/drop", control.drop_watches)
    router.add_post("/watches/mute", control.mute_watches)
    router.add_post("/compact", control.compact)
    router.add_post("/pods/{namespace}/{name}/finish", control.finish_pod)
    router.add_post("/pods/{namespace}/{name}/evict", control.evict_pod)
    router.add_post("/nodes", control.add_node)
    router.add_delete("/nodes/{name}", control.lose_node)
    router.add_patch("/nodes/{name}", control.patch_node)
    router.add_put("/nodes/{name}/images", control.put_image)
    router.add_put("/tags/{repository:.+}/{tag}", control.put_tag)
    router.add_delete("/tags/{repository:.+}/{tag}", control.delete_tag)
    router.add_patch("/registry", control.patch_registry)
    router.add_put("/service", control.put_service)
    router.add_put("/users/{username}", control.put_user)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as e:
        return web.json_response({"error": str(e)}, status=e.code)
    except (ValueError, TypeError, KeyError) as e:
        return web.json_response({"error": f"{type(e).__name__}: {e}"}, status=422)


class _Control:
    """Handlers of the control API."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def help(self, _: web.Request) -> web.Response:
        return web.json_response(_HELP)

    # --- Faults and settings ---------------------------------------------

    async def get_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._sandbox.faults.to_json())

    async def put_faults(self, request: web.Request) -> web.Response:
        self._sandbox.faults.from_json(await _object(request))
        return web.json_response(self._sandbox.faults.to_json())

    async def delete_faults(self, _: web.Request) -> web.Response:
        self._sandbox.faults.from_json({})
        return _done()

    async def get_settings(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self._sandbox.settings))

    async def patch_settings(self, request: web.Request) -> web.Response:
        settings = self._sandbox.settings
        changes = await _object(request)
        known = {f.name: type(getattr(settings, f.name)) for f in fields(settings)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name}")
            number = known[name] is float and isinstance(value, int)
            if not (isinstance(value, known[name]) or number):
                raise ValueError(f"{name} must be {known[name].__name__}")
        for name, value in changes.items():
            setattr(settings, name, value)
        return web.json_response(asdict(settings))

    # --- Watches and counts ----------------------------------------------

    async def get_stats(self, _: web.Request) -> web.Response:
        return web.json_response(self._sandbox.stats.to_json())

    async def reset_stats(self, _: web.Request) -> web.Response:
        self._sandbox.stats.reset()
        return _done()

    async def drop_watches(self, _: web.Request) -> web.Response:
        self._sandbox.api.watches.drop_all()
        return _done()

    async def mute_watches(self, _: web.Request) -> web.Response:
        self._sandbox.api.watches.mute_all()
        return _done()

    async def compact(self, _: web.Request) -> web.Response:
        self._sandbox.store.compact()
        return _done()

    # --- Pods and nodes --------------------------------------------------

    async def finish_pod(self, request: web.Request) -> web.Response:
        options = await _object(request)
        self._sandbox.controllers.kubelet.finish(
            request.match_info["namespace"],
            request.match_info["name"],
            int(options.get("exit_code", 0)),
            options.get("reason"),
        )
        return _done()

    async def evict_pod(self, request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        message = "The node was low on resource: memory."
        self._sandbox.controllers.kubelet.evict(namespace, name, message)
        return _done()

    async def add_node(self, request: web.Request) -> web.Response:
        options = await _object(request)
        node = self._sandbox.controllers.nodes.add(
            options.get("name"), options.get("labels")
        )
        return web.json_response({"name": node["metadata"]["name"]}, status=201)

    async def lose_node(self, request: web.Request) -> web.Response:
        self._sandbox.controllers.kubelet.lose_node(request.match_info["name"])
        return _done()

    async def patch_node(self, request: web.Request) -> web.Response:
        changes = await _object(request)
        for name in changes:
            if name not in _NODE_SETTINGS:
                raise ValueError(f"unknown setting {name}")
        self._sandbox.controllers.nodes.change(request.match_info["name"], changes)
        return _done()

    async def put_image(self, request: web.Request) -> web.Response:
        image = str((await _object(request))["image"])
        self._sandbox.controllers.nodes.add_image(request.match_info["name"], image)
        return _done()

    # --- Registry and users ----------------------------------------------

    async def put_tag(self, request: web.Request) -> web.Response:
        repository, tag = request.match_info["repository"], request.match_info["tag"]
        digest = str((await _object(request))["digest"])
        self._sandbox.registry.repositories.setdefault(repository, {})[tag] = digest
        return _done()

    async def delete_tag(self, request: web.Request) -> web.Response:
        repository, tag = request.match_info["repository"], request.match_info["tag"]
        del self._sandbox.registry.repositories[repository][tag]
        return _done()

    async def patch_registry(self, request: web.Request) -> web.Response:
        for name, value in (await _object(request)).items():
            if name not in _REGISTRY_SETTINGS:
                raise ValueError(f"unknown setting {name}")
            if name == "mode" and value not in MODES:
                raise ValueError(f"mode must be one of {', '.join(MODES)}")
            setattr(self._sandbox.registry, name, value)
        return _done()

    async def put_service(self, request: web.Request) -> web.Response:
        self._sandbox.ingress.service_url = str((await _object(request))["url"])
        return _done()

    async def put_user(self, request: web.Request) -> web.Response:
        username = request.match_info["username"]
        self._sandbox.gafaelfawr.users[username] = await _object(request)
        return _done()


async def _object(request: web.Request) -> JSON:
    if not request.can_read_body:
        return {}
    body: Any = await request.json()
    if not isinstance(body, dict):
        raise ValueError("body must be a JSON object")  # noqa: TRY004
    return body


def _done() -> web.Response:
    return web.Response(status=204)
