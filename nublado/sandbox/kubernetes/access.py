"""Who is let in, and whether the server knows the roles yet.

An API server that has just been started has not read the roles: for about a
second it refuses everybody but administrators, and says so as it says to those
who have no right.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection

from aiohttp import web

from nublado.sandbox.kubernetes.attributes import attributes_of, denied
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.identity import (
    ADMINISTRATOR,
    CONTROLLER,
    User,
    user_of_token,
)
from nublado.sandbox.kubernetes.rbac import RoleAuthorizer
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.kubernetes.urls import Place

__all__ = ["Access"]

_HEALTH = ("/healthz", "/livez", "/readyz")
_SCHEME = "Bearer "


class Access:
    """Authenticates and authorizes requests.

    Parameters
    ----------
    store
        Objects of the cluster.
    tokens
        Bearer tokens of which clients have to send one; by default they need
        none.

    Attributes
    ----------
    enforced
        Whether service accounts may do only what roles allow; without it,
        everybody may do everything.
    roles
        What roles allow.
    """

    def __init__(self, store: Store, tokens: Collection[str] = ()) -> None:
        self._tokens = [token.encode() for token in tokens]
        self._unready_until = 0.0
        self.enforced = False
        self.roles = RoleAuthorizer(store)

    def forget_roles(self, seconds: float) -> None:
        """Refuse everybody for so many seconds, as after a start."""
        self._unready_until = time.monotonic() + seconds

    def check(self, request: web.Request, place: Place | None) -> None:
        """Check who sends a request, and whether that is allowed.

        Raises
        ------
        ApiError
            Raised if the token is not known (401) or the right is missing
            (403).
        """
        if self._tokens:
            self._authenticate(request)
        if not self.enforced and not self._unready_until:
            return
        if request.path in _HEALTH:
            return
        user = self._user(request)
        if self._is_unready() and "system:masters" not in user.groups:
            raise denied(user.name, attributes_of(request, place))
        if self.enforced:
            self.roles.check(user, attributes_of(request, place))

    def _is_unready(self) -> bool:
        if self._unready_until and time.monotonic() >= self._unready_until:
            self._unready_until = 0.0
        return self._unready_until > 0

    def _user(self, request: web.Request) -> User:
        sent = request.headers.get("Authorization", "")
        if not sent:
            return ADMINISTRATOR if self.enforced else CONTROLLER
        user = user_of_token(sent.removeprefix(_SCHEME))
        if user is None and self.enforced:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user or CONTROLLER

    def _authenticate(self, request: web.Request) -> None:
        if request.path in _HEALTH:
            return
        sent = request.headers.get("Authorization", "").removeprefix(_SCHEME).encode()
        if not any(hmac.compare_digest(sent, token) for token in self._tokens):
            raise ApiError(401, "Unauthorized", "Unauthorized")
