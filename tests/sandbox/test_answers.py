"""Answers of bad moments, as clients read them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.conftest import Cluster

PODS = "/api/v1/namespaces/lab/pods"
POD: JSON = {"metadata": {"name": "rachel-nb"}}


def answer_to_create(cluster: Cluster, **rule: Any) -> requests.Response:
    cluster.control.faults({"method": "POST", **rule})
    return cluster.ask("POST", PODS, POD)


@pytest.mark.parametrize(
    ("name", "code", "reason", "text"),
    [
        ("leader-changed", 500, None, "etcdserver: leader changed"),
        ("etcd-timeout", 500, None, "etcdserver: request timed out"),
        (
            "webhook-failed",
            500,
            "InternalError",
            'Internal error occurred: failed calling webhook "',
        ),
        ("webhook-denied", 403, "Forbidden", "denied the request: resource pods/lab/"),
        (
            "quota-unknown",
            403,
            "Forbidden",
            'pods "rachel-nb" is forbidden: status unknown for quota: ',
        ),
        (
            "forbidden",
            403,
            "Forbidden",
            'pods is forbidden: User "system:serviceaccount:nublado:nublado" cannot',
        ),
        ("unavailable", 503, "ServiceUnavailable", "currently unable to handle"),
        ("deadline", 504, "Timeout", "within the allotted timeout"),
    ],
)
def test_status_objects(
    cluster: Cluster, name: str, code: int, reason: str | None, text: str
) -> None:
    answer = answer_to_create(cluster, answer=name)
    assert answer.status_code == code
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json()
    assert (body["kind"], body["code"]) == ("Status", code)
    assert body.get("reason") == reason
    assert text in body["message"]


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("bad-gateway", 502, "<center><h1>502 Bad Gateway</h1></center>"),
        ("gateway-timeout", 504, "504 Gateway Time-out"),
        ("request-timeout", 408, "408 Request Time-out"),
    ],
)
def test_pages_of_proxies(cluster: Cluster, name: str, code: int, text: str) -> None:
    answer = answer_to_create(cluster, answer=name)
    assert answer.status_code == code
    assert answer.headers["Content-Type"].startswith("text/html")
    assert text in answer.text


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("moved", 301),
        ("found", 302),
        ("see-other", 303),
        ("temporary-redirect", 307),
        ("permanent-redirect", 308),
    ],
)
def test_redirects(cluster: Cluster, name: str, code: int) -> None:
    answer = answer_to_create(cluster, answer=name)
    assert answer.status_code == code
    assert answer.headers["Location"] == f"/login?rd={PODS}"
    elsewhere = "https://login.example.com/"
    answer = answer_to_create(cluster, answer=name, location=elsewhere)
    assert answer.headers["Location"] == elsewhere


@pytest.mark.parametrize("text", ["nan", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", 7])
def test_any_retry_after(cluster: Cluster, text: str | int) -> None:
    answer = answer_to_create(cluster, answer="too-many-requests", retry_after=text)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == str(text)
    assert answer.text == "Too many requests, please try again later.\n"


def test_answers_are_listed(cluster: Cluster) -> None:
    assert {"leader-changed", "found"} <= set(cluster.control("GET", "/answers"))
    with pytest.raises(requests.HTTPError, match="422"):
        cluster.control.faults({"answer": "never heard of"})
    with pytest.raises(requests.HTTPError, match="422"):
        cluster.control.faults({"answer": "found", "status": 500})


def test_connection_is_reset_within_the_body(cluster: Cluster) -> None:
    whole = cluster.ask("GET", "/api/v1/namespaces").content
    cluster.control.faults({"drop": "within"})
    head, body = read_until_reset(cluster, "/api/v1/namespaces")
    assert head.startswith("HTTP/1.1 200")
    assert f"Content-Length: {len(whole)}" in head
    assert body == whole[: len(whole) // 2]


def test_error_is_reset_within_its_body_too(cluster: Cluster) -> None:
    cluster.control.faults({"answer": "leader-changed", "drop": "within"})
    head, body = read_until_reset(cluster, "/api/v1/namespaces")
    assert head.startswith("HTTP/1.1 500")
    assert body.startswith(b'{"kind"')


def test_request_takes_effect_although_the_answer_is_reset(lab: Cluster) -> None:
    lab.control.faults({"method": "POST", "drop": "within"})
    with pytest.raises(requests.RequestException):
        lab.lab_pod()
    assert lab.get(f"{PODS}/nb")


def test_watch_is_reset_within_a_line(cluster: Cluster) -> None:
    with cluster.watch("/api/v1/namespaces") as events:
        assert next(events)["type"] == "ADDED"
        cluster.control.faults(drop_after=0.1, reset=True)
        with pytest.raises((requests.RequestException, ValueError)):
            list(events)


def test_silent_server_accepts_and_never_answers(
    start: Callable[..., Cluster],
) -> None:
    cluster = start(faults={"rules": [{"silent": True}]})
    with pytest.raises(requests.ReadTimeout):
        cluster.ask("GET", "/version", timeout=0.3)
    cluster.control("DELETE", "/faults")
    assert cluster.get("/version")["major"] == "1"


def test_server_is_slow_from_the_very_start(start: Callable[..., Cluster]) -> None:
    cluster = start(faults={"rules": [{"delay": 1.0, "count": 1}]})
    with pytest.raises(requests.ReadTimeout):
        cluster.ask("GET", "/version", timeout=0.3)
    assert cluster.ask("GET", "/version").elapsed.total_seconds() < 60


def read_until_reset(cluster: Cluster, path: str) -> tuple[str, bytes]:
    """Send a request; return what is read before the connection is reset."""
    where = urlsplit(cluster.url)
    received = bytearray()
    with socket.create_connection((str(where.hostname), where.port or 0), 60) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: sandbox\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            _read_all(sock, received)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    return head.decode(), body


def _read_all(sock: socket.socket, received: bytearray) -> None:
    while chunk := sock.recv(65536):
        received += chunk
