"""File servers of users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nublado.config.model.pods import ContainerImage, ContainerResources, Toleration
from nublado.config.model.volumes import VolumeMount
from nublado.constants import FILES_PREFIX
from nublado.models.domain.kubernetes import JSON

__all__ = ["FileserverConfig"]


@dataclass(frozen=True, slots=True)
class FileserverConfig:
    """User file servers; timeouts are seconds.

    Without ``image``, the one that comes with the controller is used.
    """

    namespace: str
    image: ContainerImage | None = None
    path_prefix: str = FILES_PREFIX
    application: str | None = None
    affinity: JSON = field(default_factory=dict)
    extra_annotations: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    resources: ContainerResources | None = None
    creation_timeout: float = 120.0
    delete_timeout: float = 60.0
    idle_timeout: float = 3600.0
    reconcile_interval: float = 3600.0
