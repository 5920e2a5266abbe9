"""Requests that no browser sends: each gets one answer, and harms nobody."""

from __future__ import annotations

import json
import re

import pytest

from nublado.sandbox.stack import Stack
from tests.e2e.test_http import exchange

LABS = b"/nublado/spawner/v1/labs"
ENDED = b"Connection: close\r\n\r\n"
TO = b"Host: x\r\nX-Auth-Request-User: neo\r\nX-Auth-Request-Token: gt-neo\r\n"
JSON = b"Content-Type: application/json\r\n"
CREATE = b"POST " + LABS + b"/neo/create HTTP/1.1\r\n" + TO
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def get(path: bytes, headers: bytes = b"Host: x\r\n", version: bytes = b"1.1") -> bytes:
    return b"GET " + path + b" HTTP/" + version + b"\r\n" + headers + ENDED


def posted(body: bytes, headers: bytes = JSON) -> bytes:
    return CREATE + headers + b"Content-Length: %d\r\n" % len(body) + ENDED + body


def with_env(env: str) -> bytes:
    known = '"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/neo/"'
    options = '{"image_class": "recommended", "size": "small"}'
    return posted(f'{{"options": {options}, "env": {{{known}, {env}}}}}'.encode())


REQUESTS: dict[str, tuple[bytes, int]] = {
    # One request must never be taken for two.
    "length and chunks": (
        CREATE
        + JSON
        + b"Content-Length: 4\r\n"
        + CHUNKED
        + b"\r\n0\r\n\r\n"
        + SMUGGLED,
        400,
    ),
    "chunked twice": (CREATE + JSON + CHUNKED * 2 + b"\r\n0\r\n\r\n", 400),
    "another coding": (
        CREATE + JSON + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        400,
    ),
    "space before a colon": (
        CREATE + JSON + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        400,
    ),
    "two lengths": (
        CREATE + JSON + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcdefgh",
        400,
    ),
    "signed length": (CREATE + JSON + b"Content-Length: +4\r\n\r\nnull", 400),
    "body that is not read": (
        CREATE + JSON + b"Content-Length: 2000000\r\n\r\n" + b"x" * 1048577 + SMUGGLED,
        413,
    ),
    "body that is cut off": (CREATE + JSON + b"Content-Length: 400\r\n\r\n{", 422),
    "trailer fields": (
        CREATE + JSON + CHUNKED + ENDED[:-2] + b"\r\n4\r\nnull\r\n0\r\n"
        b"X-Auth-Request-User: root\r\n\r\n",
        422,
    ),
    # Heads.
    "user twice": (
        get(
            b"/nublado/spawner/v1/user-status",
            b"Host: x\r\nX-Auth-Request-User: neo\r\nX-Auth-Request-User: root\r\n",
        ),
        404,
    ),
    "user with underscores": (
        get(
            b"/nublado/spawner/v1/user-status", b"Host: x\r\nX_Auth_Request_User: a\r\n"
        ),
        422,
    ),
    "folded header": (get(b"/", b"Host: x\r\nX-A: b\r\n c\r\n"), 400),
    "NUL in a header": (get(b"/", b"Host: x\r\nX-A: b\0c\r\n"), 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    "bare carriage return": (get(b"/", b"Host: x\rX-Auth-Request-User: root\r\n"), 400),
    "many headers": (get(b"/", b"Host: x\r\n" + b"X-A: y\r\n" * 1000), 431),
    "long header": (get(b"/", b"Host: x\r\nX-A: " + b"y" * 100_000 + b"\r\n"), 431),
    "endless header": (get(b"/", b"Host: x\r\nX-A: " + b"y" * 500_000), 431),
    "unknown version": (get(b"/", version=b"3.7"), 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "unknown expectation": (posted(b"null", JSON + b"Expect: 200-ok\r\n"), 400),
    # Targets.
    "absolute form": (get(b"http://evil.example" + LABS), 200),
    "absolute form with a slash": (get(b"http://evil.example" + LABS + b"/"), 404),
    "authority form": (get(b"evil.example:80").replace(b"GET", b"CONNECT"), 404),
    "no target": (get(b""), 400),
    "dots": (get(LABS + b"/../labs"), 404),
    "encoded dots": (get(LABS + b"/%2e%2e/labs"), 404),
    "encoded twice": (get(LABS + b"/%256e"), 404),
    "encoded NUL": (get(LABS + b"/a%00b"), 404),
    "no UTF-8": (get(LABS + b"/%ff%fe"), 404),
    "no percentage": (get(LABS + b"/%zz"), 404),
    "backslash": (get(b"/\\evil.example" + LABS + b"/"), 404),
    "another host": (get(b"//evil.example" + LABS + b"/"), 404),
    "long query": (get(LABS + b"?" + b"a&" * 5000), 414),
    # Bodies.
    "not a number": (posted(b'{"options": NaN, "env": Infinity}'), 422),
    "long number": (posted(b'{"options": ' + b"9" * 100_000 + b"}"), 422),
    "deep objects": (posted(b'{"a":' * 50_000), 422),
    "same key twice": (
        posted(b'{"options": {"size": "small", "size": "vast"}, "env": {}}'),
        422,
    ),
    "half a character": (with_env('"A": "\\ud800"'), 422),
    "half a character in a name": (with_env('"\\ud800": "a"'), 422),
    "NUL": (with_env('"A": "a\\u0000b"'), 422),
    "name with =": (with_env('"A=B": "x"'), 422),
    # Forms on foreign pages.
    "two types": (
        posted(b"{}", b"Content-Type: text/plain\r\n" + JSON),
        400,
    ),
    "type of two": (
        posted(b"{}", b"Content-Type: text/plain, application/json\r\n"),
        415,
    ),
    "foreign page in capitals": (
        posted(b"{}", JSON + b"Sec-Fetch-Site: Cross-Site\r\n"),
        403,
    ),
    "foreign page and another": (
        posted(b"{}", JSON + b"Sec-Fetch-Site: cross-site\r\n" * 2),
        403,
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_odd_requests_get_one_answer(stack: Stack, name: str) -> None:
    request, status = REQUESTS[name]
    answer = exchange(stack, request)
    statuses = re.findall(rb"HTTP/1\.1 (\d{3})", answer)
    assert [int(found) for found in statuses] == [status]
    if status >= 400:
        detail = json.loads(answer.rpartition(b"\r\n\r\n")[2])["detail"]
        assert {"type", "msg"} <= detail[0].keys()
        assert detail[0]["type"] != "internal_error"
