"""What the service answers to those who ask wrongly, or for something else."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

JSON = {"Content-Type": "application/json"}


def detail(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.headers["Content-Type"] == "application/json"
    found: list[dict[str, Any]] = answer.json()["detail"]
    assert all({"type", "msg"} <= set(problem) for problem in found)
    return found


def exchange(stack: Stack, data: bytes) -> bytes:
    """Send bytes and half-close, as a client does that has no more to say."""
    address = urlsplit(stack.service.url)
    with socket.create_connection((address.hostname, address.port), SECONDS) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
    return answer


def raw_request(
    stack: Stack, line: str, headers: Mapping[str, str], body: bytes = b""
) -> bytes:
    lines = {"Host": "example.org", "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return exchange(stack, f"{line} HTTP/1.1\r\n{head}\r\n".encode() + body)


def path_of(user: User) -> str:
    return urlsplit(user.lab).path


def test_missing_headers(user: User) -> None:
    answer = requests.post(f"{user.lab}/create", json={}, timeout=SECONDS)
    assert answer.status_code == 422
    problems = detail(answer)
    assert [p["type"] for p in problems] == ["missing", "missing"]
    assert problems[0]["loc"] == ["header", "x-auth-request-user"]
    for path in (f"{user.lab}/events", f"{user.stack.api_url}/spawner/v1/user-status"):
        answer = requests.get(path, timeout=SECONDS)
        assert answer.status_code == 422
        assert detail(answer)[0]["loc"] == ["header", "x-auth-request-user"]


def test_token_is_checked(user: User) -> None:
    headers = {**user.headers, "X-Auth-Request-Token": "gt-unknown.token"}
    body = user.specification()
    answer = requests.post(
        f"{user.lab}/create", json=body, headers=headers, timeout=SECONDS
    )
    assert answer.status_code == 401
    assert detail(answer) == [{"type": "invalid_token", "msg": "User token is invalid"}]

    headers = {**user.headers, "X-Auth-Request-Token": "gt-mallory"}
    answer = requests.post(
        f"{user.lab}/create", json=body, headers=headers, timeout=SECONDS
    )
    assert answer.status_code == 403
    assert detail(answer)[0]["type"] == "permission_denied"


def test_users_act_on_their_own_labs_only(user: User) -> None:
    other = f"{user.stack.api_url}/spawner/v1/labs/somebody-else"
    answer = requests.post(
        f"{other}/create",
        json=user.specification(),
        headers=user.headers,
        timeout=SECONDS,
    )
    assert answer.status_code == 403
    answer = requests.get(f"{other}/events", headers=user.headers, timeout=SECONDS)
    assert answer.status_code == 403
    assert detail(answer) == [{"type": "permission_denied", "msg": "Permission denied"}]


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b"", ["body"]),
        (b"{", ["body"]),
        (b"\xff\xfe", ["body"]),
        (b"[" * 100_000, ["body"]),
        (b"null", ["body"]),
        (b'{"options": {"size": "small", "image_tag": "x"}}', ["body", "env"]),
        (
            b'{"options": {"size": "vast", "image_tag": "x"},'
            b' "env": {"JUPYTERHUB_SERVICE_PREFIX": "/"}}',
            ["body", "options", "size"],
        ),
    ],
)
def test_garbage_is_refused(user: User, body: bytes, location: list[str]) -> None:
    answer = requests.post(
        f"{user.lab}/create",
        data=body,
        headers={**user.headers, **JSON},
        timeout=SECONDS,
    )
    assert answer.status_code == 422
    assert location in [problem["loc"] for problem in detail(answer)]
    assert user.stream().status_code == 404


@pytest.mark.parametrize(
    ("options", "status", "type_", "message"),
    [
        ({"image_tag": "nope"}, 400, "unknown_image", 'Docker tag "nope" not found'),
        (
            {"image_list": "registry.example.org/sciplat/lab"},
            422,
            "invalid_docker_reference",
            'Docker reference "registry.example.org/sciplat/lab" has no tag',
        ),
        (
            {"image_list": "example.com/other/lab:w_2026_46"},
            400,
            "unknown_image",
            'Docker reference "example.com/other/lab:w_2026_46" not found',
        ),
        ({"image_list": "sketchbook"}, 422, "invalid_docker_reference", None),
        ({"image_list": "a/b:"}, 422, "invalid_docker_reference", None),
    ],
)
def test_images_that_cannot_be_had(
    user: User, options: dict[str, str], status: int, type_: str, message: str | None
) -> None:
    body = user.specification()
    body["options"] = {"size": "small", **options}
    answer = requests.post(
        f"{user.lab}/create", json=body, headers=user.headers, timeout=SECONDS
    )
    assert answer.status_code == status
    (problem,) = detail(answer)
    assert problem["type"] == type_
    assert problem["loc"] == ["body", "options", next(iter(options))]
    if message is not None:
        assert problem["msg"] == message


def test_legal_size_that_is_not_configured(user: User) -> None:
    answer = user.create(size="Gargantuan")
    assert answer.status_code == 422
    assert detail(answer)[0]["msg"] == 'Invalid lab size "gargantuan"'


def test_unknown_routes_and_methods(stack: Stack) -> None:
    answer = requests.get(f"{stack.api_url}/nothing/here", timeout=SECONDS)
    assert answer.status_code == 404
    assert detail(answer)[0]["type"] == "not_found"
    answer = requests.put(f"{stack.api_url}/spawner/v1/labs", timeout=SECONDS)
    assert answer.status_code == 405
    assert detail(answer)[0]["type"] == "method_not_allowed"
    assert "GET" in answer.headers["Allow"]


def test_unknown_user(stack: Stack) -> None:
    answer = requests.get(f"{stack.api_url}/spawner/v1/labs/nobody", timeout=SECONDS)
    assert answer.status_code == 404
    assert detail(answer) == [
        {
            "type": "unknown_user",
            "msg": "Unknown user nobody",
            "loc": ["path", "username"],
        }
    ]
    answer = requests.get(
        f"{stack.api_url}/spawner/v1/user-status",
        headers={"X-Auth-Request-User": "nobody"},
        timeout=SECONDS,
    )
    assert answer.status_code == 404
    assert detail(answer) == [{"type": "unknown_user", "msg": "Unknown user nobody"}]


def test_large_bodies_are_refused(user: User) -> None:
    body = json.dumps(user.specification()).encode() + b" " * (1024 * 1024 + 1)
    for data in (body, iter([body[:100], body[100:]])):
        answer = requests.post(
            f"{user.lab}/create",
            data=data,
            headers={**user.headers, **JSON},
            timeout=SECONDS,
        )
        assert answer.status_code == 413
        assert detail(answer)[0]["type"] == "payload_too_large"
    assert user.state().status_code == 404


def test_chunked_bodies_are_read(user: User) -> None:
    body = json.dumps(user.specification()).encode()
    answer = requests.post(
        f"{user.lab}/create",
        data=iter([body[:10], body[10:]]),
        headers={**user.headers, **JSON},
        timeout=SECONDS,
    )
    assert answer.status_code == 201


@pytest.mark.parametrize("chunks", [b"zz\r\nabc\r\n0\r\n\r\n", b"5\r\nabc"])
def test_broken_chunks_are_refused(user: User, chunks: bytes) -> None:
    headers = {**user.headers, **JSON, "Transfer-Encoding": "chunked"}
    answer = raw_request(user.stack, f"POST {path_of(user)}/create", headers, chunks)
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b"Body is incomplete" in answer


def test_forms_on_foreign_pages_create_nothing(user: User) -> None:
    body = json.dumps(user.specification())
    for headers, status in (
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
    ):
        answer = requests.post(
            f"{user.lab}/create",
            data=body,
            headers={**user.headers, **headers},
            timeout=SECONDS,
        )
        assert answer.status_code == status
        assert detail(answer)
        assert user.state().status_code == 404
    parameters = {"Content-Type": "application/json; charset=utf-8"}
    answer = requests.post(
        f"{user.lab}/create",
        data=body,
        headers={**user.headers, **parameters, "Sec-Fetch-Site": "same-origin"},
        timeout=SECONDS,
    )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "name", ["Rachel", "-rachel", "ra--chel", "123", "a" * 33, "a%0d%0ab", "r.achel"]
)
def test_nobody_can_have_such_a_name(stack: Stack, name: str) -> None:
    lab = f"{stack.api_url}/spawner/v1/labs/{name}"
    headers = {"X-Auth-Request-User": "rachel", "X-Auth-Request-Token": "gt-rachel"}
    for method, url in (
        ("GET", lab),
        ("DELETE", lab),
        ("GET", f"{lab}/events"),
        ("GET", f"{lab}/progress"),
    ):
        answer = requests.request(method, url, headers=headers, timeout=SECONDS)
        assert answer.status_code == 404
        (problem,) = detail(answer)
        assert problem["type"] == "unknown_user"
        assert problem["loc"] == ["path", "username"]
    answer = requests.post(
        f"{lab}/create",
        json={
            "options": {"image_class": "recommended", "size": "small"},
            "env": {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/x/"},
        },
        headers=headers,
        timeout=SECONDS,
    )
    assert answer.status_code == 403
    form = f"{stack.api_url}/spawner/v1/lab-form/{name}"
    answer = requests.get(form, headers=headers, timeout=SECONDS)
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["ra--chel", "a" * 33, "123"])
def test_gafaelfawr_may_know_names_that_labs_cannot_have(
    stack: Stack, name: str
) -> None:
    user = User(stack, name)
    answer = user.create()
    assert answer.status_code == 403
    assert detail(answer)[0]["type"] == "permission_denied"


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", 400),
    ],
)
def test_what_is_not_http_is_answered_in_json(
    stack: Stack, request_text: bytes, status: int
) -> None:
    answer = exchange(stack, request_text)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/json" in answer
    assert b'"detail"' in answer
    assert b"<html" not in answer


def test_trailing_slash_redirects(stack: Stack) -> None:
    answer = requests.get(
        f"{stack.api_url}/spawner/v1/labs/?a=b", allow_redirects=False, timeout=SECONDS
    )
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/nublado/spawner/v1/labs?a=b")
    answer = requests.get(
        f"{stack.service.url}//evil.example.com/",
        allow_redirects=False,
        timeout=SECONDS,
    )
    assert answer.status_code == 404


@pytest.mark.parametrize("name", ["qmark%3Fevil", "a%0d%0aX-Y:%20z", "%23", "a%25b"])
def test_redirect_keeps_the_path_as_it_was_sent(stack: Stack, name: str) -> None:
    path = f"{stack.config.path_prefix}/spawner/v1/labs/{name}"
    answer = raw_request(stack, f"DELETE {path}/", {})
    assert answer.startswith(b"HTTP/1.1 308 ")
    assert f"Location: {path}\r\n".encode() in answer


def test_encoded_slash_is_no_trailing_slash(stack: Stack) -> None:
    path = f"{stack.config.path_prefix}/spawner/v1/labs/a%2f"
    assert raw_request(stack, f"GET {path}", {}).startswith(b"HTTP/1.1 404 ")


def test_no_content_has_no_type(user: User) -> None:
    user.spawn()
    answer = user.delete()
    assert answer.status_code == 204
    assert "Content-Type" not in answer.headers


def test_head_works_where_get_does(user: User) -> None:
    for path in ("/spawner/v1/labs", "", "/spawner/v1/labs/nobody"):
        url = f"{user.stack.api_url}{path}"
        head = requests.head(url, timeout=SECONDS)
        assert head.status_code == requests.get(url, timeout=SECONDS).status_code
        assert head.content == b""


def test_metadata_and_probes(stack: Stack) -> None:
    for url, inside in ((stack.service.url, False), (stack.api_url, True)):
        found = requests.get(url, timeout=SECONDS).json()
        found = found["metadata"] if inside else found
        assert found["name"] == "Nublado"
        assert found["version"]
        assert found["repository_url"].startswith("https://")
    alive = requests.get(f"{stack.service.url}/healthz", timeout=SECONDS)
    assert alive.json() == {"status": "ok", "problems": []}
    # What other tests have broken does not make it less ready.
    ready = requests.get(f"{stack.service.url}/readyz", timeout=SECONDS)
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")


def test_location_is_as_the_client_sees_the_service(user: User) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.org"}
    answer = requests.post(
        f"{user.lab}/create",
        json=user.specification(),
        headers={**user.headers, **forwarded},
        timeout=SECONDS,
    )
    expected = f"https://example.org/nublado/spawner/v1/labs/{user.name}"
    assert answer.headers["Location"] == expected


def test_request_id_is_kept(stack: Stack) -> None:
    url = f"{stack.api_url}/spawner/v1/labs"
    answer = requests.get(url, headers={"X-Request-ID": "abc-123"}, timeout=SECONDS)
    assert answer.headers["X-Request-ID"] == "abc-123"
    answer = requests.get(url, headers={"X-Request-ID": "a b<script>"}, timeout=SECONDS)
    assert len(answer.headers["X-Request-ID"]) == 16


def test_a_request_leaves_its_id_to_no_other(stack: Stack) -> None:
    assert stack.log_file
    log = Path(stack.log_file)

    def malformed() -> list[str]:
        return [line for line in log.read_text().splitlines() if "Malformed" in line]

    before = len(malformed())
    url = f"{stack.api_url}/spawner/v1/labs/nobody"
    headers = {"X-Request-ID": "somebody-else"}
    assert requests.get(url, headers=headers, timeout=SECONDS).status_code == 404
    path = urlsplit(f"{stack.api_url}/spawner/v1/labs").path
    answer = exchange(stack, f"GET {path} HTTP/1.1\r\nX: a\0b\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    wait_for(lambda: len(malformed()) > before)
    assert "somebody-else" not in malformed()[-1]
