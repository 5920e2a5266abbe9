"""JSON as it is exchanged with Kubernetes."""

from __future__ import annotations

import json

import pytest

from nublado.storage.kubernetes.encoding import dump, load


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "é\n\u2028"], "b": {}},
        # What users may send.
        {"half of a character": "\ud800"},
        {"more than 64 bits": 2**70},
        {"more than 64 bits": -(2**70)},
    ],
)
def test_what_is_written_is_read_again(value: object) -> None:
    data = dump(value)
    assert load(data) == json.loads(data) == value
    assert b": " not in data


@pytest.mark.parametrize(
    "data", [b"", b"{", b"<html>", b'{"a": 1} {', b'"\xff"', b"{'a': 1}"]
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        load(data)


def test_what_the_standard_library_reads_is_read() -> None:
    assert load(b'"\\ud800"') == "\ud800"
    assert load(b"[1e400]") == [float("inf")]


def test_what_is_nested_too_deeply_is_an_error() -> None:
    with pytest.raises((ValueError, RecursionError)):
        load(b"[" * 200_000 + b"]" * 200_000)
