"""Credentials of registries, as Docker configuration files hold them.

Docker, podman and the kubelet write and read the same file, each in its own
way. All of that is understood here; what needs a program to be run is not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Self
from urllib.parse import unquote

from nublado.models.domain.kubernetes import JSON

__all__ = ["CredentialsEntry", "DockerCredentials", "find_entries"]

_HUB = "docker.io"
_HUB_HOSTS = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_OAUTH_PATHS = (("access-token",), ("refresh-token",))
"""Where Docker keeps tokens of its own, which are no passwords for registries."""

_TOKEN_USER = "<token>"  # noqa: S105
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_KEY = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>\[[0-9a-f:]+\]|[^:/]+)"
    r"(?::(?P<port>[0-9]+))?(?:/(?P<path>.*))?",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class DockerCredentials:
    """With what to authenticate to a registry.

    Parameters
    ----------
    username, password
        For Basic authentication, also with a token service.
    identity_token
        Instead of a password, a token service takes this.
    registry_token
        Instead of all that, the registry itself takes this.

    References
    ----------
    https://distribution.github.io/distribution/spec/auth/oauth/
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @classmethod
    def from_entry(cls, entry: Mapping[str, object]) -> Self:
        """Read an entry of a Docker configuration.

        Raises
        ------
        ValueError
            Raised if it has no credentials; says why, but quotes nothing.
        """
        identity_token = _text(entry, "identitytoken")
        registry_token = _text(entry, "registrytoken")
        if identity_token or registry_token:
            return cls("", "", identity_token, registry_token)
        username, password = _text(entry, "username"), _text(entry, "password")
        if encoded := _text(entry, "auth"):
            username, password = _decode(encoded)
        if not username or not password:
            raise ValueError("has neither a user with a password nor a token")
        if username == _TOKEN_USER:
            return cls(identity_token=password)
        return cls(username, password)

    def authorization(self) -> str | None:
        """Value of an ``Authorization`` header; None without a password."""
        if not self.username:
            return None
        text = f"{self.username}:{self.password}".encode(errors="surrogateescape")
        return f"Basic {base64.b64encode(text).decode()}"


@dataclass(frozen=True, slots=True)
class CredentialsEntry:
    """An entry that applies to a repository.

    Parameters
    ----------
    key
        Key of the entry in the file.
    credentials
        What it holds; None if it cannot be used.
    problem
        Why it cannot be used.
    """

    key: str
    credentials: DockerCredentials | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Key:
    """Key of an entry: a host, maybe a pattern, and a path below it."""

    host: str
    port: str | None
    path: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        match = _KEY.fullmatch(text.strip())
        if match is None:
            return None
        scheme, host, port = match["scheme"] or "https", match["host"], match["port"]
        if port == _DEFAULT_PORTS[scheme.lower()]:
            port = None
        path = [unquote(part) for part in (match["path"] or "").split("/") if part]
        if path and path[0] in ("v1", "v2"):
            del path[0]
        host = host.lower().rstrip(".")
        return cls(_HUB if host in _HUB_HOSTS else host, port, tuple(path))

    def rank(self, target: _Key) -> tuple[int, tuple[int, int], bool] | None:
        """How well it matches a target, larger is better; None if it does not.

        The longest path counts first. An exact host is better than a pattern,
        which is better than a domain that the host is in.
        """
        if self.port not in (None, target.port):
            return None
        if self.path != target.path[: len(self.path)]:
            return None
        if self.host == _HUB and self.path in _HUB_OAUTH_PATHS:
            return None
        host = self._host_rank(target.host)
        if host is None:
            return None
        return len(self.path), host, self.port is not None

    def _host_rank(self, host: str) -> tuple[int, int] | None:
        labels, wanted = self.host.split("."), host.split(".")
        if self.host == host:
            return 2, len(labels)
        if len(labels) == len(wanted) and all(map(fnmatchcase, wanted, labels)):
            return 1, len(labels)
        is_domain = len(labels) > 1 and host.endswith(f".{self.host}")
        return (0, len(labels)) if is_domain else None


def find_entries(config: JSON, host: str, path: str) -> list[CredentialsEntry]:
    """Find the entries of a Docker configuration that apply to a repository.

    Parameters
    ----------
    config
        ``{"auths": {KEY: {"auth": …}}}``, or the old form without ``auths``.
    host
        Host of the registry, with its port if it has one.
    path
        Path of the repository on that host.

    Returns
    -------
    list
        Entries, the best one first. Those of credential helpers are among
        them, since they say that the registry is not meant to be anonymous.

    References
    ----------
    https://kubernetes.io/docs/concepts/containers/images/#config-json
    https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
    """
    target = _Key.parse(f"{host}/{path}")
    if target is None:
        return []
    ranked = []
    for text, entry in _entries(config):
        key = _Key.parse(text)
        rank = key.rank(target) if key else None
        if rank is not None:
            is_url = text.startswith(("http://", "https://"))
            ranked.append((rank, is_url, entry))
    ranked.sort(key=lambda item: item[:2], reverse=True)
    found = [entry for _, _, entry in ranked]
    store = config.get("credsStore")
    if store and not found:
        found.append(CredentialsEntry("credsStore", problem=_needs_helper(store)))
    return found


def _entries(config: JSON) -> Iterator[tuple[str, CredentialsEntry]]:
    helpers = config.get("credHelpers")
    if isinstance(helpers, Mapping):
        for key, helper in helpers.items():
            yield key, CredentialsEntry(key, problem=_needs_helper(helper))
    for key, value in _auths(config).items():
        entry = value if isinstance(value, Mapping) else {}
        try:
            yield key, CredentialsEntry(key, DockerCredentials.from_entry(entry))
        except ValueError as e:
            store = config.get("credsStore")
            problem = _needs_helper(store) if store and not value else str(e)
            yield key, CredentialsEntry(key, problem=problem)


def _auths(config: JSON) -> Mapping[str, object]:
    """The entries by key; in the old form (``.dockercfg``) they are all there is."""
    auths = config.get("auths")
    if isinstance(auths, Mapping):
        return auths
    old = {k: v for k, v in config.items() if isinstance(v, Mapping) and _is_old(v)}
    return old if "auths" not in config else {}


def _is_old(value: Mapping[str, object]) -> bool:
    return not value.keys().isdisjoint({"auth", "username", "identitytoken"})


def _needs_helper(name: object) -> str:
    return f"needs the credential helper docker-credential-{name}, which cannot be run"


def _text(entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _decode(encoded: str) -> tuple[str, str]:
    """User and password of an ``auth`` field.

    Tools leave out the padding, break lines, and use the alphabet for URLs;
    the password may end in zeros (Docker) or in a line feed (``echo``).
    """
    plain = "".join(encoded.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        decoded = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("has an auth field that is not base64") from None
    text = decoded.decode(errors="surrogateescape")
    username, colon, password = text.rstrip("\0\r\n").partition(":")
    if not colon:
        raise ValueError("has an auth field without a colon")
    return username, password.lstrip("\0")
