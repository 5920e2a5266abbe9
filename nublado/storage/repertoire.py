"""Client of Repertoire, the platform's service discovery."""

from __future__ import annotations

import json

from nublado.exceptions import DiscoveryError
from nublado.models.domain.discovery import Discovery
from nublado.storage.http import HTTPClient, HTTPRequest, HTTPRequestError

__all__ = ["RepertoireClient"]

_SECONDS = 10.0
_HEADERS = {"Accept": "application/json"}


class RepertoireClient:
    """Client of Repertoire; asks without credentials.

    Parameters
    ----------
    base_url
        Base URL of Repertoire.
    """

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url.rstrip('/')}/discovery"
        self._http = HTTPClient(max_in_flight=1)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def discover(self) -> Discovery:
        """Ask for the services of the platform.

        Raises
        ------
        DiscoveryError
            Raised if Repertoire fails, or its response cannot be used.
        """
        try:
            request = HTTPRequest("GET", self._url, _HEADERS)
            with self._http.send(request, seconds=_SECONDS) as response:
                if response.status != 200:
                    raise DiscoveryError(
                        f"Service discovery responded with status {response.status}"
                    )
                body = response.read()
        except HTTPRequestError as e:
            raise DiscoveryError(f"Request for service discovery failed: {e}") from None
        try:
            answer = json.loads(body)
            if isinstance(answer, dict):
                return Discovery.parse(answer)
        except (ValueError, RecursionError) as e:
            # Also covers JSON and its encoding.
            raise DiscoveryError(f"Response of service discovery: {e}") from None
        raise DiscoveryError("Response of service discovery: is no JSON object")
