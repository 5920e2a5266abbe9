"""Credentials of Docker registries, read from a Docker configuration file."""

from __future__ import annotations

import json
from pathlib import Path

import structlog

from nublado.exceptions import DockerRegistryError
from nublado.models.domain.docker_credentials import CredentialsEntry, find_entries

__all__ = ["DockerCredentialStore"]


class DockerCredentialStore:
    """The credentials of one repository, in a file that may change at any time.

    Parameters
    ----------
    file
        Where the file is.
    host
        Host of the registry, with its port if it has one.
    path
        Path of the repository on that host.

    References
    ----------
    https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
    """

    def __init__(self, file: Path, host: str, path: str) -> None:
        self._file = file
        self._host = host
        self._path = path
        self._known: list[CredentialsEntry] | None = None
        self._log = structlog.get_logger(__name__).bind(file=str(file))

    @property
    def unusable(self) -> dict[str, str]:
        """Why entries could not be used at the last call of `has_changed`."""
        return {e.key: e.problem for e in self._known or () if e.problem is not None}

    def find(self) -> list[CredentialsEntry]:
        """Read the entries that apply, the best one first; empty without a file.

        Raises
        ------
        DockerRegistryError
            Raised if the file cannot be read or parsed; never quotes it.
        """
        try:
            config = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as e:
            raise DockerRegistryError(f"Cannot read {self._file}: {e.strerror}") from e
        except (ValueError, RecursionError):
            config = None
        if not isinstance(config, dict):
            message = f"{self._file} is not a Docker configuration in JSON"
            raise DockerRegistryError(message)
        return find_entries(config, self._host, self._path)

    def explain_lack(self) -> str:
        """Say why there are no credentials; raises as `find` does."""
        entries = self.find()
        if not entries:
            return f"{self._file} has none for {self._host}/{self._path}"
        return "; ".join(f"{e.key} in {self._file} {e.problem}" for e in entries)

    def has_changed(self) -> bool:
        """Whether other entries apply than at the last call.

        At the first call, and after each change, what cannot be used is
        logged: otherwise it would seem that no credentials were configured.
        """
        try:
            entries = self.find()
        except DockerRegistryError as e:
            self._log.warning("Cannot read registry credentials", error=str(e))
            entries = []
        before, self._known = self._known, entries
        if entries == before:
            return False
        for entry in entries:
            if entry.problem is not None:
                self._log.warning(
                    "Cannot use registry credentials",
                    key=entry.key,
                    reason=entry.problem,
                )
        return before is not None
