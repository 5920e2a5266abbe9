"""Schema of a configuration file as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nublado.config import paths
from nublado.config.fields import Choice, Text
from nublado.config.fileserver import FileserverSection
from nublado.config.fsadmin import FsadminSchema
from nublado.config.image_filters import ImageFiltersSchema
from nublado.config.images import ImagesSchema
from nublado.config.lab import LabSchema
from nublado.config.model import Config, Profile
from nublado.config.schema import ConfigSchema
from nublado.config.sections import Section

__all__ = ["RootSchema"]

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class RootSchema(ConfigSchema):
    """The file."""

    model = Config
    meaningful_when_empty = frozenset({"fsadmin"})
    log_level = Choice(LOG_LEVELS, any_case=True)
    profile = Choice(Profile)
    name = Text()
    path_prefix = Text(paths.route_prefix)
    metadata_path = Text(paths.local_path)
    lab = Section(LabSchema, required=True)
    images = Section(ImagesSchema, required=True)
    fileserver = FileserverSection()
    fsadmin = Section(FsadminSchema)
    dropdown_menu = Section(ImageFiltersSchema)

    def build(self, data: dict[str, Any]) -> Config:
        """Create the configuration."""
        if "metadata_path" in data:
            data["metadata_path"] = Path(data["metadata_path"])
        return Config(**data)
