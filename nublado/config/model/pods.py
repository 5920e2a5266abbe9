"""What pods of all kinds have: images, resources, tolerations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.resources import Resources

__all__ = ["ContainerImage", "ContainerResources", "PullPolicy", "Toleration"]


class PullPolicy(StrEnum):
    """When a node pulls the image of a container."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """An image that is run as it is: an init container, a file server."""

    repository: str
    tag: str
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT

    @property
    def reference(self) -> str:
        """``repository:tag``, as Kubernetes accepts it."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class ContainerResources:
    """Limits and requests of a container; either may be absent."""

    limits: Resources | None = None
    requests: Resources | None = None

    def to_kubernetes(self) -> JSON:
        """Spell them as the ``resources`` of a container."""
        given = {"limits": self.limits, "requests": self.requests}
        return {name: value.to_kubernetes() for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Toleration:
    """A taint that labs tolerate."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None

    def to_kubernetes(self) -> JSON:
        """Spell it as Kubernetes does; what is unset is left out."""
        spelled: JSON = {
            "key": self.key,
            "operator": self.operator,
            "value": self.value,
            "effect": self.effect,
            "tolerationSeconds": self.toleration_seconds,
        }
        return {key: value for key, value in spelled.items() if value is not None}
