"""Credentials of registries, as Docker, podman and the kubelet write them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.models.domain.docker_credentials import DockerCredentials, find_entries


def _auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def _user(config: dict[str, Any], host: str, path: str = "lab") -> str | None:
    """User of the best entry that can be used."""
    entries = find_entries(config, host, path)
    usable = (e.credentials.username for e in entries if e.credentials)
    return next(usable, None)


_AUTHS = {
    "auths": {
        "https://index.docker.io/v1/access-token": _auth("oauth:x"),
        "https://index.docker.io/v1/": _auth("hub:h"),
        "https://index.docker.io/v1/refresh-token": _auth("refresh:x"),
        "docker.io": _auth("podman:p"),
        "docker.io/special": _auth("special:p"),
        "example.org": _auth("domain:d:d"),
        "deep.example.org": {"username": "deep", "password": "p"},
        "example.org:5000": _auth("port:p"),
        "https://url.test/v2/": _auth("url:p"),
        "http://plain.test:80": _auth("plain:p"),
        "trailing.test/": _auth("trailing:p"),
        "*.glob.test": _auth("glob:p"),
        "exact.glob.test": _auth("exact:p"),
        "*.dkr.ecr.*.amazonaws.com": _auth("AWS:p"),
        "paths.test/a": _auth("a:p"),
        "paths.test/a/b": _auth("ab:p"),
        "paths.test/c": _auth("c:p"),
        "paths.test": _auth("bare:p"),
        "https://paths.test/v1/d": _auth("d:p"),
        "only.test/a": _auth("only:p"),
        "[::1]:5000": _auth("six:p"),
        "local": _auth("local:p"),
    }
}


@pytest.mark.parametrize(
    ("host", "path", "username"),
    [
        ("registry-1.docker.io", "library/lab", "hub"),
        ("docker.io", "library/lab", "hub"),
        ("docker.io", "special/lab", "special"),
        ("docker.io", "access-token", "hub"),
        ("example.org", "lab", "domain"),
        ("EXAMPLE.org:443", "lab", "domain"),
        ("www.example.org", "lab", "domain"),
        ("example.org:5000", "lab", "port"),
        ("example.org:5001", "lab", "domain"),
        ("a.deep.example.org", "lab", "deep"),
        ("badexample.org", "lab", None),
        ("org", "lab", None),
        ("url.test", "lab", "url"),
        ("plain.test", "lab", "plain"),
        ("trailing.test", "lab", "trailing"),
        ("a.glob.test", "lab", "glob"),
        ("exact.glob.test", "lab", "exact"),
        ("a.b.glob.test", "lab", None),
        ("123.dkr.ecr.us-east-1.amazonaws.com", "lab", "AWS"),
        ("paths.test", "a", "a"),
        ("paths.test", "a/x", "a"),
        ("paths.test", "a/b/x", "ab"),
        ("paths.test", "c/x", "c"),
        ("paths.test", "d/x", "d"),
        ("paths.test", "ab", "bare"),
        ("paths.test", "a-suffix/x", "bare"),
        ("paths.test", "x/a", "bare"),
        ("only.test", "b", None),
        ("registry.local", "lab", None),
        ("[::1]:5000", "lab", "six"),
    ],
)
def test_longest_path_counts_then_host_pattern_and_domain(
    host: str, path: str, username: str | None
) -> None:
    assert _user(_AUTHS, host, path) == username


def test_all_that_applies_is_found_best_first() -> None:
    entries = find_entries(_AUTHS, "paths.test", "a/b/c")
    assert [e.key for e in entries] == ["paths.test/a/b", "paths.test/a", "paths.test"]


def test_old_form_has_no_auths() -> None:
    config = {"https://example.org/v1/": {**_auth("old:p"), "email": "a@b.c"}}
    assert _user(config, "example.org") == "old"
    assert _user({"HttpHeaders": {"User-Agent": "x"}}, "HttpHeaders") is None


@pytest.mark.parametrize(
    ("auth", "password"),
    [
        (base64.b64encode(b"u:d:d").decode(), "d:d"),
        (base64.b64encode(b"u:pass").decode().rstrip("="), "pass"),
        (base64.b64encode(b"u:pass\n").decode(), "pass"),
        (base64.b64encode(b"u:pass\0\0").decode(), "pass"),
        (base64.b64encode(b"u:pa s s ").decode(), "pa s s "),
        (base64.encodebytes(b"u:" + b"x" * 100).decode(), "x" * 100),
        (base64.urlsafe_b64encode(b"u:\xfb\xef\xbe?>").decode(), None),
        (base64.b64encode("u:pässword".encode()).decode(), "pässword"),
    ],
)
def test_encodings_are_read_as_tools_write_them(
    auth: str, password: str | None
) -> None:
    (entry,) = find_entries({"auths": {"a.org": {"auth": auth}}}, "a.org", "lab")
    assert entry.credentials is not None
    assert entry.credentials.username == "u"
    if password is not None:
        assert entry.credentials.password == password


def test_bytes_that_are_no_text_are_sent_as_they_are() -> None:
    auth = base64.b64encode(b"u:\xe4\xff").decode()
    (entry,) = find_entries({"auths": {"a.org": {"auth": auth}}}, "a.org", "lab")
    assert entry.credentials is not None
    assert entry.credentials.authorization() == f"Basic {auth}"


def test_secrets_are_not_shown() -> None:
    credentials = DockerCredentials("u", "hunter2", "hunter2", "hunter2")
    assert "hunter2" not in repr(credentials)


@pytest.mark.parametrize(
    ("entry", "credentials"),
    [
        (
            {**_auth("00000000-0000-0000-0000-000000000000:"), "identitytoken": "t"},
            DockerCredentials(identity_token="t"),
        ),
        ({"auth": "PHRva2VuPg", "identitytoken": "t"}, DockerCredentials("", "", "t")),
        (_auth("<token>:t"), DockerCredentials(identity_token="t")),
        ({"registrytoken": "t"}, DockerCredentials(registry_token="t")),
    ],
)
def test_tokens_replace_passwords(
    entry: dict[str, str], credentials: DockerCredentials
) -> None:
    (found,) = find_entries({"auths": {"a.org": entry}}, "a.org", "lab")
    assert found.credentials == credentials


@pytest.mark.parametrize(
    ("config", "key", "problem"),
    [
        ({"auths": {"a.org": {"auth": "***"}}}, "a.org", "not base64"),
        ({"auths": {"a.org": _auth("nocolon")}}, "a.org", "without a colon"),
        ({"auths": {"a.org": _auth("user:")}}, "a.org", "neither a user"),
        ({"auths": {"a.org": {"email": "a@b.c"}}}, "a.org", "neither a user"),
        ({"auths": {"a.org": None}}, "a.org", "neither a user"),
        ({"auths": {"a.org": {"username": "u"}}}, "a.org", "neither a user"),
        (
            {"auths": {"https://a.org": {}}, "credsStore": "desktop"},
            "https://a.org",
            "docker-credential-desktop",
        ),
        ({"credHelpers": {"a.org": "ecr-login"}}, "a.org", "credential-ecr-login"),
        ({"credHelpers": {"*.org": "gcloud"}}, "*.org", "credential-gcloud"),
        ({"credsStore": "pass"}, "credsStore", "docker-credential-pass"),
    ],
)
def test_entry_that_cannot_be_used_says_why(
    config: dict[str, Any], key: str, problem: str
) -> None:
    entry = find_entries(config, "a.org", "lab")[0]
    assert entry.key == key
    assert entry.credentials is None
    assert problem in (entry.problem or "")


def test_entry_that_can_be_used_is_found_beside_a_helper() -> None:
    config = {
        "auths": {"a.org": _auth("u:p"), "a.org/lab": {}},
        "credHelpers": {"b.org": "gcloud"},
        "credsStore": "desktop",
    }
    keys = [e.key for e in find_entries(config, "a.org", "lab")]
    assert keys == ["a.org/lab", "a.org"]
    assert _user(config, "a.org") == "u"


@pytest.mark.parametrize("config", [{}, {"auths": None}, {"auths": []}])
def test_configuration_may_have_no_credentials(config: dict[str, object]) -> None:
    assert find_entries(config, "example.org", "lab") == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_KEYS = st.text(alphabet="a.:/*[]-v1htps") | st.sampled_from(["a.org", "*"])


@given(st.dictionaries(st.sampled_from(["auths", "credHelpers", "credsStore"]), _JSON))
def test_any_configuration_can_be_searched(config: dict[str, Any]) -> None:
    find_entries(config, "example.org", "lab")


@given(st.dictionaries(_KEYS, _JSON))
def test_any_entries_can_be_searched(entries: dict[str, Any]) -> None:
    find_entries({"auths": entries}, "a.org", "lab")
