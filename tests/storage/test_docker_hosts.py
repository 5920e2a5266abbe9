"""Where registries are reached, and whom they may trust."""

from __future__ import annotations

import pytest

from nublado.storage.docker_hosts import (
    is_trusted_realm,
    registry_endpoint,
    secured,
)


@pytest.mark.parametrize(
    ("registry", "endpoint"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("example.org", "https://example.org"),
        ("example.org:5000", "https://example.org:5000"),
        ("localhost:5000", "https://localhost:5000"),
        ("127.1.2.3", "https://127.1.2.3"),
        ("[::1]:5000", "https://[::1]:5000"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ("localhost.example.org", "https://localhost.example.org"),
        ("mirrored.org", "https://mirror.test/prefix"),
    ],
)
def test_registry_is_reached_by_https_unless_it_is_local(
    registry: str, endpoint: str
) -> None:
    mirrors = {"mirrored.org": "https://mirror.test/prefix/"}
    assert registry_endpoint(registry, mirrors) == endpoint


@pytest.mark.parametrize(
    ("realm", "endpoint", "trusted"),
    [
        ("https://auth.docker.io/token", "https://registry-1.docker.io", True),
        ("https://gitlab.com/jwt/auth", "https://registry.gitlab.com", True),
        ("https://example.org/token", "https://example.org:5000", True),
        ("https://EXAMPLE.org/token?a=b", "https://example.org", True),
        ("http://example.org/token", "https://example.org", False),
        ("https://evil.org/token", "https://example.org", False),
        ("https://badexample.org/token", "https://example.org", False),
        ("https://example.org.evil.test/t", "https://example.org", False),
        ("https://example.org@evil.test/t", "https://example.org", False),
        ("https://evil.test\\@example.org/t", "https://example.org", False),
        ("https://evil.test#.example.org/t", "https://example.org", False),
        ("https://a.ac.uk/token", "https://b.ac.uk", False),
        ("https://auth.ed.ac.uk/token", "https://hub.ed.ac.uk", True),
        ("https://evil.azurecr.io/token", "https://mine.azurecr.io", False),
        ("https://mine.azurecr.io/token", "https://mine.azurecr.io", True),
        ("https://10.0.0.2/token", "https://10.0.0.1", False),
        ("https://b/token", "https://a", False),
        ("https://org/token", "https://example.org", False),
        ("http://127.0.0.1:81/token", "http://localhost:80", True),
        ("http://127.0.0.1:81/token", "https://example.org", False),
        ("https://example.org/token", "http://127.0.0.1", False),
        ("https://example.org:99999/token", "https://example.org", False),
        ("ftp://example.org/token", "https://example.org", False),
        ("", "https://example.org", False),
    ],
)
def test_tokens_come_from_the_registry_or_a_sibling(
    realm: str, endpoint: str, trusted: bool
) -> None:
    assert is_trusted_realm(realm, endpoint) == trusted


@pytest.mark.parametrize(
    ("url", "endpoint", "result"),
    [
        ("http://a.org/token?x=y", "https://a.org", "https://a.org/token?x=y"),
        ("http://A.org:80/token", "https://a.org:5000", "https://a.org:5000/token"),
        ("https://a.org/token", "https://a.org", "https://a.org/token"),
        ("http://b.org/token", "https://a.org", "http://b.org/token"),
        ("http://localhost:1/t", "http://localhost:2", "http://localhost:1/t"),
    ],
)
def test_registry_behind_tls_is_reached_by_tls(
    url: str, endpoint: str, result: str
) -> None:
    assert secured(url, endpoint) == result


@pytest.mark.parametrize("url", ["", "http://[", "file:///etc/passwd", "//a.org"])
def test_only_plain_urls_are_secured(url: str) -> None:
    with pytest.raises(ValueError, match="plain HTTP URL"):
        secured(url, "https://a.org")
