"""The containers of a lab's pod."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from nublado.config.model import ContainerImage, InitContainer, LabConfig
from nublado.config.platform import Platform
from nublado.constants import (
    DISCOVERY_PATH,
    STANDARD_CONTAINER_PREFIX,
    STARTUP_DIRECTORY,
)
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabObjectNames
from nublado.models.domain.resources import LabResources
from nublado.models.domain.volumes import file_name_of, file_volume_name
from nublado.services.builder.lab_objects import DISCOVERY_VOLUME, LAB_PORT
from nublado.services.builder.volumes import container_mount

__all__ = ["NOTEBOOK", "STARTUP_VOLUME", "LabContainersBuilder"]

NOTEBOOK = "notebook"
"""Name of the container that runs JupyterLab."""

STARTUP_VOLUME = "lab-startup"
"""Volume by which the last init container tells the lab how to start."""

_STARTUP_MOUNT: JSON = {"name": STARTUP_VOLUME, "mountPath": STARTUP_DIRECTORY}

_PRIVILEGED: JSON = {
    "privileged": True,
    "allowPrivilegeEscalation": True,
    "runAsNonRoot": False,
    "runAsUser": 0,
    "readOnlyRootFilesystem": True,
}


class LabContainersBuilder:
    """Builds the containers of one user's lab.

    Parameters
    ----------
    config
        How labs are built.
    names
        Names of the lab's objects.
    user
        Whose lab it is.
    resources
        What each container may use.
    privileged_env
        Names of the variables that privileged containers get, none of which the
        user may choose.
    platform
        What containers are told of the platform, and the image of the standard
        init containers.
    """

    def __init__(
        self,
        config: LabConfig,
        names: LabObjectNames,
        user: UserInfo,
        resources: LabResources,
        privileged_env: Sequence[str],
        platform: Platform,
    ) -> None:
        self._config = config
        self._names = names
        self._user = user
        self._resources = resources
        self._privileged_env = privileged_env
        self._platform = platform
        self._home = config.home_of(user.username)

    def init_containers(self) -> list[JSON]:
        """Build what runs before JupyterLab, in the order in which it runs."""
        configured = [self._configured(c) for c in self._config.init_containers]
        if not self._config.standard_containers:
            return configured
        return [
            *self._inithome(),
            *configured,
            *self._landing_page(),
            self._startup(),
        ]

    def _configured(self, container: InitContainer) -> JSON:
        mounts = [container_mount(mount) for mount in container.volume_mounts]
        return self._init_container(
            container.name,
            container.image,
            container.command,
            mounts,
            privileged=container.privileged,
        )

    def _inithome(self) -> list[JSON]:
        """Build what makes the home of a user who has none."""
        config = self._config
        if not config.standard_inithome:
            return []
        mounts = [
            container_mount(mount)
            for mount in config.volume_mounts
            if mount.volume_name == config.home_volume_name
        ]
        return [self._standard_container("inithome", mounts, privileged=True)]

    def _landing_page(self) -> list[JSON]:
        """Build what puts the landing page of a science site into the home."""
        if self._config.env.get("RSP_SITE_TYPE") != "science":
            return []
        return [self._standard_container("landingpage", self._mounts([_STARTUP_MOUNT]))]

    def _startup(self) -> JSON:
        """Build what prepares the environment in which the lab starts."""
        container = self._standard_container("startup", self._mounts([_STARTUP_MOUNT]))
        container["env"] += self._secret_variables()
        return container

    def _standard_container(
        self, task: str, mounts: list[JSON], *, privileged: bool = False
    ) -> JSON:
        return self._init_container(
            f"{STANDARD_CONTAINER_PREFIX}{task}",
            self._platform.image,
            ("nublado", task),
            mounts,
            privileged=privileged,
        )

    def _init_container(
        self,
        name: str,
        image: ContainerImage,
        command: Sequence[str],
        mounts: list[JSON],
        *,
        privileged: bool,
    ) -> JSON:
        return {
            "name": name,
            "image": image.reference,
            "imagePullPolicy": image.pull_policy.value,
            **({"command": list(command)} if command else {}),
            **self._init_env(privileged=privileged),
            "resources": self._resources.to_kubernetes(),
            **({"volumeMounts": mounts} if mounts else {}),
            "securityContext": _PRIVILEGED.copy()
            if privileged
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

    def notebook(self, image: ResolvedImage) -> JSON:
        """Build the container that runs JupyterLab, from ``image``."""
        mounted = {**_STARTUP_MOUNT, "readOnly": True}
        startup = [mounted] if self._config.standard_containers else []
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
            "volumeMounts": self._mounts(startup),
            "securityContext": self._security_context(),
        }

    def _env_from(self) -> list[JSON]:
        return [{"configMapRef": {"name": self._names.env_config_map}}]

    def _notebook_env(self) -> list[JSON]:
        node_name = {"fieldRef": {"fieldPath": "spec.nodeName"}}
        return [
            *self._secret_variables(),
            {"name": "KUBERNETES_NODE_NAME", "valueFrom": node_name},
            {"name": "K8S_NODE_NAME", "valueFrom": deepcopy(node_name)},
        ]

    def _secret_variables(self) -> list[JSON]:
        """Variables from the lab's secret: the user's token, and what is configured."""
        configured = [
            self._secret_variable(secret.env, secret.secret_key)
            for secret in self._config.secrets
            if secret.env
        ]
        return [
            self._secret_variable("ACCESS_TOKEN", "token"),
            self._secret_variable("NUBLADO_TOKEN", "token"),
            *configured,
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

    def _mounts(self, startup: Sequence[JSON] = ()) -> list[JSON]:
        """All mounts of a lab, with that of the startup directory as it is given."""
        runtime = self._config.runtime_mounts_dir
        files = [
            _read_only(file_volume_name(path), path, file_name_of(path))
            for path in self._config.files
        ]
        discovery = []
        if self._platform.repertoire_url is not None:
            name = file_name_of(DISCOVERY_PATH)
            discovery = [_read_only(DISCOVERY_VOLUME, DISCOVERY_PATH, name)]
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
            *discovery,
            _read_only("secrets", f"{runtime}/secrets"),
            _read_only("env", f"{runtime}/environment"),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            _read_only("runtime", f"{runtime}/runtime"),
            *(dict(mount) for mount in startup),
            *secrets,
        ]


def _read_only(volume: str, path: str, sub_path: str | None = None) -> JSON:
    mount: JSON = {"name": volume, "mountPath": path, "readOnly": True}
    return mount | {"subPath": sub_path} if sub_path else mount
