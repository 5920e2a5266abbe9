"""The ingress: a reverse proxy that knows who is asking."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import quote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from nublado.sandbox.access import Group, group_of, group_of_hub, start_links
from nublado.sandbox.faults import Faults
from nublado.sandbox.gafaelfawr import USER_INFO_PATH, Gafaelfawr, Token
from nublado.sandbox.hub import SESSION, Hub
from nublado.sandbox.pages import Pages, wants_page
from nublado.sandbox.proxy import Proxy, end_to_end
from nublado.sandbox.repertoire import DISCOVERY_PATH, Repertoire
from nublado.sandbox.stats import Stats
from nublado.sandbox.webdav import FileServers

__all__ = ["Ingress"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_COOKIE = "sandbox-session"
_SET_HERE = frozenset(
    {
        "host",
        "expect",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
    }
)
_IDENTITY = "x-auth-request-"
_GAFAELFAWR_SCHEMES = ("bearer", "basic")
_HUB_PATH = "/nb"
_USERNAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Ingress:
    """Authenticates requests and passes them on to the service.

    Parameters
    ----------
    gafaelfawr
        Knows tokens and users.
    faults, stats
        What goes wrong, and what is counted.
    file_servers
        Answer for paths below that of the files page.
    pages
        Makes the ingress's own pages.
    prefix, files_prefix
        Where the service is.

    Attributes
    ----------
    service_url
        Where the service listens; None if there is none.
    hub_url
        Where JupyterHub's proxy listens, to which everything below ``/nb``
        goes; None if the ingress's own pages stand in for it.
    """

    def __init__(
        self,
        gafaelfawr: Gafaelfawr,
        faults: Faults,
        stats: Stats,
        file_servers: FileServers,
        pages: Pages,
        *,
        prefix: str = "/nublado",
        files_prefix: str = "/files",
    ) -> None:
        self.service_url: str | None = None
        self.hub_url: str | None = None
        self._gafaelfawr = gafaelfawr
        self._faults = faults
        self._stats = stats
        self._repertoire = Repertoire(stats)
        self._file_servers = file_servers
        self._pages = pages
        self._prefix = prefix
        self._files_prefix = files_prefix
        self._proxy = Proxy()

    def app(self) -> web.Application:
        """Make the web application."""
        app = web.Application(
            middlewares=[self._faults.middleware("ingress"), self._hub_first],
            client_max_size=16 * 1024 * 1024,
        )
        app.cleanup_ctx.extend((self._connections, self._proxy.connections))
        app.router.add_get("/", self._show_home)
        app.router.add_get("/auth/tokens", self._show_home)
        app.router.add_post("/login", self._log_in)
        app.router.add_post("/logout", self._log_out)
        app.router.add_get(USER_INFO_PATH, self._user_info)
        app.router.add_get(DISCOVERY_PATH, self._discovery)
        Hub(
            self._gafaelfawr,
            self._token,
            lambda: self.service_url,
            self._prefix,
            self._pages,
        ).add_routes(app)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        return app

    async def _connections(self, app: web.Application):  # type: ignore[no-untyped-def]
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=None, connect=10)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as session:
            app[SESSION] = session
            yield

    # --- Pages -----------------------------------------------------------

    async def _show_home(self, request: web.Request) -> web.Response:
        token = self._token(request)
        username = token.username if token else None
        groups = start_links(username, self._prefix, self._files_prefix)
        rd = request.query.get("rd", "/")
        return self._pages.render("home.html", username=username, groups=groups, rd=rd)

    async def _log_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        username, target = str(form.get("username", "")), str(form.get("rd", "/"))
        if not _USERNAME.fullmatch(username):
            problem = "That is not a username: lower-case letters, digits, hyphens."
            return self._pages.render("home.html", 400, problem=problem, rd=target)
        is_local = target.startswith("/") and not target.startswith("//")
        response = web.Response(
            status=303, headers={"Location": target if is_local else "/"}
        )
        token = self._gafaelfawr.token_of(username)
        response.set_cookie(_COOKIE, token, httponly=True, samesite="Lax")
        return response

    async def _log_out(self, _: web.Request) -> web.Response:
        response = web.Response(status=303, headers={"Location": "/"})
        response.del_cookie(_COOKIE)
        return response

    async def _user_info(self, request: web.Request) -> web.StreamResponse:
        """Answer for Gafaelfawr, which has the same base URL as the platform."""
        strike = self._faults.middleware("gafaelfawr")
        return await strike(request, self._gafaelfawr.answer)

    async def _discovery(self, request: web.Request) -> web.StreamResponse:
        """Answer for Repertoire, which is on the platform too."""
        strike = self._faults.middleware("repertoire")
        return await strike(request, self._repertoire.answer)

    # --- Proxy -----------------------------------------------------------

    @web.middleware
    async def _hub_first(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Let JupyterHub, where there is one, answer instead of the own pages."""
        path = request.path
        if self.hub_url and (path == _HUB_PATH or path.startswith(f"{_HUB_PATH}/")):
            return await self._pass_to_hub(request, self.hub_url)
        return await handler(request)

    async def _pass_to_hub(self, request: web.Request, url: str) -> web.StreamResponse:
        token, group = self._token(request), group_of_hub(request.path)
        refusal = self._refuse(request, group, token)
        if refusal is not None:
            return refusal
        dropped = set()
        if _scheme(request) in _GAFAELFAWR_SCHEMES:
            dropped.add("authorization")
        headers = self._headers(request, group, token, dropped)
        cookies = headers.popall("Cookie", ())
        if others := _without_session(cookies):
            headers["Cookie"] = others
        return await self._proxy.forward(request, url, headers)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        file_server = self._file_servers.find(request.path)
        if file_server is not None:
            return await self._pass_to_file_server(request, file_server)
        group = group_of(request.path, self._prefix, self._files_prefix)
        if group is None:
            return self._pages.tell(
                request, 404, "Nothing is here", "default backend - 404"
            )
        token = self._token(request)
        refusal = self._refuse(request, group, token)
        if refusal is not None:
            return refusal
        if self.service_url is None:
            text = "no service behind the ingress"
            return self._pages.tell(request, 503, "The service is not there", text)
        agent = request.headers.get("User-Agent", "")
        self._stats.request("ingress", request.method, group.scope or "anyone", agent)
        headers = self._headers(request, group, token, {"authorization", "cookie"})
        return await self._proxy.forward(request, self.service_url, headers)

    async def _pass_to_file_server(
        self, request: web.Request, url: str
    ) -> web.StreamResponse:
        """Pass a WebDAV request on, as the ingress of a file server has it."""
        owner = request.path.removeprefix(f"{self._files_prefix}/").partition("/")[0]
        if request.method != "OPTIONS":
            token = self._token(request)
            if token is None:
                headers = {"WWW-Authenticate": 'Basic realm="sandbox"'}
                return web.Response(status=401, text="log in first\n", headers=headers)
            if token.username != owner:
                return web.Response(status=403, text="not your files\n")
        kept = _from_client(request, {"authorization", "cookie"})
        kept["Host"] = request.host
        return await self._proxy.forward(request, url, kept)

    def _refuse(
        self, request: web.Request, group: Group, token: Token | None
    ) -> web.Response | None:
        """Answer for a client that may not call a group of routes."""
        if group.scope is None:
            return None
        if token is None:
            return self._ask_to_log_in(request)
        if group.scope not in token.scopes:
            text = f"{group.scope} is needed, which {token.username} does not have"
            return self._pages.tell(request, 403, "Not allowed", text)
        return None

    def _headers(
        self,
        request: web.Request,
        group: Group,
        token: Token | None,
        dropped: Collection[str],
    ) -> CIMultiDict[str]:
        """Headers for a server: those of the client, and what is known of it."""
        headers = _from_client(request, dropped)
        headers["Host"] = request.host
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Host"] = request.host
        if token is not None and group.scope is not None:
            headers["X-Auth-Request-User"] = token.username
            if group.delegate:
                delegated = self._gafaelfawr.token_of(token.username)
                headers["X-Auth-Request-Token"] = delegated
        return headers

    def _token(self, request: web.Request) -> Token | None:
        """Who is asking: by bearer token, Basic password or cookie."""
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._gafaelfawr.check(text.strip())
        if kind.lower() == "basic":
            try:
                username, _, password = base64.b64decode(text).decode().partition(":")
            except (binascii.Error, ValueError):
                return None
            known = self._gafaelfawr.check(password)
            return known or self._gafaelfawr.check(username)
        return self._gafaelfawr.check(request.cookies.get(_COOKIE, ""))

    def _ask_to_log_in(self, request: web.Request) -> web.Response:
        if wants_page(request):
            target = f"/?rd={quote(request.path_qs, safe='')}"
            return web.Response(status=302, headers={"Location": target})
        challenge = 'Bearer realm="sandbox"'
        headers = {"WWW-Authenticate": challenge}
        return web.Response(status=401, text="log in first\n", headers=headers)


def _scheme(request: web.Request) -> str:
    return request.headers.get("Authorization", "").partition(" ")[0].lower()


def _from_client(request: web.Request, dropped: Collection[str]) -> CIMultiDict[str]:
    """Headers of a client, without those that an ingress sets or takes off."""
    return CIMultiDict(
        (name, value)
        for name, value in end_to_end(request.headers).items()
        if name.lower() not in _SET_HERE
        and name.lower() not in dropped
        and not name.lower().startswith(_IDENTITY)
    )


def _without_session(cookies: Collection[str]) -> str:
    """Take the ingress's own cookie out of what a browser sent."""
    pairs = (pair.strip() for header in cookies for pair in header.split(";"))
    return "; ".join(p for p in pairs if p and p.partition("=")[0] != _COOKIE)
