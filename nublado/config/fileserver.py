"""Schema of ``fileserver``."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from marshmallow import ValidationError, validates_schema

from nublado.config import kubernetes_names, paths
from nublado.config.affinity import AffinitySchema
from nublado.config.containers import ContainerImageSchema, VolumeMountSchema
from nublado.config.fields import Boolean, Duration, OptionalText, Text
from nublado.config.lab import MAX_ANNOTATIONS
from nublado.config.model import FileserverConfig, FileserverResources
from nublado.config.resources import ResourcesSchema
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section
from nublado.config.tolerations import TolerationSchema
from nublado.models.domain.resources import Resources

__all__ = ["FileserverSection", "fileserver_enabled"]


class FileserverResourcesSchema(ConfigSchema):
    """The section ``resources``."""

    model = FileserverResources
    limits = Section(ResourcesSchema)
    requests = Section(ResourcesSchema)

    @validates_schema
    def check_requests(self, data: dict[str, Any], **_: Any) -> None:
        """Kubernetes refuses to guarantee more than the limit."""
        limits, requests = data.get("limits"), data.get("requests")
        if not limits or not requests:
            return
        errors = {
            resource.name: ["must not be more than the limit"]
            for resource in fields(Resources)
            if getattr(requests, resource.name) > getattr(limits, resource.name)
        }
        if errors:
            raise ValidationError({"requests": errors})


class FileserverSchema(ConfigSchema):
    """The section ``fileserver`` where it is enabled."""

    enabled = Boolean()
    namespace = Text(kubernetes_names.dns_label, required=True)
    image = Section(ContainerImageSchema, required=True)
    path_prefix = Text(paths.route_prefix)
    application = OptionalText(kubernetes_names.label_value)
    affinity = Section(AffinitySchema)
    extra_annotations = MapOf(
        kubernetes_names.qualified_name, max_bytes=MAX_ANNOTATIONS
    )
    node_selector = MapOf(kubernetes_names.qualified_name, kubernetes_names.label_value)
    tolerations = ListOf(Section(TolerationSchema))
    volume_mounts = ListOf(Section(VolumeMountSchema))
    resources = Section(FileserverResourcesSchema)
    creation_timeout = Duration()
    delete_timeout = Duration()
    idle_timeout = Duration()

    def build(self, data: dict[str, Any]) -> FileserverConfig:
        """Create the configuration."""
        del data["enabled"]
        return FileserverConfig(**data)


def fileserver_enabled(section: object) -> bool:
    """Whether a section of the file enables file servers."""
    return (
        isinstance(section, dict)
        and str(section.get("enabled") or False).lower() == "true"
    )


class FileserverSection(Section):
    """The section, of which only ``enabled`` counts where that is false."""

    def __init__(self) -> None:
        super().__init__(FileserverSchema)

    def _read(self, value: object) -> Any:
        if fileserver_enabled(value) or not isinstance(value, dict):
            return super()._read(value)
        try:
            Boolean().deserialize(value.get("enabled") or False)
        except ValidationError as e:
            raise ValidationError({"enabled": e.messages}) from e
        return None
