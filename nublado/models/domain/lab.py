"""Labs: what is requested, what is created, and in which state it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.resources import LabResources, Resources

__all__ = [
    "LabObjectNames",
    "LabObjects",
    "LabOptions",
    "LabSpecification",
    "LabState",
    "LabStatus",
    "LabUser",
    "RemainingLabObjects",
]

LabUser = UserInfo
"""The user to whom a lab belongs."""


class LabStatus(StrEnum):
    """Where a lab is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LabSpecification:
    """A valid request for a lab.

    ``env`` is the environment that JupyterHub wants; it may hold secrets of
    JupyterHub and is not shown in the representation.
    """

    size: str
    image: ImageSelection
    enable_debug: bool = False
    reset_user_env: bool = False
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What a lab was created with; ``image`` is a reference with digest."""

    image: str
    size: str
    enable_debug: bool = False
    reset_user_env: bool = False


@dataclass(frozen=True, slots=True)
class LabState:
    """A lab as it is at one moment.

    ``internal_url`` is None where there is nothing to connect to; ``quota``
    is None where the namespace has none. ``path`` is where its user finds it on
    the platform, and ``created`` when it was requested; None where unknown.
    """

    user: LabUser
    options: LabOptions
    status: LabStatus
    internal_url: str | None
    resources: LabResources
    quota: Resources | None = None
    path: str | None = None
    created: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class LabObjectNames:
    """Names of all Kubernetes objects of one user's lab."""

    username: str
    namespace: str
    env_config_map: str
    nss_config_map: str
    files_config_map: str
    secret: str
    pull_secret: str
    quota: str
    network_policy: str
    service: str
    pod: str
    deletion_mark: str

    @classmethod
    def of(cls, username: str, namespace: str) -> LabObjectNames:
        """Compute the names for one user."""
        base = f"{username}-nb"
        return cls(
            username=username,
            namespace=namespace,
            env_config_map=f"{base}-env",
            nss_config_map=f"{base}-nss",
            files_config_map=f"{base}-files",
            secret=base,
            pull_secret="pull-secret",  # noqa: S106
            quota=base,
            network_policy=base,
            service="lab",
            pod=base,
            deletion_mark=f"{base}-deletion",
        )

    def pvc(self, volume_name: str) -> str:
        """Name of the claim behind a configured volume."""
        return f"{self.username}-nb-pvc-{volume_name}"


@dataclass(frozen=True, slots=True)
class RemainingLabObjects:
    """The objects of a lab that follow from its environment and its record.

    ``others`` may be created concurrently, the pod only after them.
    """

    others: tuple[JSON, ...]
    pod: JSON


@dataclass(frozen=True, slots=True)
class LabObjects:
    """All Kubernetes objects of a lab.

    The first three are created one after another, so that where the
    environment exists the secret does.
    """

    namespace: JSON
    secret: JSON
    env_config_map: JSON
    remaining: RemainingLabObjects

    @property
    def others(self) -> tuple[JSON, ...]:
        """Objects between the environment and the pod, in any order."""
        return self.remaining.others

    @property
    def pod(self) -> JSON:
        """The pod, created last."""
        return self.remaining.pod

    def in_creation_order(self) -> list[JSON]:
        """All objects, first to last."""
        return [
            self.namespace,
            self.secret,
            self.env_config_map,
            *self.others,
            self.pod,
        ]
