"""File servers: names and objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nublado.models.domain.kubernetes import JSON

__all__ = ["FileserverNames", "FileserverObjects"]


@dataclass(frozen=True, slots=True)
class FileserverNames:
    """Names of the objects of one user's file server."""

    username: str

    @property
    def fileserver(self) -> str:
        """Name of ingress, service and job."""
        return f"{self.username}-fs"

    def claim(self, volume: str) -> str:
        """Name of the claim behind a volume."""
        return f"{self.fileserver}-pvc-{volume}"


@dataclass(frozen=True, slots=True)
class FileserverObjects:
    """The objects of a file server."""

    claims: tuple[JSON, ...]
    ingress: JSON
    service: JSON
    job: JSON

    def __iter__(self) -> Iterator[JSON]:
        """All objects, in the order in which they are created."""
        yield from (*self.claims, self.ingress, self.service, self.job)
