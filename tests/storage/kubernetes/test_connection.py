"""Where requests to the API server go."""

from __future__ import annotations

import pytest
from kubernetes import client
from urllib3.exceptions import HTTPError

from nublado.storage.exchange import Response
from nublado.storage.kubernetes.connection import Connections
from tests.scripted_server import Reply, ScriptedServer

_SECONDS = 30.0


def _connections(host: str, proxy: str | None = None) -> Connections:
    configuration = client.Configuration()
    configuration.host = host
    configuration.proxy = proxy
    configuration.no_proxy = None
    return Connections(configuration, 2)


def _send(connections: Connections, path: str, body: bytes | None = None) -> Response:
    method = "GET" if body is None else "POST"
    return connections.send(method, path, {"Accept": "x"}, body, _SECONDS)


@pytest.mark.parametrize("base", ["", "/k8s/clusters/c-1"])
def test_paths_are_below_that_of_the_server(outside: ScriptedServer, base: str) -> None:
    outside.default = Reply(201, b"{}", {"X-Kind": "Tea"})
    connections = _connections(f"{outside.url}{base}")
    response = _send(connections, "/api/v1/pods?limit=5", b"body")
    assert (response.status, response.data) == (201, b"{}")
    assert response.headers["x-kind"] == "Tea"
    (received,) = outside.received
    assert (received.method, received.body) == ("POST", b"body")
    assert received.path == f"{base}/api/v1/pods?limit=5"
    assert received.headers["accept"] == "x"
    connections.close()


def test_requests_go_through_a_proxy_where_there_is_one(
    outside: ScriptedServer,
) -> None:
    outside.default = Reply(404, b"none", {"Retry-After": "3"})
    connections = _connections("http://api.example.org/base", outside.url)
    response = _send(connections, "/api/v1/pods")
    assert (response.status, response.data) == (404, b"none")
    assert response.headers["retry-after"] == "3"
    assert outside.received[0].path == "http://api.example.org/base/api/v1/pods"
    connections.close()


def test_connection_is_used_again_and_may_break_off(outside: ScriptedServer) -> None:
    connections = _connections(outside.url)
    outside.replies = [Reply(), Reply(), Reply(drop=True)]
    for _ in range(2):
        assert _send(connections, "/").status == 200
    assert outside.most_connections == 1
    with pytest.raises(HTTPError, match="Remote end closed"):
        _send(connections, "/")
    assert _send(connections, "/").status == 200
    connections.close()
