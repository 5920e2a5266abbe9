"""CPU and memory: what labs and file servers may use, and what is reserved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from nublado.constants import LIMIT_TO_REQUEST_RATIO
from nublado.models.domain.kubernetes import JSON
from nublado.units import bytes_to_text

__all__ = ["LabResources", "Resources"]


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in cores and memory in bytes."""

    cpu: float
    memory: int

    def fits(self, available: Resources) -> bool:
        """Whether no resource exceeds what is available."""
        return self.cpu <= available.cpu and self.memory <= available.memory

    def divide(self, ratio: int) -> Resources:
        """Divide each resource; fractions of a byte are dropped."""
        return Resources(cpu=self.cpu / ratio, memory=self.memory // ratio)

    def label(self, memory: str | None = None) -> str:
        """Text for people, such as ``1.0 CPU, 3Gi RAM``.

        Parameters
        ----------
        memory
            How the memory is to be written; exactly by default.
        """
        return f"{self.cpu} CPU, {memory or bytes_to_text(self.memory)} RAM"

    def to_kubernetes(self, prefix: str = "") -> JSON:
        """Spell the resources as Kubernetes does.

        Parameters
        ----------
        prefix
            Prefix of their names, such as ``limits.`` in a quota.
        """
        return {f"{prefix}cpu": str(self.cpu), f"{prefix}memory": str(self.memory)}


@dataclass(frozen=True, slots=True)
class LabResources:
    """What a lab may use at most, and what is reserved for it."""

    limits: Resources
    requests: Resources

    @classmethod
    def from_limits(cls, limits: Resources) -> Self:
        """Reserve the usual part of the limits."""
        return cls(limits=limits, requests=limits.divide(LIMIT_TO_REQUEST_RATIO))

    def to_kubernetes(self) -> JSON:
        """Spell them as the ``resources`` of a container."""
        return {
            "limits": self.limits.to_kubernetes(),
            "requests": self.requests.to_kubernetes(),
        }
