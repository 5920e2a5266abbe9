"""Credentials of registries."""

from __future__ import annotations

import base64

import pytest

from nublado.models.domain.docker_credentials import DockerCredentials


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
