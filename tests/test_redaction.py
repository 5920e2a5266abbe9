from __future__ import annotations

from pathlib import Path

import pytest

from nublado.redaction import REDACTED, redact, redact_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token gt-abc_-1.def-2 was refused", "token <redacted> was refused"),
        ("Authorization: Bearer abc.def==", "Authorization: Bearer <redacted>"),
        (
            "{'authorization': 'Basic cmFjaGVsOng='}",
            "{'authorization': 'Basic <redacted>'}",
        ),
        (
            '{"token": "abc", "expires_in": 300}',
            '{"token": "<redacted>", "expires_in": 300}',
        ),
        (r'"{\"password\": \"abc\"}"', r'"{\"password\": \"<redacted>\"}"'),
        ("GET /token?access_token=abc&x=1", "GET /token?access_token=<redacted>&x=1"),
        ("User(name='rachel', token='abc')", "User(name='rachel', token='<redacted>')"),
        ("https://rachel:pw@host/path", "https://rachel:<redacted>@host/path"),
        (
            "POST https://hooks.slack.com/services/T0/B0/xyz failed",
            "POST https://hooks.slack.com/<redacted> failed",
        ),
    ],
)
def test_secrets_in_text_are_replaced(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Secret nublado/nublado-lab-secret does not exist",
        "No key token in secret nublado/nublado-lab-secret",
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
        "Pulling image registry.example.org/sciplat-lab:w_2026_01@sha256:abc",
        "User token is invalid",
        "mail rachel@example.org",
    ],
)
def test_what_operators_need_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "key",
    ["token", "access_token", "X-Auth-Request-Token", "client_secret", "Authorization"],
)
def test_values_with_the_name_of_a_secret_are_replaced(key: str) -> None:
    assert redact({key: {"any": "thing"}}) == {key: REDACTED}


def test_values_are_searched_through_and_kept_otherwise() -> None:
    value = {
        "secret_name": "nublado-lab-secret",
        "token": None,
        "count": 3,
        "ratio": 0.5,
        "done": True,
        "path": Path("/etc/nublado"),
        "list": ["Bearer abc", {"password": "x"}],
        "error": ValueError("gt-a.b"),
    }
    assert redact(value) == {
        "secret_name": "nublado-lab-secret",
        "token": None,
        "count": 3,
        "ratio": 0.5,
        "done": True,
        "path": "/etc/nublado",
        "list": ["Bearer <redacted>", {"password": REDACTED}],
        "error": REDACTED,
    }
