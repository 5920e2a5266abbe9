"""Pages like those of JupyterHub, from which a user spawns a lab and enters it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePosixPath

import aiohttp
from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.gafaelfawr import Gafaelfawr, Token
from nublado.sandbox.pages import Pages, make_nonce

__all__ = ["SESSION", "Hub"]

SESSION = web.AppKey("session", aiohttp.ClientSession)
"""Connections of the application that the page is added to."""

_SPAWN = "/nb/hub/spawn"
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
    pages
        Makes the pages.
    """

    def __init__(
        self,
        gafaelfawr: Gafaelfawr,
        identify: Callable[[web.Request], Token | None],
        service: Callable[[], str | None],
        prefix: str,
        pages: Pages,
    ) -> None:
        self._gafaelfawr = gafaelfawr
        self._identify = identify
        self._service = service
        self._pages = pages
        self._base = PurePosixPath(prefix) / "spawner" / "v1"

    def add_routes(self, app: web.Application) -> None:
        """Add the page to the application of the ingress."""
        app.router.add_get(_SPAWN, self._show)
        app.router.add_post(_SPAWN, self._spawn)
        app.router.add_get("/nb/user/{path:.*}", self._lab)

    async def _show(self, request: web.Request) -> web.Response:
        user, nonce = self._user(request), make_nonce()
        path = f"lab-form/{user}"
        async with self._ask("GET", path, user, request, nonce=nonce) as answer:
            text = await answer.text()
            if answer.status != web.HTTPOk.status_code:
                return self._pages.render(
                    "spawn.html", answer.status, error=_words(text)
                )
            return self._pages.render("spawn.html", nonce=nonce, form=text)

    async def _spawn(self, request: web.Request) -> web.Response:
        """Send the fields as JupyterHub does: each is a list of strings."""
        user = self._user(request)
        fields = await request.post()
        options = {name: [str(v) for v in fields.getall(name)] for name in fields}
        environment = {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{user}/"}
        body = {"options": options, "env": environment}
        status, text = await self._create(user, request, body)
        if status == web.HTTPConflict.status_code:
            # As JupyterHub does, which has no key to a lab that was there before.
            async with self._ask("DELETE", f"labs/{user}", user, request):
                pass
            status, text = await self._create(user, request, body)
        if status != web.HTTPCreated.status_code:
            return self._pages.render("spawn.html", status, error=_words(text))
        raise web.HTTPSeeOther(f"{self._base}/labs/{user}/progress")

    async def _create(
        self, user: str, request: web.Request, body: JSON
    ) -> tuple[int, str]:
        path = f"labs/{user}/create"
        async with self._ask("POST", path, user, request, body) as answer:
            return answer.status, await answer.text()

    async def _lab(self, request: web.Request) -> web.Response:
        """Stand in for a lab: nothing runs in an embedded cluster."""
        user = self._user(request)
        text = f"This is where JupyterLab of {user} would be: nothing runs in here."
        return self._pages.tell(request, 200, f"Lab of {user}", text, "good")

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
        nonce: str | None = None,
    ) -> aiohttp.client._RequestContextManager:
        session = request.app[SESSION]
        headers = {
            "X-Auth-Request-User": user,
            "X-Auth-Request-Token": self._gafaelfawr.token_of(user),
        }
        if nonce is not None:
            headers["X-CSP-Nonce"] = nonce
        if language := request.headers.get("Accept-Language"):
            headers["Accept-Language"] = language
        url = f"{self._service()}{self._base}/{path}"
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        return session.request(method, url, headers=headers, json=body, timeout=timeout)


def _words(answer: str) -> str:
    """Take the message out of an error of the service."""
    try:
        return "; ".join(problem["msg"] for problem in json.loads(answer)["detail"])
    except (ValueError, LookupError, TypeError):
        return answer
