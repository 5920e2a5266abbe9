"""The whole configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from nublado.config.model.fileserver import FileserverConfig
from nublado.config.model.fsadmin import FsadminConfig
from nublado.config.model.images import ImagesConfig
from nublado.config.model.lab import LabConfig
from nublado.config.model.pages import PagesConfig
from nublado.constants import PATH_PREFIX
from nublado.models.domain.image_filter import ImageFilters

__all__ = ["Config", "Profile", "Style"]


class Profile(StrEnum):
    """How logs are written."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Style(StrEnum):
    """For which releases a file is written: what is new at 15.1, or not."""

    OLD = "8.2"
    NEW = "15.1"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration.

    ``fileserver`` and ``fsadmin`` are None where they are disabled. ``metrics``
    is whether the file asks for the publication of events.
    ``watch_reconnect_timeout`` is how long a watch may live (seconds). Without
    ``runbook_url``, the service serves the runbook itself.
    """

    lab: LabConfig
    images: ImagesConfig
    fileserver: FileserverConfig | None = None
    fsadmin: FsadminConfig | None = None
    dropdown_menu: ImageFilters = field(default_factory=ImageFilters)
    log_level: str = "INFO"
    profile: Profile = Profile.PRODUCTION
    name: str = "Nublado"
    pages: PagesConfig = field(default_factory=PagesConfig)
    path_prefix: str = PATH_PREFIX
    style: Style = Style.OLD
    metrics: bool = False
    watch_reconnect_timeout: float = 180.0
    metadata_path: Path = Path("/etc/podinfo")
    runbook_url: str | None = None
