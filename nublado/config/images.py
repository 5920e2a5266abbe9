"""Schemas of ``images``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nublado.config import image_names, paths
from nublado.config.fields import Integer, Text
from nublado.config.model import DockerSourceConfig, GoogleSourceConfig, ImagesConfig
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, Tagged

__all__ = ["ImagesSchema"]


class DockerSourceSchema(ConfigSchema):
    """``type: docker``."""

    model = DockerSourceConfig
    registry = Text(image_names.registry)
    repository = Text(image_names.repository, required=True)
    credentials_path = Text(paths.local_path)

    def build(self, data: dict[str, Any]) -> DockerSourceConfig:
        if "credentials_path" in data:
            data["credentials_path"] = Path(data["credentials_path"])
        return DockerSourceConfig(**data)


class GoogleSourceSchema(ConfigSchema):
    """``type: google``."""

    model = GoogleSourceConfig
    location = Text(image_names.project, required=True)
    project_id = Text(image_names.project, required=True)
    repository = Text(image_names.repository, required=True)
    image = Text(image_names.repository, required=True)


class ImagesSchema(ConfigSchema):
    """The section ``images``."""

    model = ImagesConfig
    source = Tagged(
        {"docker": DockerSourceSchema, "google": GoogleSourceSchema}, required=True
    )
    recommended_tag = Text(image_names.image_tag)
    num_releases = Integer(minimum=0)
    num_weeklies = Integer(minimum=0)
    num_dailies = Integer(minimum=0)
    cycle = Integer(minimum=0)
    pin = ListOf(Text(image_names.image_tag))
    alias_tags = ListOf(Text(image_names.image_tag))
