"""A Docker registry: tags and digests of any number of repositories.

References
----------
https://distribution.github.io/distribution/spec/api/
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.faults import Faults
from nublado.sandbox.stats import Stats

__all__ = ["Registry"]

_PAGE = 1000
_LIST_TYPES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
_TYPES = (
    *_LIST_TYPES,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)


@dataclass(slots=True)
class Registry:
    """A registry, changeable while it runs.

    Parameters
    ----------
    faults, stats
        What goes wrong, and what is counted.
    auth
        How clients have to authenticate.
    username, password
        With what.
    token_seconds
        For how long a token is valid.
    repositories
        By name, the digest of each tag.
    """

    faults: Faults
    stats: Stats
    auth: Literal["anonymous", "basic", "bearer"] = "anonymous"
    username: str = "puller"
    password: str = "sandbox"  # noqa: S105
    token_seconds: float = 300.0
    repositories: dict[str, dict[str, str]] = field(default_factory=dict)
    _tokens: dict[str, float] = field(default_factory=dict)

    def app(self) -> web.Application:
        """Make the web application."""
        app = web.Application(middlewares=[self.faults.middleware("registry")])
        app.router.add_get("/token", self._token)
        app.router.add_get("/v2/", self._version)
        app.router.add_get("/v2/{repository:.+}/tags/list", self._tags)
        app.router.add_get("/v2/{repository:.+}/manifests/{reference}", self._manifest)
        return app

    async def _version(self, request: web.Request) -> web.Response:
        refused = self._refuse(request, "")
        return refused or web.json_response({})

    async def _tags(self, request: web.Request) -> web.Response:
        repository = request.match_info["repository"]
        self._count(request, "tags")
        refused = self._refuse(request, repository)
        if refused is not None:
            return refused
        tags = self.repositories.get(repository)
        if tags is None:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
        names = sorted(tags)
        last = request.query.get("last", "")
        try:
            size = min(int(request.query.get("n", _PAGE)), _PAGE)
        except ValueError:
            return _error(400, "PAGINATION_NUMBER_INVALID", "invalid number")
        rest = [name for name in names if name > last]
        page = rest[:size]
        headers = {}
        if len(rest) > size:
            path = f"/v2/{repository}/tags/list?last={page[-1]}&n={size}"
            headers["Link"] = f'<{path}>; rel="next"'
        return web.json_response({"name": repository, "tags": page}, headers=headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        repository = request.match_info["repository"]
        reference = request.match_info["reference"]
        self._count(request, "manifests")
        refused = self._refuse(request, repository)
        if refused is not None:
            return refused
        tags = self.repositories.get(repository, {})
        digest = reference if reference in tags.values() else tags.get(reference)
        if digest is None:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        accepted = request.headers.get("Accept", "")
        types = [type_ for type_ in _TYPES if type_ in accepted or "*/*" in accepted]
        if not types:
            return _error(404, "MANIFEST_UNKNOWN", "no acceptable manifest")
        manifest: JSON = {"schemaVersion": 2, "mediaType": types[0]}
        if types[0] in _LIST_TYPES:
            manifest["manifests"] = []
        return web.json_response(
            manifest,
            headers={"Docker-Content-Digest": digest},
            content_type=types[0],
        )

    async def _token(self, request: web.Request) -> web.Response:
        self._count(request, "token")
        if not self._is_password(request):
            return _error(401, "UNAUTHORIZED", "authentication required")
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + self.token_seconds
        return web.json_response(
            {"token": token, "expires_in": max(1, int(self.token_seconds))}
        )

    # --- Parts -----------------------------------------------------------

    def _count(self, request: web.Request, route: str) -> None:
        agent = request.headers.get("User-Agent", "")
        self.stats.request("registry", request.method, route, agent)

    def _refuse(self, request: web.Request, repository: str) -> web.Response | None:
        match self.auth:
            case "basic" if not self._is_password(request):
                return _error(
                    401,
                    "UNAUTHORIZED",
                    "authentication required",
                    "Basic realm=sandbox",
                )
            case "bearer" if not self._is_token(request):
                challenge = (
                    f'Bearer realm="{request.scheme}://{request.host}/token",'
                    f'service="sandbox",scope="repository:{repository}:pull"'
                )
                return _error(401, "UNAUTHORIZED", "authentication required", challenge)
        return None

    def _is_password(self, request: web.Request) -> bool:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(text).decode()
        except (binascii.Error, ValueError):
            return False
        return kind.lower() == "basic" and given == f"{self.username}:{self.password}"

    def _is_token(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        until = self._tokens.get(token, 0.0)
        return kind.lower() == "bearer" and until > time.monotonic()


def _error(
    status: int, code: str, message: str, challenge: str | None = None
) -> web.Response:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    problem = {"code": code, "message": message, "detail": None}
    return web.json_response({"errors": [problem]}, status=status, headers=headers)
