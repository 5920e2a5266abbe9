"""A Docker registry: tags and digests of any number of repositories.

References
----------
https://distribution.github.io/distribution/spec/api/
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.faults import Faults
from nublado.sandbox.registry_modes import MODES, Auth, RegistryMode
from nublado.sandbox.stats import Stats

__all__ = ["Registry"]

_MIRROR_PATH = "/mirror"
"""The same registry below a path, as mirrors are often reached."""

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
    mode
        Which registry it is like, one of `MODES`.
    auth
        How clients have to authenticate, if the mode leaves that open.
    public
        Whether tokens are granted to anybody.
    username, password
        With what.
    token_seconds
        For how long a token is valid.
    deletable
        Whether manifests can be deleted.
    repositories
        By name, the digest of each tag.
    """

    faults: Faults
    stats: Stats
    mode: str = "plain"
    auth: Auth = "anonymous"
    public: bool = False
    username: str = "puller"
    password: str = "sandbox"  # noqa: S105
    token_seconds: float = 300.0
    deletable: bool = True
    repositories: dict[str, dict[str, str]] = field(default_factory=dict)
    _tokens: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)

    def app(self) -> web.Application:
        """Make the web application."""
        app = web.Application(middlewares=[self.faults.middleware("registry")])
        for realm in {mode.realm for mode in MODES.values()}:
            app.router.add_get(realm, self._token)
        for prefix in ("", _MIRROR_PATH):
            base = f"{prefix}/v2"
            app.router.add_get(f"{base}/", self._version)
            repository = f"{base}/{{repository:.+}}"
            app.router.add_get(f"{repository}/tags/list", self._tags)
            manifest = f"{repository}/manifests/{{reference}}"
            app.router.add_get(manifest, self._manifest)
            app.router.add_delete(manifest, self._delete)
        return app

    @property
    def _mode(self) -> RegistryMode:
        return MODES[self.mode]

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
        try:
            page, following = self._page(request, sorted(tags))
        except ValueError:
            return _error(400, "PAGINATION_NUMBER_INVALID", "invalid number")
        headers = {}
        if following is not None:
            path = f"/v2/{repository}/tags/list?{following}"
            if self._mode.link == "url":
                path = f"{request.scheme}://{request.host}{path}"
            headers["Link"] = f'<{path}>; rel="next"'
        content: JSON = {"name": repository, "tags": page}
        if self._mode.describes_manifests:
            content |= {"child": [], "manifest": _describe_manifests(tags)}
        return web.json_response(content, headers=headers)

    def _page(
        self, request: web.Request, names: list[str]
    ) -> tuple[list[str], str | None]:
        """The tags on a page, and the query of the next one."""
        most = self._mode.page or len(names) or 1
        size = min(int(request.query.get("n", most)), most)
        last = request.query.get("last", "")
        if self._mode.link == "cursor":
            last = base64.urlsafe_b64decode(request.query.get("next", "")).decode()
        rest = [name for name in names if name > last]
        page = rest[:size]
        if len(rest) <= size:
            return page, None
        if self._mode.link == "cursor":
            cursor = base64.urlsafe_b64encode(page[-1].encode()).decode()
            return page, f"next={cursor}&n={size}"
        return page, f"last={page[-1]}&n={size}"

    async def _manifest(self, request: web.Request) -> web.Response:
        repository = request.match_info["repository"]
        reference = request.match_info["reference"]
        self._count(request, "manifests")
        refused = self._refuse(request, repository)
        if refused is not None:
            return refused
        tags = self.repositories.get(repository, {})
        digest = tags.get(reference) or self._find_digest(reference, tags)
        if digest is None:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        accepted = request.headers.get("Accept", "")
        types = [type_ for type_ in _TYPES if type_ in accepted or "*/*" in accepted]
        if not types:
            return _error(404, "MANIFEST_UNKNOWN", "no acceptable manifest")
        if request.method == "HEAD" and self._mode.head != 200:
            return web.Response(status=self._mode.head)
        headers = {"Docker-Content-Digest": self._digest(digest)}
        if request.method not in self._mode.digest_in:
            del headers["Docker-Content-Digest"]
        return web.Response(
            body=_manifest_of(digest, types[0]), headers=headers, content_type=types[0]
        )

    async def _delete(self, request: web.Request) -> web.Response:
        """Delete a manifest by its digest, and with it all tags that it has."""
        repository = request.match_info["repository"]
        self._count(request, "manifests")
        refused = self._refuse(request, repository, "delete")
        if refused is not None:
            return refused
        reference = request.match_info["reference"]
        if not self.deletable or ":" not in reference:
            return _error(405, "UNSUPPORTED", "The operation is unsupported.")
        tags = self.repositories.get(repository, {})
        digest = self._find_digest(reference, tags)
        if digest is None:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        self.remove(repository, [digest])
        return web.Response(status=202)

    def remove(self, repository: str, digests: Collection[str]) -> None:
        """Remove images with all of their tags."""
        tags = self.repositories[repository]
        self.repositories[repository] = {
            tag: digest for tag, digest in tags.items() if digest not in digests
        }

    def _find_digest(self, reference: str, tags: dict[str, str]) -> str | None:
        digests = set(tags.values())
        return next((d for d in digests if self._digest(d) == reference), None)

    def _digest(self, digest: str) -> str:
        """Digest that the registry tells: where it has to be computed, the true one."""
        if "GET" in self._mode.digest_in:
            return digest
        return f"sha256:{hashlib.sha256(_manifest_of(digest, _TYPES[0])).hexdigest()}"

    async def _token(self, request: web.Request) -> web.Response:
        self._count(request, "token")
        is_anonymous = "Authorization" not in request.headers
        if not (is_anonymous and self.public) and not self._is_password(request):
            message = "incorrect username or password"
            return _error(self._mode.refusal, "UNAUTHORIZED", message)
        token = secrets.token_urlsafe(24)
        actions = request.query.get("scope", "").rpartition(":")[2].split(",")
        until = time.monotonic() + self.token_seconds
        self._tokens[token] = (until, frozenset(actions))
        return web.json_response(
            {"token": token, "expires_in": max(1, int(self.token_seconds))}
        )

    # --- Parts -----------------------------------------------------------

    def _count(self, request: web.Request, route: str) -> None:
        agent = request.headers.get("User-Agent", "")
        self.stats.request("registry", request.method, route, agent)

    def _refuse(
        self, request: web.Request, repository: str, action: str = "pull"
    ) -> web.Response | None:
        auth = self._mode.auth or self.auth
        is_given = "Authorization" in request.headers
        if auth == "anonymous":
            return None
        if auth == "basic" and self._is_password(request):
            return None
        if auth == "bearer" and self._is_token(request, action):
            return None
        if is_given and not self._mode.challenges_stale:
            message = "Your authorization token has expired. Reauthenticate."
            return _error(self._mode.stale, "DENIED", message)
        challenge = "Basic realm=sandbox"
        if auth == "bearer":
            realm = f"{request.scheme}://{request.host}{self._mode.realm}"
            actions = "pull" if action == "pull" else f"pull,{action}"
            challenge = (
                f'Bearer realm="{realm}",service="sandbox",'
                f'scope="repository:{repository}:{actions}"'
            )
        status = self._mode.stale if is_given else 401
        return _error(status, "UNAUTHORIZED", "authentication required", challenge)

    def _is_password(self, request: web.Request) -> bool:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(text).decode()
        except (binascii.Error, ValueError):
            return False
        return kind.lower() == "basic" and given == f"{self.username}:{self.password}"

    def _is_token(self, request: web.Request, action: str) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        until, actions = self._tokens.get(token, (0.0, frozenset[str]()))
        is_valid = until > time.monotonic() and action in actions
        return kind.lower() == "bearer" and is_valid


def _error(
    status: int, code: str, message: str, challenge: str | None = None
) -> web.Response:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    problem = {"code": code, "message": message, "detail": None}
    return web.json_response({"errors": [problem]}, status=status, headers=headers)


def _manifest_of(digest: str, media_type: str) -> bytes:
    """Make a manifest that is different for each image."""
    manifest: JSON = {"schemaVersion": 2, "mediaType": media_type}
    if media_type in _LIST_TYPES:
        manifest["manifests"] = []
    manifest["annotations"] = {"org.opencontainers.image.version": digest}
    return json.dumps(manifest).encode()


def _describe_manifests(tags: dict[str, str]) -> JSON:
    """Describe manifests beside tags, as registries of Google do."""
    described: JSON = {}
    for tag, digest in tags.items():
        manifest = described.setdefault(
            digest,
            {
                "imageSizeBytes": "3500000000",
                "layerId": "",
                "mediaType": _TYPES[2],
                "tag": [],
                "timeCreatedMs": "1760000000000",
                "timeUploadedMs": "1760000000000",
            },
        )
        manifest["tag"].append(tag)
    return described
