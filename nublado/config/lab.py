"""Schema of ``lab``."""

from __future__ import annotations

from typing import Any

from nublado.config import kubernetes_names, paths
from nublado.config.affinity import AffinitySchema
from nublado.config.containers import (
    InitContainerSchema,
    VolumeMountSchema,
    VolumeSchema,
)
from nublado.config.fields import Choice, Duration, Memory, OptionalText, Text
from nublado.config.model import (
    HomedirSchema,
    LabConfig,
    LabSecret,
    LabSizeDefinition,
    NSSConfig,
    TmpSource,
)
from nublado.config.resources import ResourcesSchema
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section
from nublado.config.tolerations import TolerationSchema
from nublado.config.values import text_of
from nublado.constants import SIZE_NAMES
from nublado.models.domain.resources import Resources

__all__ = ["LabSchema"]

MAX_ANNOTATIONS = 256 * 1024
"""Bytes that the annotations of an object may have."""


def complete_lines(text: str) -> str:
    """Lines before which or behind which others may be put."""
    return text if not text or text.endswith("\n") else f"{text}\n"


class WrittenMemory(Memory):
    """An amount of memory in bytes, and how it is written."""

    def _read(self, value: object) -> Any:
        return super()._read(value), (text_of(value) or "").strip()


class LabSizeSchema(ResourcesSchema):
    """An element of ``sizes``."""

    size = Choice(SIZE_NAMES, any_case=True, required=True)
    memory = WrittenMemory(required=True)

    def build(self, data: dict[str, Any]) -> LabSizeDefinition:
        """Create the definition."""
        size = data.pop("size")
        data["memory"], memory_text = data["memory"]
        return LabSizeDefinition(size, Resources(**data), memory_text)


class LabSecretSchema(ConfigSchema):
    """An element of ``secrets``."""

    model = LabSecret
    secret_name = Text(kubernetes_names.dns_subdomain, required=True)
    secret_key = Text(kubernetes_names.secret_key, required=True)
    env = OptionalText(kubernetes_names.environment_name)
    path = OptionalText(paths.mount_path)


class NSSSchema(ConfigSchema):
    """The section ``nss``."""

    model = NSSConfig
    base_passwd = Text(complete_lines)
    base_group = Text(complete_lines)


class LabSchema(ConfigSchema):
    """The section ``lab``."""

    model = LabConfig
    namespace_prefix = Text(kubernetes_names.namespace_prefix, required=True)
    sizes = ListOf(Section(LabSizeSchema), required=True)
    application = OptionalText(kubernetes_names.label_value)
    affinity = Section(AffinitySchema)
    delete_timeout = Duration()
    spawn_timeout = Duration()
    env = MapOf(kubernetes_names.environment_name)
    extra_annotations = MapOf(
        kubernetes_names.qualified_name, max_bytes=MAX_ANNOTATIONS
    )
    files = MapOf(paths.file_path)
    homedir_prefix = Text(paths.directory)
    homedir_schema = Choice(HomedirSchema)
    homedir_suffix = Text(paths.home_suffix)
    init_containers = ListOf(Section(InitContainerSchema))
    jupyterlab_config_dir = Text(paths.directory)
    runtime_mounts_dir = Text(paths.directory)
    lab_start_command = ListOf(Text(str))
    node_selector = MapOf(kubernetes_names.qualified_name, kubernetes_names.label_value)
    nss = Section(NSSSchema)
    pull_secret = OptionalText(kubernetes_names.dns_subdomain)
    secrets = ListOf(Section(LabSecretSchema))
    tmp_source = Choice(TmpSource)
    tolerations = ListOf(Section(TolerationSchema))
    volumes = ListOf(Section(VolumeSchema))
    volume_mounts = ListOf(Section(VolumeMountSchema))
