"""Configured volumes, and their mounts, as Kubernetes spells them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import assert_never

from nublado.config.model import (
    HostPathSource,
    LabConfig,
    NFSSource,
    PVCSource,
    Volume,
    VolumeMount,
)
from nublado.models.domain.kubernetes import JSON

__all__ = [
    "claim_spec",
    "container_mount",
    "lab_mounts",
    "mounted_claims",
    "pod_volumes",
]


def lab_mounts(config: LabConfig) -> list[VolumeMount]:
    """All configured mounts of a lab's pod, whichever container has them."""
    mounts = list(config.volume_mounts)
    for container in config.init_containers:
        mounts.extend(container.volume_mounts)
    return mounts


def container_mount(mount: VolumeMount) -> JSON:
    """Mount a configured volume in a container."""
    spelled: JSON = {"name": mount.volume_name, "mountPath": mount.container_path}
    if mount.sub_path:
        spelled["subPath"] = mount.sub_path
    if mount.read_only:
        spelled["readOnly"] = True
    return spelled


def mounted_claims(
    volumes: Iterable[Volume], mounts: Iterable[VolumeMount]
) -> list[tuple[str, PVCSource]]:
    """Name and source of the volumes that need a claim, since they are mounted."""
    mounted = {mount.volume_name for mount in mounts}
    return [
        (volume.name, volume.source)
        for volume in volumes
        if isinstance(volume.source, PVCSource) and volume.name in mounted
    ]


def claim_spec(source: PVCSource) -> JSON:
    """Ask for the storage behind a volume."""
    return {
        "storageClassName": source.storage_class_name,
        "accessModes": [mode.value for mode in source.access_modes],
        "resources": deepcopy(source.resources),
    }


def pod_volumes(
    volumes: Iterable[Volume],
    mounts: Iterable[VolumeMount],
    claim_name: Callable[[str], str],
) -> list[JSON]:
    """Make all volumes known to a pod.

    Left out are claims that nothing mounts: they do not exist, and would keep
    the pod from being scheduled.

    Parameters
    ----------
    volumes
        Configured volumes.
    mounts
        What the containers of the pod mount.
    claim_name
        Gives the name of the claim behind a volume.
    """
    mounted = {mount.volume_name for mount in mounts}
    return [
        {"name": volume.name, **_source(volume, claim_name)}
        for volume in volumes
        if volume.name in mounted or not isinstance(volume.source, PVCSource)
    ]


def _source(volume: Volume, claim_name: Callable[[str], str]) -> JSON:
    match volume.source:
        case HostPathSource(path):
            return {"hostPath": {"path": path}}
        case NFSSource(server, path, read_only):
            nfs: JSON = {"server": server, "path": path}
            return {"nfs": nfs | _read_only(read_only)}
        case PVCSource(read_only=read_only):
            claim: JSON = {"claimName": claim_name(volume.name)}
            return {"persistentVolumeClaim": claim | _read_only(read_only)}
        case _:  # pragma: no cover
            assert_never(volume.source)


def _read_only(read_only: bool) -> JSON:
    return {"readOnly": True} if read_only else {}
