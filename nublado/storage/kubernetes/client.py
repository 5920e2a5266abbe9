"""JSON requests to the Kubernetes API server.

The official client provides credentials, their renewal, TLS and the
connections. Its generated API classes are passed over: turning every answer
into them costs more than the request, and they change from release to release.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlencode

import structlog
import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from nublado import __version__
from nublado.confidential import Confidential
from nublado.constants import KUBERNETES_REQUEST_TIMEOUT
from nublado.exceptions import KubernetesError
from nublado.metrics import KUBERNETES_SECONDS
from nublado.models.domain.kubernetes import JSON
from nublado.storage.exchange import Response
from nublado.storage.kubernetes.connection import Connections, pool_manager
from nublado.storage.kubernetes.encoding import dump, load
from nublado.storage.kubernetes.retry import (
    Attempt,
    decide,
    is_fate_unknown,
    wait_to_retry,
)
from nublado.storage.kubernetes.rights import Right, Rights
from nublado.storage.kubernetes.slots import Slots
from nublado.storage.kubernetes.target import Target, confidential_of
from nublado.storage.traffic import Traffic
from nublado.timeout import Timeout

__all__ = ["KubernetesClient", "Query", "Target"]

Query = Mapping[str, str | int]
"""Parameters of a URL."""

_CONNECT_SECONDS = 5.0
_MOST_WATCHES = 8
_MAX_ERROR_BYTES = 65536
_PAGE = 500
_USER_AGENT = f"nublado/{__version__}"
_TOKEN_KEYS = ("BearerToken", "authorization")
"""What releases of the client call the token, the newest first."""


class KubernetesClient:
    """Connections to the API server, shared by all threads.

    Parameters
    ----------
    configuration
        Where the API server is and how to authenticate.
    pool_size
        How many requests may be in flight. Those beyond it wait, by rank: this
        keeps a storm of spawns from overrunning the API server. Watches have
        connections of their own.

    Attributes
    ----------
    traffic
        How the API server responds.
    """

    def __init__(
        self, configuration: client.Configuration, *, pool_size: int = 16
    ) -> None:
        self._configuration = configuration
        self._requests = Connections(configuration, pool_size)
        self._slots = Slots(pool_size)
        self._watches = pool_manager(configuration, _MOST_WATCHES)
        self._rights = Rights()
        self.traffic = Traffic()
        self._log = structlog.get_logger(__name__)

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

    @property
    def waiting(self) -> int:
        """How many requests wait for others to end."""
        return self._slots.waiting

    def close(self) -> None:
        """Close all connections."""
        self._requests.close()
        self._watches.clear()

    def request(
        self,
        method: str,
        path: str,
        target: Target,
        timeout: Timeout,
        *,
        query: Query | None = None,
        body: JSON | None = None,
    ) -> JSON:
        """Send a request, again where `decide` says so.

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
        """
        right = target.right(method)
        number, fate_unknown = 0, False
        while True:
            number += 1
            try:
                with self._slots.taken(timeout):
                    began = time.monotonic()
                    response = self._send(method, path, timeout, query, body)
                if _is_success(response.status):
                    parsed = _parse(response.data)
                    self._note(right, response.status, time.monotonic() - began)
                    self._rights.note_granted(right)
                    return parsed
            except urllib3.exceptions.HTTPError as e:
                attempt = Attempt(method, number, error=e)
            else:
                attempt = Attempt.of_response(
                    method, number, response.status, response.headers, response.data
                )
            attempt = self._judge(attempt, right)
            fate_unknown = fate_unknown or is_fate_unknown(attempt)
            failure = target.failed(attempt, self._sent(body))
            self._note(right, attempt.status, time.monotonic() - began, failure)
            failure.fate_unknown = fate_unknown
            retry = decide(attempt)
            if retry is None:
                raise failure
            wait_to_retry(retry, number, failure, timeout)

    def pages(
        self, path: str, target: Target, timeout: Timeout, query: Query
    ) -> Iterator[JSON]:
        """List a collection, page by page; raises as `request` does.

        References
        ----------
        https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
        """
        query = {**query, "limit": _PAGE}
        while True:
            page = self.request("GET", path, target, timeout, query=query)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    def watch(
        self, path: str, target: Target, query: Query, patience: float
    ) -> urllib3.BaseHTTPResponse:
        """Open a watch; its events are then read off the response.

        Parameters
        ----------
        path, target, query
            The request.
        patience
            Reading fails when nothing comes for so long (seconds).

        Raises
        ------
        KubernetesError
            Raised if the watch is refused.
        """
        right = replace(target.right("GET"), verb="watch")
        try:
            response = self._watches.request(
                "GET",
                f"{self._configuration.host}{path}?{urlencode(query)}",
                headers=self._headers(),
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=patience),
                preload_content=False,
                retries=False,
                redirect=False,
            )
            if _is_success(response.status):
                self._note(right, response.status)
                self._rights.note_granted(right)
                return response
            data = response.read(_MAX_ERROR_BYTES)
            response.close()
        except urllib3.exceptions.HTTPError as e:
            attempt = Attempt("GET", 1, error=e)
        else:
            attempt = Attempt.of_response(
                "GET", 1, response.status, response.headers, data
            )
        failure = target.failed(self._judge(attempt, right), self._sent())
        self._note(right, attempt.status, failure=failure)
        raise failure from attempt.error

    def _note(
        self,
        right: Right,
        status: int | None,
        seconds: float | None = None,
        failure: KubernetesError | None = None,
    ) -> None:
        """Count an attempt; ``seconds`` is None for a watch, which has no end."""
        what = f"{right.verb} {right.kind}"
        if seconds is not None:
            shown = "none" if status is None else str(status)
            KUBERNETES_SECONDS.labels(right.verb, right.kind, shown).observe(seconds)
        if failure is not None and _is_fault(status):
            self.traffic.note_failure(what, _reason(failure))
        else:
            # Lists are as slow as they are long.
            self.traffic.note_success(what, None if right.verb == "list" else seconds)

    def failure_of_event(self, target: Target, status: JSON) -> KubernetesError:
        """Make the error of a ``Status`` that a watch has sent as an event."""
        return target.failed(Attempt.of_event(status), self._sent())

    def _judge(self, attempt: Attempt, right: Right) -> Attempt:
        """Find out whether a refusal may pass."""
        if attempt.is_unreachable:
            self._rights.note_unreachable()
        if not attempt.is_refusal:
            return attempt
        return replace(attempt, in_grace=self._rights.note_refused(right))

    def _sent(self, body: JSON | None = None) -> list[Confidential]:
        """What a request tells the server that must not come back in an error."""
        credentials = Confidential()
        token = self._headers().get("Authorization", "").rpartition(" ")[2]
        credentials.add_secrets([token])
        return [credentials] if body is None else [credentials, confidential_of(body)]

    def _send(
        self,
        method: str,
        path: str,
        timeout: Timeout,
        query: Query | None,
        body: JSON | None,
    ) -> Response:
        headers = self._headers()
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = dump(body)
        seconds = timeout.at_most(KUBERNETES_REQUEST_TIMEOUT)
        target = f"{path}?{urlencode(query)}" if query else path
        response = self._requests.send(method, target, headers, data, seconds)
        self._log.debug(
            "Kubernetes request", method=method, path=path, status=response.status
        )
        return response

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": _USER_AGENT,
        }
        for key in _TOKEN_KEYS:
            if token := self._configuration.get_api_key_with_prefix(key):
                headers["Authorization"] = token
                break
        return headers


def _parse(data: bytes) -> JSON:
    """Parse a response; one that was cut off, or is a proxy's, is an error."""
    try:
        parsed = load(data)
    except (ValueError, RecursionError) as e:
        raise urllib3.exceptions.DecodeError("response is not JSON") from e
    if not isinstance(parsed, dict):
        raise urllib3.exceptions.DecodeError("response is not a JSON object")
    return parsed


def _reason(failure: KubernetesError) -> str:
    """Why a request failed, whatever object it was about."""
    status = None if failure.status is None else f"status {failure.status}"
    return ": ".join(filter(None, (status, failure.body)))


def _is_fault(status: int | None) -> bool:
    """Whether the server, rather than the request, is to blame."""
    return status is None or status >= 500 or status == 429


def _is_success(status: int) -> bool:
    return 200 <= status < 300
