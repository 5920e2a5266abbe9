"""Schemas of ``images``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, validates_schema

from nublado.config import image_names, paths
from nublado.config.fields import Duration, Integer, Text
from nublado.config.model import DockerSourceConfig, GoogleSourceConfig, ImagesConfig
from nublado.config.schema import ConfigSchema, same_as
from nublado.config.sections import ListOf, Tagged
from nublado.config.values import given, spelling

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
    docker_credentials_path = Text(paths.local_path)
    refresh_interval = Duration()
    prepull_timeout = Duration()
    cycle = Integer(minimum=0)
    pin = ListOf(Text(image_names.image_tag))
    alias_tags = ListOf(Text(image_names.image_tag))

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_credentials(self, _: Any, original: dict[str, Any], **__: Any) -> None:
        """Report credentials that are given for the source as well."""
        key = spelling(original, "source")
        if not given(original, "dockerCredentialsPath") or key is None:
            return
        if given(original[key], "credentialsPath"):
            message = same_as("source.credentialsPath")
            raise ValidationError(message, "dockerCredentialsPath")

    def build(self, data: dict[str, Any]) -> ImagesConfig:
        """Create the configuration; only Docker registries have credentials."""
        path = data.pop("docker_credentials_path", None)
        source = data["source"]
        if path is not None and isinstance(source, DockerSourceConfig):
            data["source"] = replace(source, credentials_path=Path(path))
        return ImagesConfig(**data)
