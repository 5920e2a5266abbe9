"""Pages like those of JupyterHub, from which a user spawns a lab and enters it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import aiohttp
from aiohttp import web
from jinja2 import Environment, PackageLoader

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.gafaelfawr import Gafaelfawr, Token

__all__ = ["SESSION", "Hub"]

SESSION = web.AppKey("session", aiohttp.ClientSession)
"""Connections of the application that the page is added to."""

_SPAWN = "/nb/hub/spawn"
_POLICY = "default-src 'self'; form-action 'self'; frame-ancestors 'none'"
_SECONDS = 30.0


class Hub:
    """Shows the spawner form, and asks for the lab that was chosen.

    Parameters
    ----------
    gafaelfawr
        Knows the tokens of users.
    identify
        Tells who makes a request.
    service
        Tells where the service is, and asks it directly.
    prefix
        Path of the service's routes.
    """

    def __init__(
        self,
        gafaelfawr: Gafaelfawr,
        identify: Callable[[web.Request], Token | None],
        service: Callable[[], str | None],
        prefix: str,
    ) -> None:
        self._gafaelfawr = gafaelfawr
        self._identify = identify
        self._service = service
        self._base = PurePosixPath(prefix) / "spawner" / "v1"
        templates = Environment(
            loader=PackageLoader("nublado.sandbox"), autoescape=True
        )
        self._page = templates.get_template("spawn.html")

    def add_routes(self, app: web.Application) -> None:
        """Add the page to the application of the ingress."""
        app.router.add_get(_SPAWN, self._show)
        app.router.add_post(_SPAWN, self._spawn)
        app.router.add_get("/nb/user/{path:.*}", self._lab)

    async def _show(self, request: web.Request) -> web.Response:
        user = self._user(request)
        async with self._ask("GET", f"lab-form/{user}", user, request) as answer:
            text = await answer.text()
            if answer.status != web.HTTPOk.status_code:
                return self._render(user, error=text, status=answer.status)
            return self._render(user, form=text)

    async def _spawn(self, request: web.Request) -> web.Response:
        """Send the fields as JupyterHub does: each is a list of strings."""
        user = self._user(request)
        fields = await request.post()
        options = {name: [str(v) for v in fields.getall(name)] for name in fields}
        environment = {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{user}/"}
        body = {"options": options, "env": environment}
        path = f"labs/{user}/create"
        async with self._ask("POST", path, user, request, body) as answer:
            if answer.status != web.HTTPCreated.status_code:
                return self._render(
                    user, error=await answer.text(), status=answer.status
                )
        raise web.HTTPSeeOther(f"{self._base}/labs/{user}/progress")

    async def _lab(self, request: web.Request) -> web.Response:
        """Stand in for a lab: nothing runs in an embedded cluster."""
        user = self._user(request)
        text = f"This is where JupyterLab of {user} would be.\n"
        return web.Response(text=text)

    def _user(self, request: web.Request) -> str:
        token = self._identify(request)
        if token is None:
            raise web.HTTPSeeOther(f"/?rd={_SPAWN}")
        return token.username

    def _ask(
        self,
        method: str,
        path: str,
        user: str,
        request: web.Request,
        body: JSON | None = None,
    ) -> aiohttp.client._RequestContextManager:
        session = request.app[SESSION]
        headers = {
            "X-Auth-Request-User": user,
            "X-Auth-Request-Token": self._gafaelfawr.token_of(user),
        }
        url = f"{self._service()}{self._base}/{path}"
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        return session.request(method, url, headers=headers, json=body, timeout=timeout)

    def _render(
        self,
        user: str,
        *,
        form: str | None = None,
        error: str | None = None,
        status: int = 200,
    ) -> web.Response:
        text = self._page.render(username=user, form=form, error=error)
        return web.Response(
            text=text,
            status=status,
            content_type="text/html",
            headers={"Content-Security-Policy": _POLICY},
        )
