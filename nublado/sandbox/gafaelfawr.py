"""Gafaelfawr, as far as the controller and the ingress need it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.faults import Faults
from nublado.sandbox.stats import Stats

__all__ = ["USER_INFO_PATH", "Gafaelfawr", "Token"]

USER_INFO_PATH = "/auth/api/v1/user-info"

_ADMIN = "admin"
_HUB = "hub"
_USER_SCOPES = frozenset({"exec:notebook", "read:all", "write:files"})
_SCOPES = {
    _ADMIN: _USER_SCOPES | {"exec:admin", "admin:jupyterlab"},
    _HUB: frozenset({"admin:jupyterlab"}),
}
_FIRST_UID = 10_000


@dataclass(frozen=True, slots=True)
class Token:
    """Who bears a token, and what it allows."""

    username: str
    scopes: frozenset[str]


@dataclass(slots=True)
class Gafaelfawr:
    """Knows any user: a token is made from the username.

    Parameters
    ----------
    faults, stats
        What goes wrong, and what is counted.
    users
        By name, what differs from what is made up for a user.
    """

    faults: Faults
    stats: Stats
    users: dict[str, JSON] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    def token_of(self, username: str) -> str:
        """Token of a user, always the same."""
        digest = hashlib.sha256(f"sandbox {username}".encode()).hexdigest()
        token = f"gt-{digest[:22]}.{digest[22:44]}"
        self._tokens[token] = username
        return token

    def check(self, token: str) -> Token | None:
        """Who bears a token; None if it is not valid.

        Tokens may also be written ``gt-USERNAME``, to be typed by hand.
        """
        username = self._tokens.get(token)
        if username is None and token.startswith("gt-") and "." not in token:
            username = token.removeprefix("gt-")
        if not username:
            return None
        return Token(username, _SCOPES.get(username, _USER_SCOPES))

    def user_info(self, username: str) -> JSON:
        """What Gafaelfawr says of a user."""
        digest = hashlib.sha256(username.encode()).digest()
        uid = _FIRST_UID + int.from_bytes(digest[:3]) % 1_000_000
        info: JSON = {
            "username": username,
            "name": username.replace("-", " ").title(),
            "email": f"{username}@example.org",
            "uid": uid,
            "gid": uid,
            "groups": [
                {"name": username, "id": uid},
                {"name": "astronomers", "id": 5000},
                {"name": "no-gid-group"},
            ],
            "quota": {
                "api": {"tap": 500},
                "notebook": {"cpu": 9.0, "memory": 27, "spawn": True},
            },
        }
        return info | self.users.get(username, {})

    def app(self) -> web.Application:
        """Make the web application."""
        app = web.Application(middlewares=[self.faults.middleware("gafaelfawr")])
        app.router.add_get(USER_INFO_PATH, self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        """Tell who bears the token of a request."""
        agent = request.headers.get("User-Agent", "")
        self.stats.request("gafaelfawr", request.method, "user-info", agent)
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        token = self.check(text.strip()) if kind.lower() == "bearer" else None
        if token is None:
            problem = {"type": "invalid_token", "msg": "Token is invalid"}
            return web.json_response({"detail": [problem]}, status=401)
        return web.json_response(self.user_info(token.username))
