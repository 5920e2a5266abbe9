"""Routes of the control API by which the cluster becomes unkind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol, TypeVar

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.answers import ANSWER_NAMES
from nublado.sandbox.checks import check_keys, check_range
from nublado.sandbox.kubernetes.controllers import Controllers
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.resources import KINDS, kind_named
from nublado.sandbox.kubernetes.server import ApiServer
from nublado.sandbox.kubernetes.store import Backup, Store
from nublado.sandbox.kubernetes.version_gate import Refusal
from nublado.sandbox.kubernetes.webhooks import Webhook
from nublado.sandbox.outage import ApiServerOutage, Restart
from nublado.sandbox.typed_json import parse

__all__ = ["TROUBLE_HELP", "Troubled", "add_trouble"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_T = TypeVar("_T")

TROUBLE_HELP = {
    "GET /answers": "names of answers that a fault rule can give",
    "POST /restart": 'restart the API server: {"away": 2, "forbidden": 1}',
    "GET /restart": "whether it is away",
    "POST /backup": "back all objects up, with their version",
    "POST /restore": "restart with what was backed up; takes what /restart takes",
    "PUT /versions/refused": 'refuse versions known now: {"answer": "too-large"}',
    "DELETE /versions/refused": "refuse no more",
    "GET /webhooks": "admission webhooks",
    "PUT /webhooks": 'replace them: {"webhooks": [{"kinds": ["Pod"], "deny": "…"}]}',
    "POST /namespaces/{name}/hold": 'hold its end up: {"finalizer": "…"}',
    "POST /namespaces/{name}/release": "take the finalizer off again",
    "POST /nodes/{name}/silence": "let a node answer no more",
    "POST /nodes/{name}/wake": "let it answer again",
    "POST /pods/{namespace}/{name}/kill": 'kill its container: {"reason": "OOMKilled"}',
    "GET /rbac": "rights of service accounts: used, unused, missing",
    "PUT /rbac": 'hold them to their roles: {"enforced": true}',
    "DELETE /rbac": "begin to report anew",
}
"""Its routes and what each is for."""


class Troubled(Protocol):
    """The parts of a sandbox that can be unkind."""

    store: Store
    api: ApiServer
    outage: ApiServerOutage
    controllers: Controllers


def add_trouble(app: web.Application, sandbox: Troubled) -> None:
    """Add the routes to the application that controls a sandbox."""
    trouble = _Trouble(sandbox)
    handlers: dict[str, Handler] = {
        "GET /answers": trouble.get_answers,
        "POST /restart": trouble.restart,
        "GET /restart": trouble.get_restart,
        "POST /backup": trouble.back_up,
        "POST /restore": trouble.restore,
        "PUT /versions/refused": trouble.refuse_versions,
        "DELETE /versions/refused": trouble.accept_versions,
        "GET /webhooks": trouble.get_webhooks,
        "PUT /webhooks": trouble.put_webhooks,
        "POST /namespaces/{name}/hold": trouble.hold,
        "POST /namespaces/{name}/release": trouble.release,
        "POST /nodes/{name}/silence": trouble.silence_node,
        "POST /nodes/{name}/wake": trouble.wake_node,
        "POST /pods/{namespace}/{name}/kill": trouble.kill_container,
        "GET /rbac": trouble.get_rbac,
        "PUT /rbac": trouble.put_rbac,
        "DELETE /rbac": trouble.delete_rbac,
    }
    for route, handler in handlers.items():
        method, path = route.split()
        app.router.add_route(method, path, handler)


@dataclass(frozen=True, slots=True)
class _Webhooks:
    webhooks: list[JSON] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Hold:
    finalizer: str = "example.com/held"
    kinds: list[str] = field(default_factory=lambda: ["ConfigMap"])

    def __post_init__(self) -> None:
        known = {kind.kind for kind in KINDS if kind.namespaced}
        check_keys(self.kinds, known, "kind")


@dataclass(frozen=True, slots=True)
class _Kill:
    exit_code: int = 137
    reason: str = "OOMKilled"

    def __post_init__(self) -> None:
        check_range("exit_code", self.exit_code, 0, 255)


@dataclass(frozen=True, slots=True)
class _Rbac:
    enforced: bool = True


class _Trouble:
    """Handlers of the routes."""

    def __init__(self, sandbox: Troubled) -> None:
        self._sandbox = sandbox
        self._backup: Backup | None = None

    async def get_answers(self, _: web.Request) -> web.Response:
        return web.json_response(sorted(ANSWER_NAMES))

    # --- The API server --------------------------------------------------

    async def restart(self, request: web.Request) -> web.Response:
        self._sandbox.outage.restart(await _read(Restart, request))
        return web.json_response({"away": True}, status=202)

    async def get_restart(self, _: web.Request) -> web.Response:
        return web.json_response({"away": self._sandbox.outage.is_away})

    async def back_up(self, _: web.Request) -> web.Response:
        self._backup = self._sandbox.store.backup()
        return web.json_response({"version": self._backup.version}, status=201)

    async def restore(self, request: web.Request) -> web.Response:
        if self._backup is None:
            raise ApiError(409, "Conflict", "nothing has been backed up: POST /backup")
        self._sandbox.outage.restart(await _read(Restart, request), self._backup)
        return web.json_response({"version": self._backup.version}, status=202)

    async def refuse_versions(self, request: web.Request) -> web.Response:
        watches = self._sandbox.api.watches
        last = watches.versions.refuse(await _read(Refusal, request))
        watches.drop_all()
        return web.json_response({"until": last})

    async def accept_versions(self, _: web.Request) -> web.Response:
        self._sandbox.api.watches.versions.open()
        return _done()

    # --- Admission and authorization -------------------------------------

    async def get_webhooks(self, _: web.Request) -> web.Response:
        listed = [asdict(webhook) for webhook in self._sandbox.store.webhooks.listed]
        return web.json_response({"webhooks": listed})

    async def put_webhooks(self, request: web.Request) -> web.Response:
        listed = (await _read(_Webhooks, request)).webhooks
        self._sandbox.store.webhooks.listed = [
            parse(Webhook, f"webhooks[{i}]", each) for i, each in enumerate(listed)
        ]
        return await self.get_webhooks(request)

    async def get_rbac(self, _: web.Request) -> web.Response:
        access = self._sandbox.api.access
        return web.json_response({"enforced": access.enforced, **access.roles.report()})

    async def put_rbac(self, request: web.Request) -> web.Response:
        self._sandbox.api.access.enforced = (await _read(_Rbac, request)).enforced
        return await self.get_rbac(request)

    async def delete_rbac(self, _: web.Request) -> web.Response:
        self._sandbox.api.access.roles.forget_use()
        return _done()

    # --- Namespaces, nodes and pods --------------------------------------

    async def hold(self, request: web.Request) -> web.Response:
        how = await _read(_Hold, request)

        def add(finalizers: list[str]) -> list[str]:
            return [*(f for f in finalizers if f != how.finalizer), how.finalizer]

        return self._set_finalizers(request.match_info["name"], how, add)

    async def release(self, request: web.Request) -> web.Response:
        how = await _read(_Hold, request)

        def remove(finalizers: list[str]) -> list[str]:
            return [f for f in finalizers if f != how.finalizer]

        return self._set_finalizers(request.match_info["name"], how, remove)

    def _set_finalizers(
        self, namespace: str, how: _Hold, change: Callable[[list[str]], list[str]]
    ) -> web.Response:
        store = self._sandbox.store
        store.get("Namespace", None, namespace)

        def alter(obj: JSON) -> None:
            metadata = obj["metadata"]
            metadata["finalizers"] = change(metadata.get("finalizers") or [])
            if not metadata["finalizers"]:
                del metadata["finalizers"]

        held = []
        for kind in map(kind_named, how.kinds):
            for obj in store.list(kind.kind, namespace):
                store.mutate(kind.kind, namespace, obj["metadata"]["name"], alter)
                held.append(f"{kind.qualified}/{obj['metadata']['name']}")
        return web.json_response({"objects": held})

    async def silence_node(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._sandbox.controllers.node_lifecycle.silence(name)
        return _done()

    async def wake_node(self, request: web.Request) -> web.Response:
        self._sandbox.controllers.node_lifecycle.wake(request.match_info["name"])
        return _done()

    async def kill_container(self, request: web.Request) -> web.Response:
        how = await _read(_Kill, request)
        self._sandbox.controllers.kubelet.kill_container(
            request.match_info["namespace"],
            request.match_info["name"],
            how.exit_code,
            how.reason,
        )
        return _done()


async def _read(cls: type[_T], request: web.Request) -> _T:
    body = await request.json() if request.can_read_body else {}
    return parse(cls, "body", body)


def _done() -> web.Response:
    return web.Response(status=204)
