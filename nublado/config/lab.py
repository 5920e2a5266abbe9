"""Schema of ``lab``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, validates_schema

from nublado.config import kubernetes_names, paths
from nublado.config.affinity import AffinitySchema
from nublado.config.containers import (
    InitContainerSchema,
    VolumeMountSchema,
    VolumeSchema,
)
from nublado.config.fields import (
    Boolean,
    Choice,
    Cores,
    Duration,
    Memory,
    OptionalText,
    Text,
)
from nublado.config.model import (
    HomedirSchema,
    LabConfig,
    LabSecret,
    LabSizeDefinition,
    NSSConfig,
    TmpSource,
)
from nublado.config.resources import ContainerResourcesSchema, ResourcesSchema
from nublado.config.schema import MESSAGES, ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section
from nublado.config.tolerations import TolerationSchema
from nublado.config.values import given, text_of
from nublado.constants import SIZE_NAMES
from nublado.models.domain.annotation_template import checked_template
from nublado.models.domain.resources import LabResources, Resources

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


class LabResourcesSchema(ContainerResourcesSchema):
    """Limits and requests of a lab."""

    model = LabResources
    limits = Section(ResourcesSchema, required=True)
    requests = Section(ResourcesSchema, required=True)


class LabSizeSchema(ConfigSchema):
    """An element of ``sizes``: with limits alone, or with requests too."""

    meaningful_when_empty = frozenset({"cpu", "memory", "resources"})
    size = Choice(SIZE_NAMES, any_case=True, required=True)
    cpu = Cores()
    memory = WrittenMemory()
    resources = Section(LabResourcesSchema)
    description = OptionalText()

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_form(self, _: Any, original: dict[str, Any], **__: Any) -> None:
        """Accept one of the two forms, and not both."""
        whole = given(original, "resources", even_empty=True)
        wrong = [
            key
            for key in ("cpu", "memory")
            if given(original, key, even_empty=True) == whole
        ]
        if wrong:
            message = MESSAGES["required"]
            if whole:
                message = "must not be given beside resources, which has its limit"
            raise ValidationError({key: [message] for key in wrong})

    def build(self, data: dict[str, Any]) -> LabSizeDefinition:
        """Create the definition."""
        description = data.get("description")
        if "resources" in data:
            return LabSizeDefinition(
                data["size"], data["resources"], description=description
            )
        memory, memory_text = data["memory"]
        limits = Resources(data["cpu"], memory)
        resources = LabResources.from_limits(limits)
        return LabSizeDefinition(data["size"], resources, memory_text, description)


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
    aliases: ClassVar[Mapping[str, str]] = {"empty_dir_source": "tmp_source"}
    namespace_prefix = Text(kubernetes_names.namespace_prefix, required=True)
    sizes = ListOf(Section(LabSizeSchema), required=True)
    application = OptionalText(kubernetes_names.label_value)
    affinity = Section(AffinitySchema)
    delete_timeout = Duration()
    spawn_timeout = Duration()
    reconcile_interval = Duration()
    activity_interval = Duration()
    default_size = Choice(SIZE_NAMES, any_case=True)
    env = MapOf(kubernetes_names.environment_name)
    extra_annotations = MapOf(
        kubernetes_names.qualified_name, max_bytes=MAX_ANNOTATIONS
    )
    files = MapOf(paths.file_path)
    homedir_prefix = Text(paths.directory)
    homedir_schema = Choice(HomedirSchema)
    homedir_suffix = Text(paths.home_suffix)
    home_volume_name = Text()
    init_containers = ListOf(Section(InitContainerSchema))
    jupyterlab_config_dir = Text(paths.directory)
    runtime_mounts_dir = Text(paths.directory)
    lab_start_command = ListOf(Text(str))
    node_selector = MapOf(kubernetes_names.qualified_name, kubernetes_names.label_value)
    namespace_annotations = MapOf(
        kubernetes_names.qualified_name, checked_template, max_bytes=MAX_ANNOTATIONS
    )
    nss = Section(NSSSchema)
    pull_secret = OptionalText(kubernetes_names.dns_subdomain)
    secrets = ListOf(Section(LabSecretSchema))
    standard_containers = Boolean()
    standard_inithome = Boolean()
    tmp_source = Choice(TmpSource)
    empty_dir_source = Choice(TmpSource)
    tolerations = ListOf(Section(TolerationSchema))
    volumes = ListOf(Section(VolumeSchema))
    volume_mounts = ListOf(Section(VolumeMountSchema))
