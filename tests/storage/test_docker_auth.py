"""Reading what a registry asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.storage.docker_auth import parse_challenges


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", {}),
        ("Basic", {"basic": {}}),
        ("BASIC realm=registry", {"basic": {"realm": "registry"}}),
        (
            'Bearer realm="https://a.org/t?x=1",service="a, b",scope="r:x:pull,push"',
            {
                "bearer": {
                    "realm": "https://a.org/t?x=1",
                    "service": "a, b",
                    "scope": "r:x:pull,push",
                }
            },
        ),
        (
            'Basic realm="a", Bearer realm = "b" , service=""',
            {"basic": {"realm": "a"}, "bearer": {"realm": "b", "service": ""}},
        ),
    ],
)
def test_challenges_are_parsed_by_scheme(
    header: str, challenges: dict[str, dict[str, str]]
) -> None:
    assert parse_challenges(header) == challenges


@given(st.text())
def test_any_challenge_can_be_parsed(header: str) -> None:
    assert isinstance(parse_challenges(header), dict)
