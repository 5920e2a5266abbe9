"""Responses that are made without the application."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus

from nublado.raw_responses import head_of_stream, send_error


def test_error_has_the_one_shape() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_error(ours, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        head, _, body = theirs.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"\r\nRetry-After: 5\r\n" in head
    (problem,) = json.loads(body)["detail"]
    assert problem == {"type": "unavailable", "msg": "Service Unavailable"}


def test_error_to_a_client_that_is_gone_is_dropped() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        send_error(ours, HTTPStatus.BAD_REQUEST, "bad_request")


def test_head_of_a_stream_names_no_length() -> None:
    headers = [("Content-Type", "text/event-stream"), ("content-length", "0")]
    head = head_of_stream("200 OK", headers, chunked=True)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked\r\n" in head
    assert b"length" not in head
    assert b"chunked" not in head_of_stream("200 OK", headers, chunked=False)
