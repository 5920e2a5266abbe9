"""Schemas of images, volumes and mounts."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validates_schema

from nublado.config import image_names, kubernetes_names, paths
from nublado.config.fields import Boolean, Choice, OptionalText, Text
from nublado.config.model import (
    AccessMode,
    ContainerImage,
    HostPathSource,
    InitContainer,
    NFSSource,
    PullPolicy,
    PVCSource,
    Volume,
    VolumeMount,
)
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section, Tagged

__all__ = [
    "ContainerImageSchema",
    "InitContainerSchema",
    "VolumeMountSchema",
    "VolumeSchema",
]


class ContainerImageSchema(ConfigSchema):
    """An image that is run as it is."""

    model = ContainerImage
    repository = Text(image_names.repository, required=True)
    tag = Text(image_names.pinned_tag, required=True)
    pull_policy = Choice(PullPolicy)


class HostPathSourceSchema(ConfigSchema):
    """``type: hostPath``."""

    model = HostPathSource
    path = Text(paths.host_path, required=True)


class NFSSourceSchema(ConfigSchema):
    """``type: nfs``."""

    model = NFSSource
    server = Text(required=True)
    server_path = Text(paths.server_path, required=True)
    read_only = Boolean()


class PVCResourcesSchema(ConfigSchema):
    """Resources of a claim."""

    requests = MapOf(
        kubernetes_names.qualified_name, kubernetes_names.quantity, required=True
    )

    @validates_schema(skip_on_field_errors=False)
    def check_storage(self, data: dict[str, Any], **_: Any) -> None:
        """Kubernetes accepts no claim without a request for storage."""
        if "storage" not in data.get("requests", {"storage": ""}):
            raise ValidationError(
                {"requests": {"storage": ["is required, and missing"]}}
            )


class PVCSourceSchema(ConfigSchema):
    """``type: persistentVolumeClaim``."""

    model = PVCSource
    access_modes = ListOf(Choice(AccessMode), required=True)
    storage_class_name = Text(kubernetes_names.storage_class, required=True)
    resources = Section(PVCResourcesSchema, required=True)
    read_only = Boolean()

    @validates_schema(skip_on_field_errors=False)
    def check_access_modes(self, data: dict[str, Any], **_: Any) -> None:
        """Kubernetes lets ``ReadWriteOncePod`` stand only alone."""
        modes = set(data.get("access_modes", ()))
        if AccessMode.READ_WRITE_ONCE_POD in modes and len(modes) > 1:
            raise ValidationError(
                "must not combine ReadWriteOncePod with other modes", "access_modes"
            )


class VolumeSchema(ConfigSchema):
    """An element of ``lab.volumes``."""

    model = Volume
    name = Text(kubernetes_names.volume_name, required=True)
    source = Tagged(
        {
            "hostPath": HostPathSourceSchema,
            "nfs": NFSSourceSchema,
            "persistentVolumeClaim": PVCSourceSchema,
        },
        required=True,
    )


class VolumeMountSchema(ConfigSchema):
    """An element of any ``volumeMounts``."""

    model = VolumeMount
    container_path = Text(paths.mount_path, required=True)
    volume_name = Text(required=True)
    sub_path = OptionalText(paths.sub_path)
    read_only = Boolean()


class InitContainerSchema(ConfigSchema):
    """An element of ``lab.initContainers``."""

    model = InitContainer
    name = Text(kubernetes_names.init_container_name, required=True)
    image = Section(ContainerImageSchema, required=True)
    command = ListOf(Text(str))
    privileged = Boolean()
    volume_mounts = ListOf(Section(VolumeMountSchema))
