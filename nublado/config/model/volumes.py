"""Volumes, and where containers mount them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nublado.models.domain.kubernetes import JSON

__all__ = [
    "AccessMode",
    "HostPathSource",
    "NFSSource",
    "PVCSource",
    "Volume",
    "VolumeMount",
    "VolumeSource",
]


class AccessMode(StrEnum):
    """How a persistent volume claim may be mounted."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_ONLY_MANY = "ReadOnlyMany"
    READ_WRITE_MANY = "ReadWriteMany"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"


@dataclass(frozen=True, slots=True)
class HostPathSource:
    """A directory of the node."""

    path: str


@dataclass(frozen=True, slots=True)
class NFSSource:
    """A directory of an NFS server."""

    server: str
    server_path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class PVCSource:
    """A claim that is created for every user.

    ``resources`` is passed on as Kubernetes accepts it
    (``{"requests": {"storage": "1Gi"}}``).
    """

    access_modes: tuple[AccessMode, ...]
    storage_class_name: str
    resources: JSON
    read_only: bool = False


VolumeSource = HostPathSource | NFSSource | PVCSource


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that containers may mount."""

    name: str
    source: VolumeSource


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """Where a container mounts a volume."""

    container_path: str
    volume_name: str
    sub_path: str | None = None
    read_only: bool = False
