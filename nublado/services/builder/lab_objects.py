"""Objects of a lab besides its pod."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from copy import deepcopy

from nublado.config.model import LabConfig
from nublado.constants import ANNOTATION_SPAWN
from nublado.exceptions import MissingSecretError
from nublado.models.domain.annotation_template import render_annotation
from nublado.models.domain.gafaelfawr import NotebookQuota, UserInfo
from nublado.models.domain.kubernetes import JSON, name_of, namespace_of
from nublado.models.domain.lab import LabObjectNames
from nublado.models.domain.spawn_record import SpawnRecord
from nublado.models.domain.volumes import file_volume_name
from nublado.services.builder.lab_metadata import lab_metadata, lab_selector
from nublado.services.builder.nss import group_file, passwd_file
from nublado.services.builder.volumes import claim_spec, lab_mounts, mounted_claims

__all__ = ["DISCOVERY_VOLUME", "LAB_PORT", "LabObjectsBuilder", "SecretData"]

LAB_PORT = 8888
"""Port at which JupyterLab listens."""

DISCOVERY_VOLUME = "discovery-v1-json"
"""Volume with the answer of the service discovery, and its key."""

SecretData = Mapping[str, Mapping[str, str]]
"""By name of secret, its ``data`` as Kubernetes gives it: base64 text by key."""


class LabObjectsBuilder:
    """Builds everything but the pod in the namespace of one user's lab."""

    def __init__(self, config: LabConfig, names: LabObjectNames) -> None:
        self._config = config
        self._names = names

    def namespace(self, user: UserInfo) -> JSON:
        """Build the namespace itself."""
        metadata = lab_metadata(self._config, self._names, self._names.namespace)
        del metadata["namespace"]
        metadata["annotations"] |= {
            name: render_annotation(template, uid=user.uid, gid=user.gid)
            for name, template in self._config.namespace_annotations.items()
        }
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}

    def secret(self, token: str, secrets: SecretData) -> JSON:
        """Build the lab's secret: what is configured, and the user's token."""
        data = {
            secret.secret_key: secrets[secret.secret_name][secret.secret_key]
            for secret in self._config.secrets
        }
        data["token"] = b64encode(token.encode()).decode()
        return self._secret(self._names.secret, "Opaque", data)

    def env_config_map(self, env: Mapping[str, str], record: SpawnRecord) -> JSON:
        """Build the environment, with the record of the request."""
        config_map = self._config_map(self._names.env_config_map, dict(env))
        config_map["metadata"]["annotations"][ANNOTATION_SPAWN] = record.to_json()
        return config_map

    def remaining(
        self, user: UserInfo, pull_secret: JSON | None, discovery: str | None
    ) -> list[JSON]:
        """Build all that comes after the environment and before the pod.

        Parameters
        ----------
        user
            Whose lab it is.
        pull_secret
            The secret to pull images with, if one is configured.
        discovery
            Answer of the service discovery, if there is one.
        """
        objects = [*self._claims(), self._nss_config_map(user)]
        if self._config.files or discovery is not None:
            objects.append(self._files_config_map(discovery))
        if pull_secret is not None:
            objects.append(self._pull_secret(pull_secret))
        if user.notebook_quota is not None:
            objects.append(self._quota(user.notebook_quota))
        return [*objects, self._network_policy(), self._service()]

    def _claims(self) -> list[JSON]:
        claims = mounted_claims(self._config.volumes, lab_mounts(self._config))
        return [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": self._metadata(self._names.pvc(name)),
                "spec": claim_spec(source),
            }
            for name, source in claims
        ]

    def _nss_config_map(self, user: UserInfo) -> JSON:
        home = self._config.home_of(user.username)
        data = {
            "passwd": passwd_file(self._config.nss, user, home),
            "group": group_file(self._config.nss, user),
        }
        return self._config_map(self._names.nss_config_map, data)

    def _files_config_map(self, discovery: str | None) -> JSON:
        data = {
            file_volume_name(path): content
            for path, content in self._config.files.items()
        }
        if discovery is not None:
            data[DISCOVERY_VOLUME] = discovery
        return self._config_map(self._names.files_config_map, data)

    def _pull_secret(self, original: JSON) -> JSON:
        data = original.get("data")
        if not data:
            name, namespace = name_of(original), namespace_of(original)
            raise MissingSecretError(f"Secret {namespace}/{name} has no data")
        return self._secret(self._names.pull_secret, original["type"], dict(data))

    def _quota(self, quota: NotebookQuota) -> JSON:
        return {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": self._metadata(self._names.quota),
            "spec": {"hard": quota.resources.to_kubernetes("limits.")},
        }

    def _network_policy(self) -> JSON:
        selector = {"matchLabels": lab_selector(self._names.username)}
        hub = {
            "namespaceSelector": {},
            "podSelector": {"matchLabels": {"app": "jupyterhub"}},
        }
        own_namespace = {"namespaceSelector": selector}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self._metadata(self._names.network_policy),
            "spec": {
                "podSelector": deepcopy(selector),
                "policyTypes": ["Ingress"],
                "ingress": [
                    {"from": [hub, own_namespace], "ports": [{"port": LAB_PORT}]}
                ],
            },
        }

    def _service(self) -> JSON:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self._metadata(self._names.service),
            "spec": {
                "ports": [{"port": LAB_PORT, "targetPort": LAB_PORT}],
                "selector": lab_selector(self._names.username),
            },
        }

    def _metadata(self, name: str) -> JSON:
        return lab_metadata(self._config, self._names, name)

    def _config_map(self, name: str, data: dict[str, str]) -> JSON:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self._metadata(name),
            "data": data,
            "immutable": True,
        }

    def _secret(self, name: str, secret_type: str, data: dict[str, str]) -> JSON:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": self._metadata(name),
            "type": secret_type,
            "data": data,
            "immutable": True,
        }
