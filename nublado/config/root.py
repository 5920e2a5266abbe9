"""Schema of a configuration file as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from marshmallow import ValidationError

from nublado.config import paths
from nublado.config.fields import Choice, Duration, Setting, Text
from nublado.config.fileserver import FileserverSection
from nublado.config.fsadmin import FsadminSchema
from nublado.config.image_filters import ImageFiltersSchema
from nublado.config.images import ImagesSchema
from nublado.config.lab import LabSchema
from nublado.config.model import Config, Profile
from nublado.config.pages import PagesSchema
from nublado.config.schema import ConfigSchema
from nublado.config.sections import Section
from nublado.config.values import found

__all__ = ["RootSchema"]

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Given(Setting[bool]):
    """A mapping of which only counts that it is there."""

    def _read(self, value: object) -> bool:
        if not isinstance(value, dict):
            raise ValidationError(f"must be a mapping, not {found(value)}")
        return True


class RootSchema(ConfigSchema):
    """The file."""

    model = Config
    meaningful_when_empty = frozenset({"fsadmin"})
    aliases: ClassVar[Mapping[str, str]] = {"log_profile": "profile"}
    log_level = Choice(LOG_LEVELS, any_case=True)
    profile = Choice(Profile)
    log_profile = Choice(Profile)
    name = Text()
    path_prefix = Text(paths.route_prefix)
    metadata_path = Text(paths.local_path)
    runbook_url = Text(paths.page_url)
    lab = Section(LabSchema, required=True)
    images = Section(ImagesSchema, required=True)
    fileserver = FileserverSection()
    fsadmin = Section(FsadminSchema)
    pages = Section(PagesSchema)
    dropdown_menu = Section(ImageFiltersSchema)
    metrics = Given()
    watch_reconnect_timeout = Duration()

    def build(self, data: dict[str, Any]) -> Config:
        """Create the configuration."""
        if "metadata_path" in data:
            data["metadata_path"] = Path(data["metadata_path"])
        return Config(**data)
