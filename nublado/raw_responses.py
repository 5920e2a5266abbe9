"""Responses that are made without the application."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from gunicorn import util

__all__ = ["head_of_stream", "send_error"]

_RETRY_AFTER_SECONDS = 5


def head_of_stream(
    status: str, headers: Iterable[tuple[str, str]], *, chunked: bool
) -> bytes:
    """Make the head of an event stream.

    Parameters
    ----------
    status, headers
        What the application says.
    chunked
        Whether the body is sent in chunks.
    """
    lines = [
        f"HTTP/1.1 {status}",
        f"Date: {util.http_date()}",
        "Connection: close",
        *(["Transfer-Encoding: chunked"] if chunked else []),
        *(f"{k}: {v}" for k, v in headers if k.lower() != "content-length"),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def send_error(sock: Any, status: HTTPStatus, type_: str) -> None:
    """Send an error of the one shape, as far as the client takes it.

    Parameters
    ----------
    sock
        Connection to the client.
    status
        HTTP status.
    type_
        Type of the error.
    """
    is_passing = status == HTTPStatus.SERVICE_UNAVAILABLE
    retry = f"Retry-After: {_RETRY_AFTER_SECONDS}\r\n" if is_passing else ""
    body = json.dumps({"detail": [{"type": type_, "msg": status.phrase}]})
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\n{retry}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        sock.sendall((head + body).encode())
    except OSError:
        return
