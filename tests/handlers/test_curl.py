"""Commands that send the requests of the API."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from nublado.handlers.curl import curl_command

_USERNAME = {"name": "username", "in": "path", "example": "rachel"}
_HEADER = {"name": "X-Auth-Request-User", "in": "header", "example": "rachel"}


def operation(*parameters: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"parameters": list(parameters), "responses": {}, **more}


def command(method: str, described: dict[str, Any], **changes: bool) -> list[str]:
    """Words of a command, as a shell would pass them on."""
    options = {"through_ingress": True, "anonymous": False, **changes}
    text = curl_command("/a/v1/labs/{username}", method, described, **options)
    assert text.startswith("curl")
    return shlex.split(text.replace("\\\n", " "))


def test_paths_are_filled_and_headers_of_the_ingress_left_to_it() -> None:
    assert command("get", operation(_USERNAME, _HEADER)) == [
        "curl",
        "-H",
        "Authorization: Bearer $TOKEN",
        "$BASE/a/v1/labs/rachel",
    ]


def test_who_needs_no_token_sends_none() -> None:
    words = command("get", operation(_USERNAME), anonymous=True, through_ingress=False)
    assert words == ["curl", "$POD/a/v1/labs/rachel"]


def test_streams_are_not_buffered() -> None:
    stream: dict[str, Any] = {"200": {"content": {"text/event-stream": {}}}}
    assert command("get", operation(_USERNAME, responses=stream))[1] == "-N"


@pytest.mark.parametrize("message", ["Labs' end", 'a "quoted" $HOME `id`', "ü\n!"])
def test_bodies_come_through_a_shell_as_they_are(message: str) -> None:
    media = {"application/json": {"example": {"message": message}}}
    described = operation(_USERNAME, requestBody={"content": media})
    words = command("put", described)
    assert words[:3] == ["curl", "-X", "PUT"]
    assert "Content-Type: application/json" in words
    body = words[words.index("-d") + 1]
    assert json.loads(body) == {"message": message}
