"""The configuration as the rest of the controller sees it.

Plain frozen dataclasses, filled by `nublado.config.load` after every check has
passed. Durations are seconds, memory is bytes, paths are normalised.

References
----------
The configuration chapter of the documentation describes every setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from nublado.constants import FILES_PREFIX, PATH_PREFIX
from nublado.models.domain.image_filter import ImageFilters
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.resources import LabResources, Resources
from nublado.units import bytes_to_rounded_text

__all__ = [
    "AccessMode",
    "Config",
    "ContainerImage",
    "ContainerResources",
    "DockerSourceConfig",
    "FileserverConfig",
    "FsadminConfig",
    "GoogleSourceConfig",
    "HomedirSchema",
    "HostPathSource",
    "ImagesConfig",
    "InitContainer",
    "LabConfig",
    "LabSecret",
    "LabSizeDefinition",
    "NFSSource",
    "NSSConfig",
    "PVCSource",
    "PagesConfig",
    "Profile",
    "PullPolicy",
    "Style",
    "TmpSource",
    "Toleration",
    "Volume",
    "VolumeMount",
    "VolumeSource",
]


class Profile(StrEnum):
    """How logs are written."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Style(StrEnum):
    """For which releases a file is written: what is new at 15.1, or not."""

    OLD = "8.2"
    NEW = "15.1"


class PullPolicy(StrEnum):
    """When a node pulls the image of a container."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class HomedirSchema(StrEnum):
    """How the path of a home directory follows from the username."""

    USERNAME = "username"
    INITIAL_THEN_USERNAME = "initialThenUsername"


class TmpSource(StrEnum):
    """The medium of the lab's ``/tmp``."""

    MEMORY = "memory"
    DISK = "disk"


class AccessMode(StrEnum):
    """How a persistent volume claim may be mounted."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_ONLY_MANY = "ReadOnlyMany"
    READ_WRITE_MANY = "ReadWriteMany"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"


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


@dataclass(frozen=True, slots=True)
class InitContainer:
    """A container that runs before the notebook.

    Without ``command``, its image says what runs.
    """

    name: str
    image: ContainerImage
    command: tuple[str, ...] = ()
    privileged: bool = False
    volume_mounts: tuple[VolumeMount, ...] = ()


@dataclass(frozen=True, slots=True)
class LabSecret:
    """A key of a secret in the controller's namespace, copied to labs."""

    secret_name: str
    secret_key: str
    env: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class LabSizeDefinition:
    """Resources of a lab of one size.

    ``memory_text`` is the limit of memory for people, where it has been written
    for them.
    """

    size: str
    resources: LabResources
    memory_text: str | None = None

    @property
    def label(self) -> str:
        """Text for people, such as ``Small (1.0 CPU, 3Gi RAM)``."""
        limits = self.resources.limits
        memory = self.memory_text or bytes_to_rounded_text(limits.memory)
        return f"{self.size.title()} ({limits.label(memory)})"


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


@dataclass(frozen=True, slots=True)
class NSSConfig:
    """What comes before the generated lines of passwd and group."""

    base_passwd: str = "root:x:0:0:root:/root:/bin/bash\n"
    base_group: str = "root:x:0:\n"


@dataclass(frozen=True, slots=True)
class LabConfig:
    """How labs are built and how long their operations may take (seconds).

    ``affinity`` is in Kubernetes' spelling, already validated; empty if unset.
    Without ``activity_interval``, JupyterHub says how often labs report that they
    are in use. The values of ``namespace_annotations`` are templates.
    """

    namespace_prefix: str
    sizes: tuple[LabSizeDefinition, ...]
    application: str | None = None
    affinity: JSON = field(default_factory=dict)
    delete_timeout: float = 60.0
    spawn_timeout: float = 600.0
    reconcile_interval: float = 300.0
    activity_interval: float | None = None
    default_size: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    extra_annotations: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    homedir_prefix: str = "/home"
    homedir_schema: HomedirSchema = HomedirSchema.USERNAME
    homedir_suffix: str = ""
    home_volume_name: str = "home"
    init_containers: tuple[InitContainer, ...] = ()
    jupyterlab_config_dir: str = "/opt/lsst/software/jupyterlab"
    runtime_mounts_dir: str = "/opt/lsst/software/jupyterlab"
    lab_start_command: tuple[str, ...] = ("/opt/lsst/software/jupyterlab/runlab.sh",)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)
    nss: NSSConfig = NSSConfig()
    pull_secret: str | None = None
    secrets: tuple[LabSecret, ...] = ()
    standard_containers: bool = False
    standard_inithome: bool = False
    tmp_source: TmpSource = TmpSource.MEMORY
    tolerations: tuple[Toleration, ...] = ()
    volumes: tuple[Volume, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()

    @property
    def size_by_default(self) -> str:
        """Size of whoever does not choose one."""
        return self.default_size or self.sizes[0].size

    def namespace_of(self, username: str) -> str:
        """Name of the namespace that holds everything of a user's lab."""
        return f"{self.namespace_prefix}-{username}"

    def home_of(self, username: str) -> str:
        """Path of a user's home directory inside the lab."""
        parts = [self.homedir_prefix]
        if self.homedir_schema is HomedirSchema.INITIAL_THEN_USERNAME:
            parts.append(username[0])
        parts.append(username)
        if self.homedir_suffix:
            parts.append(self.homedir_suffix)
        return "/".join(parts)


@dataclass(frozen=True, slots=True)
class DockerSourceConfig:
    """Images come from a Docker registry (v2 API)."""

    repository: str
    registry: str = "docker.io"
    credentials_path: Path = Path("/etc/secrets/.dockerconfigjson")


@dataclass(frozen=True, slots=True)
class GoogleSourceConfig:
    """Images come from a Google Artifact Registry."""

    location: str
    project_id: str
    repository: str
    image: str


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """Which images users may choose, and which are prepulled.

    ``prepull_timeout`` is for one image on one node; times are seconds.
    """

    source: DockerSourceConfig | GoogleSourceConfig
    recommended_tag: str = "recommended"
    num_releases: int = 1
    num_weeklies: int = 2
    num_dailies: int = 3
    refresh_interval: float = 300.0
    prepull_timeout: float = 600.0
    cycle: int | None = None
    pin: tuple[str, ...] = ()
    alias_tags: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class PagesConfig:
    """How pages for people look, and who may show them in frames.

    Parameters
    ----------
    logo
        Logo of the platform, an ``<svg>`` element without anything active.
    accent_color
        Colour of links and buttons.
    frame_ancestors
        Origins whose pages may show the page of a spawn in a frame, besides the
        service's own.
    """

    logo: str | None = None
    accent_color: str = "#0b5cad"
    frame_ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration.

    ``fileserver`` and ``fsadmin`` are None where they are disabled. ``metrics``
    is whether the file asks for the publication of events.
    ``watch_reconnect_timeout`` is how long a watch may live (seconds).
    """

    lab: LabConfig
    images: ImagesConfig
    fileserver: FileserverConfig | None = None
    fsadmin: FsadminConfig | None = None
    dropdown_menu: ImageFilters = field(default_factory=ImageFilters)
    log_level: str = "INFO"
    profile: Profile = Profile.PRODUCTION
    name: str = "Nublado"
    pages: PagesConfig = PagesConfig()
    path_prefix: str = PATH_PREFIX
    style: Style = Style.OLD
    metrics: bool = False
    watch_reconnect_timeout: float = 180.0
    metadata_path: Path = Path("/etc/podinfo")
