"""Ask Gafaelfawr, the platform's authentication service, who a user is."""

from __future__ import annotations

import json
import re
import time

import structlog

from nublado.exceptions import GafaelfawrError, InvalidTokenError
from nublado.models.domain.gafaelfawr import UserInfo, parse_user_info
from nublado.redaction import redact_text
from nublado.storage.http import HTTPClient, HTTPRequestError, HTTPResponse

__all__ = ["GafaelfawrClient"]

_TOTAL_SECONDS = 20.0
_RETRY_PAUSE_SECONDS = 0.25
_MAX_QUOTED = 200

_TOKEN_PATTERN = re.compile(r"[\x21-\x7e]+")
"""What may be sent as a token at all, with ``fullmatch`` (RFC 6750)."""


class GafaelfawrClient:
    """Client of Gafaelfawr, shared by all threads.

    Parameters
    ----------
    base_url
        Base URL of the platform. Gafaelfawr is reached there directly; proxies
        that the environment names are not used.
    pool_size
        How many requests may be in flight; those beyond it wait.
    """

    def __init__(self, base_url: str, pool_size: int = 16) -> None:
        self._url = f"{base_url.rstrip('/')}/auth/api/v1/user-info"
        self._http = HTTPClient(pool_size)
        self._log = structlog.get_logger(__name__)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def user_info(self, token: str) -> UserInfo:
        """Find out to whom a token belongs.

        Parameters
        ----------
        token
            The user's delegated token.

        Raises
        ------
        InvalidTokenError
            Raised if Gafaelfawr does not accept the token.
        GafaelfawrError
            Raised if Gafaelfawr fails, or answers what cannot be understood.
            Says why, but not the token.
        """
        if not _TOKEN_PATTERN.fullmatch(token):
            raise InvalidTokenError
        response = self._ask(token)
        if response.status in (401, 403):
            raise InvalidTokenError
        if response.status != 200:
            raise GafaelfawrError(_describe(response, token))
        try:
            return parse_user_info(json.loads(response.body))
        except ValueError as e:
            # Also covers JSON and its encoding.
            reason = f"Gafaelfawr's answer cannot be understood: {e}"
            raise GafaelfawrError(reason.replace(token, "<token>")) from None

    def _ask(self, token: str) -> HTTPResponse:
        """Send the request, a second time if that may help."""
        deadline = time.monotonic() + _TOTAL_SECONDS
        try:
            response = self._send(token, _TOTAL_SECONDS)
        except HTTPRequestError as e:
            reason = f"Gafaelfawr cannot be asked: {e}"
            if e.lasting:
                raise GafaelfawrError(reason) from None
        else:
            if response.status < 500:
                return response
            reason = _describe(response, token)
        self._log.warning("Asking Gafaelfawr again", error=reason)
        time.sleep(_RETRY_PAUSE_SECONDS)
        try:
            return self._send(token, deadline - time.monotonic())
        except HTTPRequestError as e:
            raise GafaelfawrError(f"Gafaelfawr cannot be asked: {e}") from None

    def _send(self, token: str, seconds: float) -> HTTPResponse:
        headers = {"Authorization": f"bearer {token}"}
        return self._http.request("GET", self._url, headers=headers, seconds=seconds)


def _describe(response: HTTPResponse, token: str) -> str:
    """Say what Gafaelfawr answered instead of a user."""
    text = f"Gafaelfawr answered with status {response.status}"
    location = response.headers.get("Location")
    if location:
        text += f", a redirect to {location}, which is not followed"
    else:
        body = response.body.decode(errors="replace").strip()
        text += f": {body[:_MAX_QUOTED]}" if body else ""
    return redact_text(text.replace(token, "<token>"))
