"""References to images, and credentials of registries."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.exceptions import InvalidDockerReferenceError
from nublado.models.domain.docker import DockerCredentials, DockerReference

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


def _auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


_CONFIG = {
    "auths": {
        "https://index.docker.io/v1/": _auth("hub:h"),
        "example.org": _auth("domain:d:d"),
        "deep.example.org": {"username": "deep", "password": "p"},
        "example.org:5000": _auth("port:p"),
        "broken.test": {"auth": "***"},
        "helper.test": {},
        "nothing.test": None,
    }
}


@pytest.mark.parametrize(
    ("host", "username"),
    [
        ("registry-1.docker.io", "hub"),
        ("docker.io", "hub"),
        ("example.org", "domain"),
        ("EXAMPLE.org:443", "domain"),
        ("www.example.org", "domain"),
        ("example.org:5000", "port"),
        ("a.deep.example.org", "deep"),
        ("badexample.org", None),
        ("org", None),
        ("broken.test", None),
        ("helper.test", None),
        ("nothing.test", None),
    ],
)
def test_credentials_are_those_of_the_host_or_its_domain(
    host: str, username: str | None
) -> None:
    credentials = DockerCredentials.find(_CONFIG, host)
    assert (credentials.username if credentials else None) == username


def test_password_may_have_colons_and_is_not_shown() -> None:
    credentials = DockerCredentials.find(_CONFIG, "example.org")
    assert credentials is not None
    assert credentials.password == "d:d"
    assert "d:d" not in repr(credentials)
    expected = base64.b64encode(b"domain:d:d").decode()
    assert credentials.authorization() == f"Basic {expected}"


@pytest.mark.parametrize("config", [{}, {"auths": None}, {"auths": []}])
def test_configuration_may_have_no_credentials(config: dict[str, object]) -> None:
    assert DockerCredentials.find(config, "example.org") is None
