"""The pod of a lab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy

from nublado.config.model import InitContainer, LabConfig, TmpSource
from nublado.constants import (
    ANNOTATION_USER_GROUPS,
    ANNOTATION_USER_NAME,
    MEMORY_TO_TMP_RATIO,
)
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabObjectNames
from nublado.models.domain.resources import LabResources
from nublado.models.domain.volumes import file_name_of, file_volume_name
from nublado.services.builder.lab_metadata import lab_metadata
from nublado.services.builder.lab_objects import LAB_PORT
from nublado.services.builder.volumes import container_mount, lab_mounts, pod_volumes

__all__ = ["NOTEBOOK", "LabPodBuilder"]

NOTEBOOK = "notebook"
"""Name of the container that runs JupyterLab."""

_MODE = 0o644

_RUNTIME_RESOURCES = (
    "limits.cpu",
    "requests.cpu",
    "limits.memory",
    "requests.memory",
)


class LabPodBuilder:
    """Builds the pod of one user's lab.

    Parameters
    ----------
    config
        How labs are built.
    names
        Names of the lab's objects.
    user
        Whose lab it is.
    resources
        What its containers may use.
    privileged_env
        Names of the variables that privileged containers get, none of which the
        user may choose.
    """

    def __init__(
        self,
        config: LabConfig,
        names: LabObjectNames,
        user: UserInfo,
        resources: LabResources,
        privileged_env: Sequence[str],
    ) -> None:
        self._config = config
        self._names = names
        self._user = user
        self._resources = resources
        self._privileged_env = privileged_env
        self._home = config.home_of(user.username)

    def build(self, image: ResolvedImage) -> JSON:
        """Build the pod, which runs ``image``."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self._metadata(),
            "spec": {
                "automountServiceAccountToken": False,
                "restartPolicy": "OnFailure",
                **self._scheduling(),
                "volumes": self._volumes(),
                **self._init_containers(),
                "containers": [self._notebook(image)],
            },
        }

    def _metadata(self) -> JSON:
        metadata = lab_metadata(self._config, self._names, self._names.pod)
        annotations = metadata["annotations"]
        groups = [{"name": g.name, "id": g.id} for g in self._user.groups_with_id]
        annotations[ANNOTATION_USER_GROUPS] = json.dumps(groups)
        if self._user.name:
            annotations[ANNOTATION_USER_NAME] = self._user.name
        annotations.update(self._config.extra_annotations)
        return metadata

    def _scheduling(self) -> JSON:
        """Where the pod runs and with which rights; what is unset is left out."""
        config = self._config
        groups = self._user.supplemental_groups
        settings: JSON = {
            "imagePullSecrets": [{"name": self._names.pull_secret}]
            if config.pull_secret
            else None,
            "affinity": deepcopy(config.affinity),
            "nodeSelector": dict(config.node_selector),
            "tolerations": [t.to_kubernetes() for t in config.tolerations],
            "securityContext": {"supplementalGroups": groups} if groups else None,
        }
        return {key: value for key, value in settings.items() if value}

    # --- Containers ------------------------------------------------------

    def _init_containers(self) -> JSON:
        containers = [self._init_container(c) for c in self._config.init_containers]
        return {"initContainers": containers} if containers else {}

    def _init_container(self, container: InitContainer) -> JSON:
        mounts = [container_mount(mount) for mount in container.volume_mounts]
        return {
            "name": container.name,
            "image": container.image.reference,
            "imagePullPolicy": container.image.pull_policy.value,
            **self._init_env(privileged=container.privileged),
            "resources": self._resources.to_kubernetes(),
            **({"volumeMounts": mounts} if mounts else {}),
            "securityContext": self._privileged_security_context()
            if container.privileged
            else self._security_context(),
        }

    def _init_env(self, *, privileged: bool) -> JSON:
        own = [
            {"name": "NUBLADO_HOME", "value": self._home},
            {"name": "NUBLADO_UID", "value": str(self._user.uid)},
            {"name": "NUBLADO_GID", "value": str(self._user.gid)},
        ]
        if not privileged:
            return {"envFrom": self._env_from(), "env": own}
        config_map = self._names.env_config_map
        trusted = [
            {
                "name": name,
                "valueFrom": {"configMapKeyRef": {"name": config_map, "key": name}},
            }
            for name in self._privileged_env
        ]
        return {"env": [*trusted, *own]}

    def _notebook(self, image: ResolvedImage) -> JSON:
        return {
            "name": NOTEBOOK,
            "image": image.reference_with_digest,
            "imagePullPolicy": "IfNotPresent",
            "args": list(self._config.lab_start_command),
            "workingDir": self._home,
            "envFrom": self._env_from(),
            "env": self._notebook_env(),
            "ports": [{"name": "jupyterlab", "containerPort": LAB_PORT}],
            "resources": self._resources.to_kubernetes(),
            "volumeMounts": self._notebook_mounts(),
            "securityContext": self._security_context(),
        }

    def _env_from(self) -> list[JSON]:
        return [{"configMapRef": {"name": self._names.env_config_map}}]

    def _notebook_env(self) -> list[JSON]:
        node_name = {"fieldRef": {"fieldPath": "spec.nodeName"}}
        secrets = [
            self._secret_variable(secret.env, secret.secret_key)
            for secret in self._config.secrets
            if secret.env
        ]
        return [
            self._secret_variable("ACCESS_TOKEN", "token"),
            {"name": "KUBERNETES_NODE_NAME", "valueFrom": node_name},
            {"name": "K8S_NODE_NAME", "valueFrom": deepcopy(node_name)},
            *secrets,
        ]

    def _secret_variable(self, name: str, key: str) -> JSON:
        reference = {"name": self._names.secret, "key": key}
        return {"name": name, "valueFrom": {"secretKeyRef": reference}}

    def _security_context(self) -> JSON:
        return {
            "runAsUser": self._user.uid,
            "runAsGroup": self._user.gid,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }

    def _privileged_security_context(self) -> JSON:
        return {
            "privileged": True,
            "allowPrivilegeEscalation": True,
            "runAsNonRoot": False,
            "runAsUser": 0,
            "readOnlyRootFilesystem": True,
        }

    # --- Volumes ---------------------------------------------------------

    def _volumes(self) -> list[JSON]:
        names = self._names
        configured = pod_volumes(
            self._config.volumes, lab_mounts(self._config), names.pvc
        )
        files = [
            _config_map_volume(
                file_volume_name(path), names.files_config_map, file_name_of(path)
            )
            for path in self._config.files
        ]
        return [
            *configured,
            _config_map_volume("passwd", names.nss_config_map, "passwd"),
            _config_map_volume("group", names.nss_config_map, "group"),
            *files,
            {"name": "secrets", "secret": {"secretName": names.secret}},
            {"name": "env", "configMap": {"name": names.env_config_map}},
            self._tmp_volume(),
            _runtime_volume(),
        ]

    def _tmp_volume(self) -> JSON:
        size = self._resources.limits.memory // MEMORY_TO_TMP_RATIO
        directory: JSON = {"sizeLimit": str(size)}
        if self._config.tmp_source is TmpSource.MEMORY:
            directory["medium"] = "Memory"
        return {"name": "tmp", "emptyDir": directory}

    def _notebook_mounts(self) -> list[JSON]:
        runtime = self._config.runtime_mounts_dir
        files = [
            _read_only(file_volume_name(path), path, file_name_of(path))
            for path in self._config.files
        ]
        secrets = [
            _read_only("secrets", secret.path, secret.secret_key)
            for secret in self._config.secrets
            if secret.path
        ]
        return [
            *(container_mount(mount) for mount in self._config.volume_mounts),
            _read_only("passwd", "/etc/passwd", "passwd"),
            _read_only("group", "/etc/group", "group"),
            *files,
            _read_only("secrets", f"{runtime}/secrets"),
            _read_only("env", f"{runtime}/environment"),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            _read_only("runtime", f"{runtime}/runtime"),
            *secrets,
        ]


def _read_only(volume: str, path: str, sub_path: str | None = None) -> JSON:
    mount: JSON = {"name": volume, "mountPath": path, "readOnly": True}
    return mount | {"subPath": sub_path} if sub_path else mount


def _config_map_volume(volume: str, config_map: str, path: str) -> JSON:
    """Make a volume of one item of a config map, whose key is its own name."""
    item = {"key": volume, "path": path, "mode": _MODE}
    return {"name": volume, "configMap": {"name": config_map, "items": [item]}}


def _runtime_volume() -> JSON:
    items = [
        {
            "path": resource.replace(".", "_"),
            "resourceFieldRef": {"containerName": NOTEBOOK, "resource": resource},
        }
        for resource in _RUNTIME_RESOURCES
    ]
    return {"name": "runtime", "downwardAPI": {"items": items}}
