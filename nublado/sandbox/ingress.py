"""The ingress: a reverse proxy that knows who is asking."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from nublado.sandbox.access import Group, group_of, start_links
from nublado.sandbox.faults import Faults
from nublado.sandbox.gafaelfawr import USER_INFO_PATH, Gafaelfawr, Token
from nublado.sandbox.hub import SESSION, Hub
from nublado.sandbox.pages import render, tell, wants_page
from nublado.sandbox.stats import Stats
from nublado.sandbox.webdav import FileServers

__all__ = ["Ingress"]

_COOKIE = "sandbox-session"
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SET_HERE = frozenset(
    {
        "host",
        "x-auth-request-user",
        "x-auth-request-token",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
    }
)
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
    prefix, files_prefix
        Where the service is.
    """

    def __init__(
        self,
        gafaelfawr: Gafaelfawr,
        faults: Faults,
        stats: Stats,
        file_servers: FileServers,
        *,
        prefix: str = "/nublado",
        files_prefix: str = "/files",
    ) -> None:
        self.service_url: str | None = None
        self._gafaelfawr = gafaelfawr
        self._faults = faults
        self._stats = stats
        self._file_servers = file_servers
        self._prefix = prefix
        self._files_prefix = files_prefix
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        """Make the web application."""
        app = web.Application(
            middlewares=[self._faults.middleware("ingress")],
            client_max_size=16 * 1024 * 1024,
        )
        app.cleanup_ctx.append(self._connections)
        app.router.add_get("/", self._show_home)
        app.router.add_get("/auth/tokens", self._show_home)
        app.router.add_post("/login", self._log_in)
        app.router.add_post("/logout", self._log_out)
        app.router.add_get(USER_INFO_PATH, self._user_info)
        Hub(
            self._gafaelfawr, self._token, lambda: self.service_url, self._prefix
        ).add_routes(app)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        return app

    async def _connections(self, app: web.Application):  # type: ignore[no-untyped-def]
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=None, connect=10)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as session:
            self._session = app[SESSION] = session
            yield

    # --- Pages -----------------------------------------------------------

    async def _show_home(self, request: web.Request) -> web.Response:
        token = self._token(request)
        username = token.username if token else None
        groups = start_links(username, self._prefix, self._files_prefix)
        rd = request.query.get("rd", "/")
        return render("home.html", username=username, groups=groups, rd=rd)

    async def _log_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        username, target = str(form.get("username", "")), str(form.get("rd", "/"))
        if not _USERNAME.fullmatch(username):
            problem = "That is not a username: lower-case letters, digits, hyphens."
            return render("home.html", 400, problem=problem, rd=target)
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

    # --- Proxy -----------------------------------------------------------

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        file_server = self._file_servers.find(request.path)
        if file_server is not None:
            return await self._pass_to_file_server(request, file_server)
        group = group_of(request.path, self._prefix, self._files_prefix)
        if group is None:
            return tell(request, 404, "Nothing is here", "default backend - 404")
        token = self._token(request)
        if group.scope is not None and token is None:
            return self._ask_to_log_in(request)
        if token and group.scope is not None and group.scope not in token.scopes:
            text = f"{group.scope} is needed, which {token.username} does not have"
            return tell(request, 403, "Not allowed", text)
        if self.service_url is None or self._session is None:
            text = "no service behind the ingress"
            return tell(request, 503, "The service is not there", text)
        agent = request.headers.get("User-Agent", "")
        self._stats.request("ingress", request.method, group.scope or "anyone", agent)
        try:
            headers = self._headers(request, group, token)
            return await self._forward(request, self.service_url, headers)
        except (aiohttp.ClientError, OSError) as e:
            return web.json_response({"error": f"bad gateway: {e}"}, status=502)

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
        dropped = _HOP_BY_HOP | _SET_HERE | {"authorization", "cookie"}
        kept = {k: v for k, v in request.headers.items() if k.lower() not in dropped}
        try:
            return await self._forward(request, url, {**kept, "Host": request.host})
        except (aiohttp.ClientError, OSError) as e:
            return web.json_response({"error": f"bad gateway: {e}"}, status=502)

    async def _forward(
        self, request: web.Request, base: str, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        assert self._session is not None  # noqa: S101
        url = f"{base}{request.raw_path}"
        body = await request.read() if request.can_read_body else None
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
        ) as upstream:
            kept: CIMultiDict[str] = CIMultiDict(
                (name, value)
                for name, value in upstream.headers.items()
                if name.lower() not in _HOP_BY_HOP
            )
            if "Content-Length" in kept or request.method == "HEAD":
                content = await upstream.read()
                return web.Response(status=upstream.status, headers=kept, body=content)
            response = web.StreamResponse(status=upstream.status, headers=kept)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    def _headers(
        self, request: web.Request, group: Group, token: Token | None
    ) -> CIMultiDict[str]:
        """Headers for the service: those of the client, and what is known of it."""
        dropped = _HOP_BY_HOP | _SET_HERE | {"authorization", "cookie"}
        headers: CIMultiDict[str] = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in dropped
        )
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
