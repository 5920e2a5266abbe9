"""Credentials of registries, as a Docker configuration file holds them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from nublado.models.domain.kubernetes import JSON

__all__ = ["DockerCredentials"]


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
