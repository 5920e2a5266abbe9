"""Lists of tags, parsed while they arrive."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.storage.docker_tags import parse_tags

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("tags"), inner),
)


def test_empty_pieces_of_a_body_are_nothing() -> None:
    assert parse_tags([b"", b'{"tags": ["a"]}', b""]) == ["a"]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('{"name": "lab", "tags": ["a", "b"]}', ["a", "b"]),
        ('{"tags": []}', []),
        ('{"tags": null}', []),
        ('{"manifest": {"tags": ["x"], "y": {"tags": "z"}}, "tags": ["a"]}', ["a"]),
        ('{"tags": ["a"], "child": ["x"], "manifest": {"tag": ["y"]}}', ["a"]),
        ('{"tags": ["a", null, 5, true, ["x"], {"y": "z"}, "b"]}', ["a", "b"]),
        ('{"tags": ["\\u00e4"]}', ["ä"]),
    ],
)
def test_tags_are_those_of_the_list(text: str, tags: list[str]) -> None:
    assert parse_tags([text.encode()]) == tags
    assert parse_tags([bytes([byte]) for byte in text.encode()]) == tags


@pytest.mark.parametrize(
    "text",
    ["", " ", "[]", "5", '{"tags": "a"}', '{"tags": {}}', '{"tags": ["a"', "{'tags'}"],
)
def test_what_has_no_list_of_tags_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|no list"):
        parse_tags([text.encode()])


@given(st.dictionaries(st.text(), _JSON), st.lists(st.text()))
def test_whatever_is_beside_the_tags_is_ignored(
    beside: dict[str, object], tags: list[str]
) -> None:
    text = json.dumps({**beside, "tags": tags})
    assert parse_tags([text.encode()]) == tags


@given(st.lists(st.binary()))
def test_any_bytes_are_parsed_or_refused(chunks: list[bytes]) -> None:
    with suppress(ValueError):
        parse_tags(chunks)


@pytest.mark.parametrize("text", [b"[" * 1_000_000, b'{"tags":' * 200_000])
def test_deep_nesting_is_refused_without_harm(text: bytes) -> None:
    with pytest.raises(ValueError, match="JSON"):
        parse_tags([text])
