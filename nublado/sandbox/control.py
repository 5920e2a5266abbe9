"""The HTTP API by which the sandbox itself is controlled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from json import JSONDecodeError
from typing import Any, Protocol

import structlog
from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.checks import (
    check_fields,
    check_keys,
    check_range,
    is_http_url,
    suggestion,
)
from nublado.sandbox.faults import Faults
from nublado.sandbox.gafaelfawr import Gafaelfawr
from nublado.sandbox.ingress import Ingress
from nublado.sandbox.kubernetes.containers.runtime import ContainerRuntime
from nublado.sandbox.kubernetes.controllers import ClusterSettings
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.registry import Registry
from nublado.sandbox.registry_modes import MODES
from nublado.sandbox.stats import Stats
from nublado.sandbox.trouble import TROUBLE_HELP, Troubled, add_trouble
from nublado.sandbox.typed_json import parse

__all__ = ["make_control_app"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HELP = {
    "GET /faults": "faults that are switched on",
    "PUT /faults": 'replace them: {"rules": […], "watch": {…}, "seed": 1}',
    "DELETE /faults": "switch all off",
    "GET /settings": "how fast and how well the cluster works",
    "PATCH /settings": 'change some of that: {"failing_pulls": ["w_2026"]}',
    "GET /stats": "requests and connections, counted",
    "POST /stats/reset": "begin to count anew",
    "POST /watches/drop": "close all watches",
    "POST /watches/mute": "let all watches of now fall silent",
    "POST /compact": "forget history, so that watches expire (410)",
    "POST /pods/{namespace}/{name}/finish": 'end a pod: {"exit_code": 1}',
    "POST /pods/{namespace}/{name}/evict": 'evict a pod: {"message": "The node …"}',
    "POST /nodes": 'add a node: {"name": "node-9", "labels": {}}',
    "DELETE /nodes/{name}": "lose a node with its pods",
    "PATCH /nodes/{name}": 'change a node: {"unschedulable": true, "taints": []}',
    "PUT /nodes/{name}/images": 'give a node an image: {"image": "…"} or {"names": []}',
    "DELETE /nodes/{name}/images": 'take an image from a node: {"image": "…"}',
    "PUT /tags/{repository}/{tag}": 'set a tag: {"digest": "sha256:…"}',
    "DELETE /tags/{repository}/{tag}": "remove a tag",
    "PATCH /registry": 'change the registry: {"mode": "ecr", "password": "new"}',
    "PUT /service": 'where the ingress finds the service: {"url": "http://…"}',
    "PUT /hub": 'where the ingress finds JupyterHub: {"url": "http://…"}, or null',
    "GET /hosts": "addresses of labs that run, by names of services",
    "GET /hosts/{name}": "address of one of them",
    "PUT /users/{username}": "what Gafaelfawr says of a user",
    **TROUBLE_HELP,
}
_OUT_OF_MEMORY = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available:"
    " 58472Ki. "
)
_NODE_SETTINGS = {"unschedulable": bool, "taints": list}
_REGISTRY_SETTINGS = ("mode", "auth", "public", "password", "token_seconds")
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
_DNS_SUFFIXES = (".", ".cluster.local", ".svc")


class Controlled(Troubled, Protocol):
    """The parts of a sandbox that can be controlled."""

    faults: Faults
    settings: ClusterSettings
    stats: Stats
    registry: Registry
    gafaelfawr: Gafaelfawr
    ingress: Ingress
    runtime: ContainerRuntime | None

    def known_images(self) -> set[str]:
        """References of the images that there are."""


def make_control_app(sandbox: Controlled) -> web.Application:
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
    router.add_delete("/nodes/{name}/images", control.delete_image)
    router.add_put("/tags/{repository:.+}/{tag}", control.put_tag)
    router.add_delete("/tags/{repository:.+}/{tag}", control.delete_tag)
    router.add_patch("/registry", control.patch_registry)
    router.add_put("/service", control.put_service)
    router.add_put("/hub", control.put_hub)
    router.add_get("/hosts", control.get_hosts)
    router.add_get("/hosts/{name}", control.get_host)
    router.add_put("/users/{username}", control.put_user)
    add_trouble(app, sandbox)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as e:
        return web.json_response({"error": str(e)}, status=e.code)
    except JSONDecodeError as e:
        message = f"The body is not JSON: {e.msg} in line {e.lineno}"
        return web.json_response({"error": message}, status=422)
    except ValueError as e:
        return web.json_response({"error": str(e)}, status=422)
    except web.HTTPNotFound:
        message = f"There is no {request.path}.{suggestion(request.path, _paths())}"
        return web.json_response({"error": message, "routes": _HELP}, status=404)
    except web.HTTPMethodNotAllowed as e:
        allowed = ", ".join(sorted(e.allowed_methods))
        message = f"{request.method} is not possible here, but {allowed}"
        return web.json_response({"error": message}, status=405)


@dataclass(frozen=True, slots=True)
class _ListedImage:
    names: list[str] | None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            check_range("size", self.size, 1, 2**63)


class _Control:
    """Handlers of the control API."""

    def __init__(self, sandbox: Controlled) -> None:
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
        settings.change(await _object(request))
        warnings = settings.idle_patterns(self._sandbox.known_images())
        for warning in warnings:
            structlog.get_logger(__name__).warning(warning)
        return web.json_response({**asdict(settings), "warnings": warnings})

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
            _field(options, "exit_code", int, 0),
            _field(options, "reason", str, None),
        )
        return _done()

    async def evict_pod(self, request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        options = await _object(request)
        message = _field(options, "message", str, _OUT_OF_MEMORY)
        self._sandbox.controllers.kubelet.evict(namespace, name, message)
        return _done()

    async def add_node(self, request: web.Request) -> web.Response:
        options = await _object(request)
        node = self._sandbox.controllers.nodes.add(
            _field(options, "name", str, None), _field(options, "labels", dict, None)
        )
        return web.json_response({"name": node["metadata"]["name"]}, status=201)

    async def lose_node(self, request: web.Request) -> web.Response:
        self._sandbox.controllers.kubelet.lose_node(request.match_info["name"])
        return _done()

    async def patch_node(self, request: web.Request) -> web.Response:
        changes = await _object(request)
        check_keys(changes, _NODE_SETTINGS, "setting")
        for name, kind in _NODE_SETTINGS.items():
            _field(changes, name, kind, None)
        self._sandbox.controllers.nodes.change(request.match_info["name"], changes)
        return _done()

    async def put_image(self, request: web.Request) -> web.Response:
        options, node = await _object(request), request.match_info["name"]
        nodes = self._sandbox.controllers.nodes
        if "names" in options:
            listed = parse(_ListedImage, "body", options)
            size = listed.size or self._sandbox.settings.image_bytes
            nodes.list_image(node, listed.names, size)
        else:
            nodes.add_image(node, _field(options, "image", str))
        return _done()

    async def delete_image(self, request: web.Request) -> web.Response:
        image = _field(await _object(request), "image", str)
        self._sandbox.controllers.nodes.remove_image(request.match_info["name"], image)
        return _done()

    # --- Registry and users ----------------------------------------------

    async def put_tag(self, request: web.Request) -> web.Response:
        repository, tag = request.match_info["repository"], request.match_info["tag"]
        digest = _field(await _object(request), "digest", str)
        self._sandbox.registry.repositories.setdefault(repository, {})[tag] = digest
        return _done()

    async def delete_tag(self, request: web.Request) -> web.Response:
        repository, tag = request.match_info["repository"], request.match_info["tag"]
        tags = self._sandbox.registry.repositories.get(repository, {})
        if tags.pop(tag, None) is None:
            raise ApiError(404, "NotFound", f"{repository} has no tag {tag}")
        return _done()

    async def patch_registry(self, request: web.Request) -> web.Response:
        changes = await _object(request)
        check_keys(changes, _REGISTRY_SETTINGS, "setting")
        check_fields(Registry, changes)
        mode = changes.get("mode", self._sandbox.registry.mode)
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        for name, value in changes.items():
            setattr(self._sandbox.registry, name, value)
        return _done()

    async def put_service(self, request: web.Request) -> web.Response:
        url = _field(await _object(request), "url", str)
        if not is_http_url(url):
            raise ValueError(f"url must be like http://127.0.0.1:8080, not {url}")
        self._sandbox.ingress.service_url = url
        return _done()

    async def put_hub(self, request: web.Request) -> web.Response:
        body = await _object(request)
        if body.get("url", "") is None:
            self._sandbox.ingress.hub_url = None
            return _done()
        url = _field(body, "url", str)
        if not is_http_url(url):
            raise ValueError(f"url must be like http://127.0.0.1:8000, not {url}")
        self._sandbox.ingress.hub_url = url
        return _done()

    async def get_hosts(self, _: web.Request) -> web.Response:
        return web.json_response(self._hosts())

    async def get_host(self, request: web.Request) -> web.Response:
        """Look up a name as the DNS of a cluster would."""
        name = request.match_info["name"]
        for suffix in _DNS_SUFFIXES:
            name = name.removesuffix(suffix)
        address = self._hosts().get(name)
        if address is None:
            raise ApiError(404, "NotFound", f"nothing runs as {name}")
        return web.json_response({"address": address})

    def _hosts(self) -> dict[str, str]:
        runtime = self._sandbox.runtime
        return {} if runtime is None else runtime.hosts()

    async def put_user(self, request: web.Request) -> web.Response:
        username = request.match_info["username"]
        self._sandbox.gafaelfawr.users[username] = await _object(request)
        return _done()


async def _object(request: web.Request) -> JSON:
    if not request.can_read_body:
        return {}
    body: Any = await request.json()
    if not isinstance(body, dict):
        raise ValueError("The body must be a JSON object")  # noqa: TRY004
    return body


def _paths() -> set[str]:
    return {route.split()[1] for route in _HELP}


def _field(body: JSON, name: str, kind: type, *default: Any) -> Any:
    """Take a field of a body, which has to be there unless it has a default."""
    if name not in body:
        if default:
            return default[0]
        raise ValueError(f"The body lacks {name}, which is {_WORDS[kind]}")
    value = body[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{name} must be {_WORDS[kind]}")
    return value


def _done() -> web.Response:
    return web.Response(status=204)
