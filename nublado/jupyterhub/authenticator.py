"""JupyterHub's authenticator for users whom the ingress has authenticated."""

from __future__ import annotations

from typing import Any

import httpx
from jupyterhub.auth import Authenticator
from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import url_path_join
from tornado import web
from traitlets import Unicode, default

from nublado.jupyterhub.controller import make_http_client

__all__ = ["IngressAuthenticator"]

_USER = "X-Auth-Request-User"
_TOKEN = "X-Auth-Request-Token"  # noqa: S105
_LOGIN = "ingress-login"
_REFRESH_SECONDS = 1
_USER_INFO_SECONDS = 10.0


class IngressLoginHandler(BaseHandler):
    """Logs in whom the ingress has authenticated."""

    async def get(self) -> None:
        """Log in, and go on to where the user wanted to go."""
        user = await self.login_user()
        if user is None:
            raise web.HTTPError(403, "The ingress has not authenticated you")
        self.redirect(self.get_next_url(user))


class IngressAuthenticator(Authenticator):
    """Takes user and token from the headers that the ingress sets.

    Headers are what anybody may send who reaches JupyterHub without the ingress,
    such as a lab. With `gafaelfawr_url`, a user is who owns the token.
    """

    gafaelfawr_url = Unicode(
        help="""
        Base URL of Gafaelfawr, such as https://example.org. If it is set, Gafaelfawr is
        asked to whom a new token belongs. Without, nothing but the ingress may be
        able to reach JupyterHub.
        """
    ).tag(config=True)

    _http: httpx.AsyncClient | None = None

    @default("auto_login")
    def _default_auto_login(self) -> bool:
        return True

    @default("allow_all")
    def _default_allow_all(self) -> bool:
        # Who may come here is decided by the ingress.
        return True

    @default("enable_auth_state")
    def _default_enable_auth_state(self) -> bool:
        return True

    @default("refresh_pre_spawn")
    def _default_refresh_pre_spawn(self) -> bool:
        return True

    @default("auth_refresh_age")
    def _default_auth_refresh_age(self) -> int:
        # The headers come with every request, so looking at them costs nothing.
        return _REFRESH_SECONDS

    def login_url(self, base_url: str) -> str:
        """Where JupyterHub sends those who have not logged in."""
        url: str = url_path_join(base_url, _LOGIN)
        return url

    def get_handlers(self, app: object) -> list[tuple[str, type[BaseHandler]]]:  # noqa: ARG002
        """Routes of this authenticator."""
        return [(f"/{_LOGIN}", IngressLoginHandler)]

    async def authenticate(
        self,
        handler: BaseHandler,
        data: object = None,  # noqa: ARG002
    ) -> dict[str, Any] | None:
        """Tell who makes a request.

        Returns
        -------
        dict or None
            Name, and the token as authentication state; None if the ingress has
            not said.
        """
        username, token = _identity(handler)
        if not username or not token:
            return None
        if not await self._owns(username, token):
            return None
        return {"name": username, "auth_state": {"token": token}}

    async def refresh_user(
        self, user: Any, handler: BaseHandler | None = None
    ) -> bool | dict[str, Any]:
        """Keep the token of a user fresh, and notice when it is another user.

        Returns
        -------
        bool or dict
            True if nothing has changed, or if the request did not come through
            the ingress; False if the user has to log in; else what is new.
        """
        username, token = _identity(handler) if handler is not None else ("", "")
        if not username:
            return True
        if username != user.name:
            return False
        state = await user.get_auth_state() or {}
        if not token or token == state.get("token"):
            return True
        if not await self._owns(username, token):
            return False
        return {"name": username, "auth_state": {**state, "token": token}}

    async def _owns(self, username: str, token: str) -> bool:
        if not self.gafaelfawr_url:
            return True
        if IngressAuthenticator._http is None:
            IngressAuthenticator._http = make_http_client()
        url = f"{self.gafaelfawr_url.rstrip('/')}/auth/api/v1/user-info"
        try:
            answer = await IngressAuthenticator._http.get(
                url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=_USER_INFO_SECONDS,
            )
            owner = answer.json().get("username") if answer.is_success else None
        except (httpx.HTTPError, ValueError, AttributeError) as e:
            raise web.HTTPError(503, "The login service does not answer") from e
        if owner != username:
            self.log.warning("A token that came for %s is not theirs", username)
        return bool(owner == username)


def _identity(handler: BaseHandler) -> tuple[str, str]:
    headers = handler.request.headers
    return headers.get(_USER, ""), headers.get(_TOKEN, "")
