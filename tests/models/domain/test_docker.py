"""References to images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.exceptions import InvalidDockerReferenceError
from nublado.models.domain.docker import DockerReference, split_reference

_DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("example.org/lab:tag", ("example.org", "lab", "tag", None)),
        (
            f"example.org:5000/a/b__c/d-e.f:w_2021_13@{_DIGEST}",
            ("example.org:5000", "a/b__c/d-e.f", "w_2021_13", _DIGEST),
        ),
        (f"localhost/lab@{_DIGEST}", ("localhost", "lab", None, _DIGEST)),
        ("[::1]:5000/lab:1", ("[::1]:5000", "lab", "1", None)),
    ],
)
def test_reference_is_split_into_parts(
    text: str, parts: tuple[str | None, ...]
) -> None:
    reference = DockerReference.parse(text)
    assert (
        reference.registry,
        reference.repository,
        reference.tag,
        reference.digest,
    ) == parts
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sketchbook",
        "sketchbook:tag",
        "example.org/lab:",
        "example.org/lab@",
        "example.org/lab:tag@",
        "example.org/lab:tag@sha256",
        "example.org/LAB:tag",
        "example..org/lab:tag",
        "-example.org/lab:tag",
        "example.org//lab:tag",
        "https://example.org/lab:tag",
        "example.org/lab:tag\n",
        "example.org/lab:täg",
        f"example.org/lab:{'x' * 129}",
        "example.org/" + "a/" * 100_000,
    ],
)
def test_text_that_is_no_reference_is_refused(text: str) -> None:
    location = ("body", "options", "image_list")
    with pytest.raises(InvalidDockerReferenceError, match="Invalid Docker") as error:
        DockerReference.parse(text, location)
    assert error.value.location == list(location)
    assert len(str(error.value)) < 2000


def test_reference_needs_a_tag_or_a_digest() -> None:
    with pytest.raises(InvalidDockerReferenceError) as error:
        DockerReference.parse("example.org/lab")
    assert str(error.value) == 'Docker reference "example.org/lab" has no tag'


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        reference = DockerReference.parse(text)
    except InvalidDockerReferenceError:
        return
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("busybox", ("busybox", None, None)),
        ("busybox:1.36", ("busybox", "1.36", None)),
        ("example.org:5000/lab", ("example.org:5000/lab", None, None)),
        (f"example.org/lab@{_DIGEST}", ("example.org/lab", None, _DIGEST)),
        (f"a.org:5000/lab:t@{_DIGEST}", ("a.org:5000/lab", "t", _DIGEST)),
        ("", ("", None, None)),
    ],
)
def test_any_form_of_a_reference_is_split(
    text: str, parts: tuple[str, str | None, str | None]
) -> None:
    assert split_reference(text) == parts


def test_reference_without_its_digest() -> None:
    reference = DockerReference.parse(f"example.org/lab:tag@{_DIGEST}")
    assert reference.without_digest == "example.org/lab:tag"
