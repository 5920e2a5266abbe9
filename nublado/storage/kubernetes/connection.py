"""Connections to the API server, made as the official client would make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.rest import RESTClientObject

from nublado.storage.exchange import Exchange, Pool, Response, TLSPool

__all__ = ["Connections", "pool_manager"]

_CONNECT_SECONDS = 5.0


class Connections:
    """Connections to the API server, used again and again.

    A proxy, where one is configured, is left to urllib3.

    Parameters
    ----------
    configuration
        Where the API server is and how to authenticate.
    number
        How many there may be at a time; more requests wait.
    """

    def __init__(self, configuration: client.Configuration, number: int) -> None:
        self._host = configuration.host
        self._pools = pool_manager(configuration, number)
        self._pools.connection_pool_kw["block"] = True
        self._pool: Exchange | None = None
        if type(self._pools) is urllib3.PoolManager:
            self._pools.pool_classes_by_scheme = {"http": Pool, "https": TLSPool}
            pool: Any = self._pools.connection_from_url(self._host)
            self._pool = pool
        self._base = urllib3.util.parse_url(self._host).path or ""

    def close(self) -> None:
        """Close all."""
        self._pools.clear()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
    ) -> Response:
        """Send a request.

        Parameters
        ----------
        method, path, headers, body
            The request.
        seconds
            How long it may take; through a proxy, how long that may keep silent.

        Raises
        ------
        urllib3.exceptions.HTTPError
            Raised if there is no response, or only a part of one.
        """
        if self._pool is not None:
            path = f"{self._base}{path}"
            return self._pool.exchange(method, path, headers, body, seconds)
        response = self._pools.urlopen(
            method,
            f"{self._host}{path}",
            headers=headers,
            body=body,
            timeout=urllib3.Timeout(
                connect=min(seconds, _CONNECT_SECONDS), read=seconds
            ),
            pool_timeout=seconds,
            retries=False,
            redirect=False,
        )
        found = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status, found, response.data)


def pool_manager(
    configuration: client.Configuration, number: int
) -> urllib3.PoolManager:
    """Make what connects to the API server as the official client would."""
    configuration.connection_pool_maxsize = number
    manager: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
    return manager
