"""The pod with all file systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nublado.config.model.pods import ContainerResources, Toleration
from nublado.config.model.volumes import Volume, VolumeMount
from nublado.models.domain.kubernetes import JSON

__all__ = ["FsadminConfig"]


@dataclass(frozen=True, slots=True)
class FsadminConfig:
    """The privileged pod for administrators of the users' file systems.

    Parameters
    ----------
    pod_name
        Name of the pod, and of its container.
    timeout
        How long its creation, and its removal, may take (seconds).
    mount_prefix
        Directory below which everything is mounted; None for the paths of labs.
    extra_volumes, extra_volume_mounts
        What it has besides the volumes and mounts of labs.
    """

    pod_name: str = "fsadmin"
    timeout: float = 120.0
    mount_prefix: str | None = None
    extra_volumes: tuple[Volume, ...] = ()
    extra_volume_mounts: tuple[VolumeMount, ...] = ()
    resources: ContainerResources | None = None
    extra_annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: JSON = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
