"""JSON requests to the Kubernetes API server.

The official client provides credentials, their renewal, TLS and the
connections. Its generated API classes are passed over: turning every answer
into them costs more than the request, and they change from release to release.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import structlog
import urllib3
from kubernetes import client, config
from kubernetes.client.rest import RESTClientObject
from kubernetes.config.config_exception import ConfigException

from nublado import __version__
from nublado.constants import KUBERNETES_REQUEST_TIMEOUT
from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    KubernetesNotFoundError,
)
from nublado.models.domain.kubernetes import JSON
from nublado.timeout import Timeout

__all__ = ["KubernetesClient", "Target"]

_CONNECT_SECONDS = 5.0
_MAX_ERROR_BODY = 4096
_MAX_RETRY_SECONDS = 10.0
_MOST_ATTEMPTS = 8
_TRANSIENT = frozenset({429, 503, 504})
_USER_AGENT = f"nublado/{__version__}"
_TOKEN_KEYS = ("BearerToken", "authorization")
"""What releases of the client call the token, the newest first."""
_ERRORS = {404: KubernetesNotFoundError, 409: KubernetesConflictError}


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about, for the error that it may end in."""

    message: str
    kind: str
    namespace: str | None = None
    name: str | None = None

    def failed(self, status: int | None, body: str | None) -> KubernetesError:
        """Make the error of this request.

        What Kubernetes says of a secret may quote it, so that is left out.
        """
        if self.kind == "Secret":
            body = None
        return _ERRORS.get(status or 0, KubernetesError)(
            self.message,
            kind=self.kind,
            namespace=self.namespace,
            name=self.name,
            status=status,
            body=body[:_MAX_ERROR_BODY] if body else None,
        )


class KubernetesClient:
    """Connections to the API server, shared by all threads.

    Parameters
    ----------
    configuration
        Where the API server is and how to authenticate.
    pool_size
        How many requests may be in flight. Those beyond it wait: this keeps a
        storm of spawns from overrunning the API server. Watches have
        connections of their own.
    """

    def __init__(
        self, configuration: client.Configuration, *, pool_size: int = 16
    ) -> None:
        self._configuration = configuration
        self._requests = _connections(configuration, pool_size, block=True)
        self._watches = _connections(configuration, 8, block=False)

    @classmethod
    def connect(
        cls, kubeconfig: str | None, *, pool_size: int = 16
    ) -> KubernetesClient:
        """Connect to a cluster.

        Parameters
        ----------
        kubeconfig
            Files that say how, as in ``KUBECONFIG``; None to connect as a pod of
            the cluster.
        pool_size
            How many requests may be in flight.

        Raises
        ------
        KubernetesError
            Raised if that is not configured.
        """
        configuration = client.Configuration()
        try:
            if kubeconfig is None:
                config.load_incluster_config(client_configuration=configuration)
            else:
                config.load_kube_config(kubeconfig, client_configuration=configuration)
        except (ConfigException, OSError) as e:
            raise KubernetesError(
                "Error connecting to cluster", kind="KUBECONFIG", body=str(e)
            ) from e
        return cls(configuration, pool_size=pool_size)

    def close(self) -> None:
        """Close all connections."""
        self._requests.clear()
        self._watches.clear()

    def request(
        self,
        method: str,
        path: str,
        target: Target,
        timeout: Timeout,
        *,
        query: Mapping[str, str | int] | None = None,
        body: JSON | None = None,
    ) -> JSON:
        """Send a request, again where the server is only overloaded.

        Parameters
        ----------
        method, path, query, body
            The request.
        target
            What it is about.
        timeout
            Deadline of the whole sequence that it belongs to. One attempt
            takes at most 30 s.

        Raises
        ------
        KubernetesError
            Raised if it failed; `KubernetesNotFoundError` and
            `KubernetesConflictError` for 404 and 409.
        OperationCancelledError, OperationTimeoutError
            Raised if the sequence was cancelled or ran out of time.

        References
        ----------
        https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
        """
        attempt = 0
        repeated = False
        while True:
            attempt += 1
            try:
                status, headers, data = self._send(method, path, timeout, query, body)
            except urllib3.exceptions.HTTPError as e:
                error = target.failed(None, _reason(e))
                repeated = repeated or not _never_arrived(e)
                if attempt >= _MOST_ATTEMPTS and not _never_arrived(e):
                    raise error from e
                delay = _backoff(attempt)
            else:
                if status < 400:
                    return _parse(data, target)
                error = target.failed(status, data.decode(errors="replace"))
                if status not in _TRANSIENT and not _collided(method, status, data):
                    if isinstance(error, KubernetesConflictError):
                        error.repeated = repeated
                    raise error
                repeated = repeated or status == 504
                delay = max(_retry_after(headers), _backoff(attempt))
            if delay >= timeout.left():
                raise error
            _logger().warning("Retrying Kubernetes request", error=str(error))
            timeout.sleep(delay)

    def watch(
        self, path: str, target: Target, query: Mapping[str, str | int], silence: float
    ) -> urllib3.BaseHTTPResponse:
        """Open a watch; its events are then read off the response.

        Parameters
        ----------
        path, target, query
            The request.
        silence
            Reading fails when nothing comes for so long (seconds).

        Raises
        ------
        KubernetesError
            Raised if the watch is refused.
        """
        try:
            response = self._watches.request(
                "GET",
                self._url(path, query),
                headers=self._headers(),
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=silence),
                preload_content=False,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as e:
            raise target.failed(None, _reason(e)) from e
        if response.status >= 400:
            text = response.read(_MAX_ERROR_BODY).decode(errors="replace")
            response.close()
            raise target.failed(response.status, text)
        return response

    def _send(
        self,
        method: str,
        path: str,
        timeout: Timeout,
        query: Mapping[str, str | int] | None,
        body: JSON | None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = self._headers()
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, separators=(",", ":")).encode()
        seconds = timeout.at_most(KUBERNETES_REQUEST_TIMEOUT)
        response = self._requests.urlopen(
            method,
            self._url(path, query),
            body=data,
            headers=headers,
            timeout=urllib3.Timeout(
                connect=min(seconds, _CONNECT_SECONDS), read=seconds
            ),
            pool_timeout=timeout.left(),
            retries=False,
        )
        return response.status, response.headers, response.data

    def _url(self, path: str, query: Mapping[str, str | int] | None) -> str:
        url = f"{self._configuration.host}{path}"
        return f"{url}?{urlencode(query)}" if query else url

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": _USER_AGENT}
        for key in _TOKEN_KEYS:
            if token := self._configuration.get_api_key_with_prefix(key):
                headers["Authorization"] = token
                break
        return headers


def _connections(
    configuration: client.Configuration, number: int, *, block: bool
) -> urllib3.PoolManager:
    configuration.connection_pool_maxsize = number
    pool: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
    pool.connection_pool_kw["block"] = block
    return pool


def _parse(data: bytes, target: Target) -> JSON:
    try:
        parsed: Any = json.loads(data)
    except ValueError as e:
        raise target.failed(None, "answer is not JSON") from e
    if not isinstance(parsed, dict):
        raise target.failed(None, "answer is not a JSON object")
    return parsed


def _never_arrived(error: urllib3.exceptions.HTTPError) -> bool:
    return isinstance(
        error,
        urllib3.exceptions.NewConnectionError
        | urllib3.exceptions.ConnectTimeoutError
        | urllib3.exceptions.EmptyPoolError,
    )


def _collided(method: str, status: int, data: bytes) -> bool:
    """Whether a create lost a race for a quota, rather than for its name.

    References
    ----------
    https://github.com/kubernetes/kubernetes/issues/67761
    """
    if method != "POST" or status != 409:
        return False
    try:
        return bool(json.loads(data)["reason"] == "Conflict")
    except (ValueError, TypeError, LookupError):
        return False


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(float(headers.get("Retry-After", 0)), _MAX_RETRY_SECONDS)
    except ValueError:
        return 0.0


def _backoff(attempt: int) -> float:
    longest = min(_MAX_RETRY_SECONDS, 0.1 * 2.0 ** min(attempt, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311


def _logger() -> structlog.stdlib.BoundLogger:
    return structlog.get_logger(__name__)  # type: ignore[no-any-return]
