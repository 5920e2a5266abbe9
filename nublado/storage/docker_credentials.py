"""Credentials of Docker registries, read from a Docker configuration file."""

from __future__ import annotations

import json
from pathlib import Path

from nublado.exceptions import DockerRegistryError
from nublado.models.domain.docker_credentials import DockerCredentials

__all__ = ["DockerCredentialStore"]


class DockerCredentialStore:
    """A file with credentials, which may be replaced at any time.

    Parameters
    ----------
    path
        Where the file is.

    References
    ----------
    https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, host: str) -> DockerCredentials | None:
        """Read the credentials of a host; a missing file means there are none.

        Parameters
        ----------
        host
            Host of the registry, with its port if it has one.

        Raises
        ------
        DockerRegistryError
            Raised if the file cannot be parsed; never quotes it.
        """
        try:
            config = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as e:
            raise DockerRegistryError(f"Cannot read {self._path}: {e.strerror}") from e
        except (ValueError, RecursionError):
            config = None
        if not isinstance(config, dict):
            message = f"{self._path} is not a Docker configuration in JSON"
            raise DockerRegistryError(message)
        return DockerCredentials.find(config, host)
