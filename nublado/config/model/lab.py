"""How labs are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nublado.config.model.pods import ContainerImage, Toleration
from nublado.config.model.volumes import Volume, VolumeMount
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.resources import LabResources
from nublado.units import bytes_to_text

__all__ = [
    "HomedirSchema",
    "InitContainer",
    "LabConfig",
    "LabSecret",
    "LabSizeDefinition",
    "NSSConfig",
    "TmpSource",
]


class HomedirSchema(StrEnum):
    """How the path of a home directory follows from the username."""

    USERNAME = "username"
    INITIAL_THEN_USERNAME = "initialThenUsername"


class TmpSource(StrEnum):
    """The medium of the lab's ``/tmp``."""

    MEMORY = "memory"
    DISK = "disk"


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
    for them, and ``description`` what operators say the size is good for.
    """

    size: str
    resources: LabResources
    memory_text: str | None = None
    description: str | None = None

    @property
    def label(self) -> str:
        """Text for people, such as ``Small (1.0 CPU, 3Gi RAM)``."""
        limits = self.resources.limits
        memory = self.memory_text or bytes_to_text(limits.memory, exactly=False)
        return f"{self.size.title()} ({limits.label(memory)})"


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
