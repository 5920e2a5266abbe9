"""References to images, and credentials of registries."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from nublado.exceptions import InvalidDockerReferenceError, Location
from nublado.models.domain.kubernetes import JSON

__all__ = ["DIGEST_PATTERN", "DockerCredentials", "DockerReference"]

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DIGEST = r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+"

DIGEST_PATTERN = re.compile(_DIGEST, re.ASCII)
"""Matches (with ``fullmatch``) the digest of an image.

See the `OCI image format
<https://github.com/opencontainers/image-spec/blob/main/descriptor.md>`__.
"""

_REFERENCE = re.compile(
    rf"(?P<registry>{_HOST}(?::[0-9]{{1,5}})?)/"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    rf"(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class DockerReference:
    """A reference to an image, in parts; it has a tag, a digest, or both.

    References
    ----------
    https://pkg.go.dev/github.com/distribution/reference
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str, location: Location | None = None) -> Self:
        """Parse a reference.

        Parameters
        ----------
        text
            The reference, such as ``registry/repository:tag@sha256:…``. The
            short forms that Docker completes are not understood.
        location
            Where in the request it was.

        Raises
        ------
        InvalidDockerReferenceError
            Raised if it cannot be parsed, or has neither tag nor digest.
        """
        match = _REFERENCE.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
            message = f'Invalid Docker reference "{shown}"'
            raise InvalidDockerReferenceError(message, location)
        reference = cls(**match.groupdict())
        if reference.tag is None and reference.digest is None:
            raise reference.without_tag(location)
        return reference

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    def without_tag(self, location: Location | None) -> InvalidDockerReferenceError:
        """Make the error that says that a tag is needed."""
        message = f'Docker reference "{self}" has no tag'
        return InvalidDockerReferenceError(message, location)


@dataclass(frozen=True, slots=True)
class DockerCredentials:
    """With what to authenticate to one registry."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def from_entry(cls, entry: object) -> Self | None:
        """Read an entry of a Docker configuration.

        Returns
        -------
        DockerCredentials or None
            None if the entry holds no credentials that can be used, such as
            one for a credential helper.
        """
        if not isinstance(entry, Mapping):
            return None
        username, password = entry.get("username"), entry.get("password")
        if isinstance(encoded := entry.get("auth"), str) and encoded:
            try:
                decoded = base64.b64decode(encoded, validate=True).decode()
            except (binascii.Error, ValueError):
                return None
            username, _, password = decoded.partition(":")
        if not isinstance(username, str) or not isinstance(password, str):
            return None
        return cls(username, password) if username else None

    def authorization(self) -> str:
        """Value of an ``Authorization`` header."""
        text = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(text).decode()}"

    @classmethod
    def find(cls, config: JSON, host: str) -> Self | None:
        """Find the credentials of a host in a Docker configuration.

        Parameters
        ----------
        config
            The configuration, ``{"auths": {"host": {"auth": …}}}``.
        host
            Host of the registry, with its port if it has one. The entry for
            it counts, else that without the port, else that of the nearest
            domain that it is in.
        """
        auths = config.get("auths")
        entries = auths if isinstance(auths, Mapping) else {}
        by_host = {_host(name): entry for name, entry in entries.items()}
        name = host.lower()
        if name in by_host:
            return cls.from_entry(by_host[name])
        name = re.sub(r":[0-9]+\Z", "", name)
        while name:
            if name in by_host:
                return cls.from_entry(by_host[name])
            name = name.partition(".")[2]
        return None


def _host(name: str) -> str:
    """Host of an entry, which may be written as a URL.

    Docker writes the one of Docker Hub as ``https://index.docker.io/v1/``.
    """
    host = name.rpartition("://")[2].partition("/")[0].lower()
    return "docker.io" if host == "index.docker.io" else host
