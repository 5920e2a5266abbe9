"""Schema of ``fileserver``."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from nublado.config import kubernetes_names, paths
from nublado.config.affinity import AffinitySchema
from nublado.config.containers import ContainerImageSchema, VolumeMountSchema
from nublado.config.fields import Boolean, Duration, OptionalText, Text
from nublado.config.lab import MAX_ANNOTATIONS
from nublado.config.model import FileserverConfig
from nublado.config.resources import ContainerResourcesSchema
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section
from nublado.config.tolerations import TolerationSchema

__all__ = ["FileserverSection", "fileserver_enabled"]


class FileserverSchema(ConfigSchema):
    """The section ``fileserver`` where it is enabled."""

    enabled = Boolean()
    namespace = Text(kubernetes_names.dns_label, required=True)
    image = Section(ContainerImageSchema)
    path_prefix = Text(paths.route_prefix)
    application = OptionalText(kubernetes_names.label_value)
    affinity = Section(AffinitySchema)
    extra_annotations = MapOf(
        kubernetes_names.qualified_name, max_bytes=MAX_ANNOTATIONS
    )
    node_selector = MapOf(kubernetes_names.qualified_name, kubernetes_names.label_value)
    tolerations = ListOf(Section(TolerationSchema))
    volume_mounts = ListOf(Section(VolumeMountSchema))
    resources = Section(ContainerResourcesSchema)
    creation_timeout = Duration()
    delete_timeout = Duration()
    idle_timeout = Duration()
    reconcile_interval = Duration()

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
