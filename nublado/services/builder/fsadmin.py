"""The pod in which operators have all file systems of labs, as root."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from nublado.config.model import ContainerImage, FsadminConfig, LabConfig
from nublado.constants import (
    ANNOTATION_REQUESTED_BY,
    ARGO_CD_ANNOTATIONS,
    CATEGORY_FSADMIN,
    LABEL_CATEGORY,
)
from nublado.models.domain.kubernetes import JSON
from nublado.services.builder.volumes import (
    claim_spec,
    container_mount,
    mounted_claims,
    pod_volumes,
)

__all__ = ["FsadminBuilder"]

_COMMAND = ["tail", "-f", "/dev/null"]
"""Runs until it is stopped, and does nothing."""


class FsadminBuilder:
    """Builds the pod for the administration of file systems, and its claims.

    Parameters
    ----------
    config
        Configuration of the pod.
    lab
        Configuration of labs, whose volumes it mounts.
    image
        Image of its container, which needs ``tail`` and what operators use.
    namespace
        Namespace of the controller, where it runs.
    """

    def __init__(
        self,
        config: FsadminConfig,
        lab: LabConfig,
        image: ContainerImage,
        namespace: str,
    ) -> None:
        self._config = config
        self._image = image
        self._namespace = namespace
        prefix = config.mount_prefix or ""
        # Operators are here to change what labs may only read.
        self._mounts = [
            replace(
                mount,
                container_path=f"{prefix}{mount.container_path}",
                read_only=False,
            )
            for mount in (*lab.volume_mounts, *config.extra_volume_mounts)
        ]
        mounted = {mount.volume_name for mount in self._mounts}
        self._volumes = [
            volume
            for volume in (*lab.volumes, *config.extra_volumes)
            if volume.name in mounted
        ]

    def claims(self) -> list[JSON]:
        """Build a claim for each volume that needs one."""
        return [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": self._metadata(self._claim_name(volume)),
                "spec": claim_spec(source),
            }
            for volume, source in mounted_claims(self._volumes, self._mounts)
        ]

    def pod(self, username: str) -> JSON:
        """Build the pod.

        Parameters
        ----------
        username
            Who has asked for it.
        """
        config = self._config
        metadata = self._metadata(config.pod_name)
        metadata["annotations"].update(config.extra_annotations)
        metadata["annotations"][ANNOTATION_REQUESTED_BY] = username
        scheduling: JSON = {
            "affinity": deepcopy(config.affinity),
            "nodeSelector": dict(config.node_selector),
            "tolerations": [t.to_kubernetes() for t in config.tolerations],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {
                "automountServiceAccountToken": False,
                "restartPolicy": "Never",
                **{key: value for key, value in scheduling.items() if value},
                "containers": [self._container()],
                "volumes": pod_volumes(self._volumes, self._mounts, self._claim_name),
            },
        }

    def _claim_name(self, volume: str) -> str:
        return f"{self._config.pod_name}-pvc-{volume}"

    def _metadata(self, name: str) -> JSON:
        return {
            "name": name,
            "namespace": self._namespace,
            "labels": {LABEL_CATEGORY: CATEGORY_FSADMIN},
            "annotations": dict(ARGO_CD_ANNOTATIONS),
        }

    def _container(self) -> JSON:
        resources = self._config.resources
        return {
            "name": self._config.pod_name,
            "image": self._image.reference,
            "imagePullPolicy": self._image.pull_policy.value,
            "command": list(_COMMAND),
            **({"resources": resources.to_kubernetes()} if resources else {}),
            "volumeMounts": [container_mount(mount) for mount in self._mounts],
            "securityContext": {
                "privileged": True,
                "runAsUser": 0,
                "runAsGroup": 0,
            },
        }
