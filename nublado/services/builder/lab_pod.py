"""The pod of a lab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy

from nublado.config.model import LabConfig, TmpSource
from nublado.config.platform import Platform
from nublado.constants import (
    ANNOTATION_USER_GROUPS,
    ANNOTATION_USER_NAME,
    DISCOVERY_PATH,
    MEMORY_TO_TMP_RATIO,
)
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabObjectNames
from nublado.models.domain.resources import LabResources
from nublado.models.domain.volumes import file_name_of, file_volume_name
from nublado.services.builder.lab_containers import (
    NOTEBOOK,
    STARTUP_VOLUME,
    LabContainersBuilder,
)
from nublado.services.builder.lab_metadata import lab_metadata
from nublado.services.builder.lab_objects import DISCOVERY_VOLUME
from nublado.services.builder.volumes import lab_mounts, pod_volumes

__all__ = ["LabPodBuilder"]

_STARTUP_BYTES = 640 * 1024

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
    platform
        What it is told of the platform.
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
        self._platform = platform
        self._containers = LabContainersBuilder(
            config, names, user, resources, privileged_env, platform
        )

    def build(self, image: ResolvedImage) -> JSON:
        """Build the pod, which runs ``image``."""
        containers = self._containers
        init = containers.init_containers()
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self._metadata(),
            "spec": {
                "automountServiceAccountToken": False,
                "restartPolicy": "OnFailure",
                **self._scheduling(),
                "volumes": self._volumes(),
                **({"initContainers": init} if init else {}),
                "containers": [containers.notebook(image)],
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
            *self._discovery_volume(),
            {"name": "secrets", "secret": {"secretName": names.secret}},
            {"name": "env", "configMap": {"name": names.env_config_map}},
            self._tmp_volume(),
            _runtime_volume(),
            *self._startup_volume(),
        ]

    def _discovery_volume(self) -> list[JSON]:
        if self._platform.repertoire_url is None:
            return []
        path = DISCOVERY_PATH
        return [
            _config_map_volume(
                DISCOVERY_VOLUME, self._names.files_config_map, file_name_of(path)
            )
        ]

    def _startup_volume(self) -> list[JSON]:
        if not self._config.standard_containers:
            return []
        directory = {"medium": "Memory", "sizeLimit": str(_STARTUP_BYTES)}
        return [{"name": STARTUP_VOLUME, "emptyDir": directory}]

    def _tmp_volume(self) -> JSON:
        size = self._resources.limits.memory // MEMORY_TO_TMP_RATIO
        directory: JSON = {"sizeLimit": str(size)}
        if self._config.tmp_source is TmpSource.MEMORY:
            directory["medium"] = "Memory"
        return {"name": "tmp", "emptyDir": directory}


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
