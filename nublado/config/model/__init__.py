"""The configuration as the rest of the controller sees it.

Plain frozen dataclasses, filled by `nublado.config.load` after every check has
passed. Durations are seconds, memory is bytes, paths are normalised.

References
----------
The configuration chapter of the documentation describes every setting.
"""

from __future__ import annotations

from nublado.config.model.fileserver import FileserverConfig
from nublado.config.model.fsadmin import FsadminConfig
from nublado.config.model.images import (
    DockerSourceConfig,
    GoogleSourceConfig,
    ImagesConfig,
)
from nublado.config.model.lab import (
    HomedirSchema,
    InitContainer,
    LabConfig,
    LabSecret,
    LabSizeDefinition,
    NSSConfig,
    TmpSource,
)
from nublado.config.model.pages import PagesConfig
from nublado.config.model.pods import (
    ContainerImage,
    ContainerResources,
    PullPolicy,
    Toleration,
)
from nublado.config.model.root import Config, Profile, Style
from nublado.config.model.volumes import (
    AccessMode,
    HostPathSource,
    NFSSource,
    PVCSource,
    Volume,
    VolumeMount,
    VolumeSource,
)

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
