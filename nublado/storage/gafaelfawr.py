"""Client of Gafaelfawr, the platform's authentication service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import structlog

from nublado.exceptions import (
    GafaelfawrError,
    GafaelfawrUnavailableError,
    InvalidTokenError,
)
from nublado.models.domain.gafaelfawr import UserInfo, parse_user_info
from nublado.redaction import redact_text
from nublado.storage.exchange import Response
from nublado.storage.http import HTTPClient, HTTPRequest, HTTPRequestError
from nublado.storage.http_headers import TOKEN_PATTERN
from nublado.storage.traffic import Traffic

__all__ = ["GafaelfawrClient"]

_TOTAL_SECONDS = 20.0
_RETRY_PAUSE_SECONDS = 0.25
_PROBE_SECONDS = 5.0
_MAX_QUOTED = 200


class GafaelfawrClient:
    """Client of Gafaelfawr, shared by all threads.

    Parameters
    ----------
    base_url
        Base URL of the platform. Gafaelfawr is reached there directly; proxies
        that the environment names are not used.
    discover
        Gives the base URL of Gafaelfawr's API, in place of the one below the
        base URL of the platform; None if it is not known.
    max_in_flight
        How many requests may be in flight; those beyond it wait.
    """

    def __init__(
        self,
        base_url: str,
        discover: Callable[[], str | None] = lambda: None,
        max_in_flight: int = 16,
    ) -> None:
        self._api = f"{base_url.rstrip('/')}/auth/api/v1"
        self._discover = discover
        self._http = HTTPClient(max_in_flight, "gafaelfawr")
        self._log = structlog.get_logger(__name__)

    @property
    def traffic(self) -> Traffic:
        """How Gafaelfawr responds."""
        return self._http.traffic

    @property
    def _user_info_url(self) -> str:
        return f"{self._discover() or self._api}/user-info"

    def probe(self) -> None:
        """Find out whether Gafaelfawr answers again; what it says is of no matter."""
        try:
            request = HTTPRequest("GET", self._user_info_url)
            self._http.fetch(request, seconds=_PROBE_SECONDS)
        except HTTPRequestError as e:
            self._log.debug("Gafaelfawr does not answer yet", error=str(e))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def user_info(self, token: str) -> UserInfo:
        """Look up the user to whom a token belongs.

        Parameters
        ----------
        token
            The user's delegated token.

        Raises
        ------
        InvalidTokenError
            Raised if Gafaelfawr does not accept the token.
        GafaelfawrUnavailableError
            Raised if Gafaelfawr does not respond, or only that it cannot.
        GafaelfawrError
            Raised if Gafaelfawr fails otherwise, or its response cannot be parsed. Says
            why, but not the token.
        """
        if not TOKEN_PATTERN.fullmatch(token):
            raise InvalidTokenError
        response = self._request(token)
        if response.status in (401, 403):
            raise InvalidTokenError
        if response.status != 200:
            unavailable = response.status >= 500
            kind = GafaelfawrUnavailableError if unavailable else GafaelfawrError
            raise kind(_describe(response, token))
        try:
            return parse_user_info(json.loads(response.data))
        except ValueError as e:
            # Also covers JSON and its encoding.
            reason = f"Cannot parse Gafaelfawr's response: {e}"
            raise GafaelfawrError(reason.replace(token, "<token>")) from None

    def _request(self, token: str) -> Response:
        """Send the request, a second time if that may help."""
        deadline = time.monotonic() + _TOTAL_SECONDS
        try:
            response = self._send(token, _TOTAL_SECONDS)
        except HTTPRequestError as e:
            reason = f"Request to Gafaelfawr failed: {e}"
            if not e.retryable:
                raise GafaelfawrUnavailableError(reason) from None
        else:
            if response.status < 500:
                return response
            reason = _describe(response, token)
        self._log.warning("Retrying Gafaelfawr request", error=reason)
        time.sleep(_RETRY_PAUSE_SECONDS)
        try:
            return self._send(token, deadline - time.monotonic())
        except HTTPRequestError as e:
            reason = f"Request to Gafaelfawr failed: {e}"
            raise GafaelfawrUnavailableError(reason) from None

    def _send(self, token: str, seconds: float) -> Response:
        request = HTTPRequest("GET", self._user_info_url)
        request = request.authorized(f"bearer {token}")
        return self._http.fetch(request, seconds=seconds)


def _describe(response: Response, token: str) -> str:
    """Describe a response that is no user."""
    text = f"Gafaelfawr responded with status {response.status}"
    if location := response.headers.get("location"):
        text += f", a redirect to {location}, which is not followed"
    else:
        body = response.data.decode(errors="replace").strip()
        text += f": {body[:_MAX_QUOTED]}" if body else ""
    return redact_text(text.replace(token, "<token>"))
