"""Schema of ``fsadmin``."""

from __future__ import annotations

from nublado.config import kubernetes_names, paths
from nublado.config.affinity import AffinitySchema
from nublado.config.containers import VolumeMountSchema, VolumeSchema
from nublado.config.fields import Duration, OptionalText, Text
from nublado.config.lab import MAX_ANNOTATIONS
from nublado.config.model import FsadminConfig
from nublado.config.resources import ContainerResourcesSchema
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section
from nublado.config.tolerations import TolerationSchema

__all__ = ["FsadminSchema"]


class FsadminSchema(ConfigSchema):
    """The section ``fsadmin``, which an empty mapping enables too."""

    model = FsadminConfig
    pod_name = Text(kubernetes_names.dns_label)
    timeout = Duration()
    mount_prefix = OptionalText(paths.directory)
    extra_volumes = ListOf(Section(VolumeSchema))
    extra_volume_mounts = ListOf(Section(VolumeMountSchema))
    resources = Section(ContainerResourcesSchema)
    extra_annotations = MapOf(
        kubernetes_names.qualified_name, max_bytes=MAX_ANNOTATIONS
    )
    node_selector = MapOf(kubernetes_names.qualified_name, kubernetes_names.label_value)
    affinity = Section(AffinitySchema)
    tolerations = ListOf(Section(TolerationSchema))
