"""The objects of a user's file server."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from urllib.parse import urlsplit

from nublado.config.model import (
    FileserverConfig,
    Volume,
)
from nublado.config.platform import Platform
from nublado.constants import (
    ARGO_CD_ANNOTATIONS,
    CATEGORY_FILESERVER,
    LABEL_ARGO_CD,
    LABEL_CATEGORY,
    LABEL_USER,
)
from nublado.models.domain.fileserver import FileserverNames, FileserverObjects
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.kubernetes import JSON
from nublado.services.builder.volumes import (
    claim_spec,
    container_mount,
    mounted_claims,
    pod_volumes,
)

__all__ = ["FileserverBuilder"]

_PORT = 8000
_PROGRAM = "/usr/local/bin/worblehat"
"""File server in the image that comes with the controller."""

_ROOT = "/mnt"
"""Where the file server expects all that it serves."""


class FileserverBuilder:
    """Builds file servers.

    Parameters
    ----------
    config
        Configuration of file servers.
    volumes
        Volumes that may be mounted; those of labs.
    platform
        What file servers are told of the platform, and the image that they run
        if none is configured.
    """

    def __init__(
        self, config: FileserverConfig, volumes: Sequence[Volume], platform: Platform
    ) -> None:
        self._config = config
        self._base_url = platform.base_url
        self._image = config.image or platform.image
        self._command = [] if config.image else [_PROGRAM]
        mounted = {mount.volume_name for mount in config.volume_mounts}
        self._volumes = [volume for volume in volumes if volume.name in mounted]

    def url(self, username: str) -> str:
        """URL that a user's WebDAV client connects to."""
        return f"{self._base_url}{self._path(username)}"

    def build(self, user: UserInfo) -> FileserverObjects:
        """Build the file server of a user."""
        names = FileserverNames(user.username)
        return FileserverObjects(
            claims=tuple(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": self._metadata(names, names.claim(volume)),
                    "spec": claim_spec(source),
                }
                for volume, source in mounted_claims(
                    self._volumes, self._config.volume_mounts
                )
            ),
            ingress=self._ingress(names),
            service=self._service(names),
            job=self._job(names, user),
        )

    def _path(self, username: str) -> str:
        return f"{self._config.path_prefix}/{username}"

    def _labels(self, names: FileserverNames) -> dict[str, str]:
        return {LABEL_CATEGORY: CATEGORY_FILESERVER, LABEL_USER: names.username}

    def _metadata(self, names: FileserverNames, name: str) -> JSON:
        labels = self._labels(names)
        if self._config.application is not None:
            labels[LABEL_ARGO_CD] = self._config.application
        return {
            "name": name,
            "namespace": self._config.namespace,
            "labels": labels,
            "annotations": dict(ARGO_CD_ANNOTATIONS),
        }

    def _ingress(self, names: FileserverNames) -> JSON:
        """Build what Gafaelfawr's operator makes the ingress from.

        References
        ----------
        https://gafaelfawr.lsst.io/user-guide/gafaelfawringress.html
        """
        backend = {"service": {"name": names.fileserver, "port": {"number": _PORT}}}
        path = {
            "path": self._path(names.username),
            "pathType": "Prefix",
            "backend": backend,
        }
        host = urlsplit(self._base_url).hostname
        return {
            "apiVersion": "gafaelfawr.lsst.io/v1alpha1",
            "kind": "GafaelfawrIngress",
            "metadata": self._metadata(names, names.fileserver),
            "config": {
                "allowOptions": True,
                "authType": "basic",
                "baseUrl": self._base_url,
                "scopes": {"all": ["write:files"]},
                "service": "nublado-files",
                "username": names.username,
            },
            "template": {
                "metadata": {"name": names.fileserver, "labels": self._labels(names)},
                "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]},
            },
        }

    def _service(self, names: FileserverNames) -> JSON:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self._metadata(names, names.fileserver),
            "spec": {
                "selector": self._labels(names),
                "ports": [{"port": _PORT, "targetPort": _PORT, "protocol": "TCP"}],
            },
        }

    # --- Job -------------------------------------------------------------

    def _job(self, names: FileserverNames, user: UserInfo) -> JSON:
        metadata = self._metadata(names, names.fileserver)
        metadata["annotations"].update(self._config.extra_annotations)
        pod_metadata = {
            "labels": dict(metadata["labels"]),
            "annotations": dict(metadata["annotations"]),
        }
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {
                "template": {
                    "metadata": pod_metadata,
                    "spec": {
                        "automountServiceAccountToken": False,
                        "restartPolicy": "Never",
                        **self._scheduling(),
                        "securityContext": _security_context(user),
                        "volumes": pod_volumes(
                            self._volumes, self._config.volume_mounts, names.claim
                        ),
                        "containers": [self._container(names)],
                    },
                },
            },
        }

    def _scheduling(self) -> JSON:
        config = self._config
        settings: JSON = {
            "affinity": deepcopy(config.affinity),
            "nodeSelector": dict(config.node_selector),
            "tolerations": [t.to_kubernetes() for t in config.tolerations],
        }
        return {key: value for key, value in settings.items() if value}

    def _container(self, names: FileserverNames) -> JSON:
        config = self._config
        mounts = [
            container_mount(
                replace(mount, container_path=f"{_ROOT}{mount.container_path}")
            )
            for mount in config.volume_mounts
        ]
        environment = {
            "WORBLEHAT_BASE_HREF": self._path(names.username),
            "WORBLEHAT_TIMEOUT": str(int(config.idle_timeout)),
            "WORBLEHAT_DIR": _ROOT,
        }
        return {
            "name": "fileserver",
            "image": self._image.reference,
            "imagePullPolicy": self._image.pull_policy.value,
            **({"command": list(self._command)} if self._command else {}),
            "env": [{"name": k, "value": v} for k, v in environment.items()],
            "ports": [{"name": "http", "containerPort": _PORT}],
            **(
                {"resources": config.resources.to_kubernetes()}
                if config.resources
                else {}
            ),
            "volumeMounts": mounts,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
        }


def _security_context(user: UserInfo) -> JSON:
    context: JSON = {
        "runAsUser": user.uid,
        "runAsGroup": user.gid,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    groups = user.supplemental_groups
    return context | {"supplementalGroups": groups} if groups else context
