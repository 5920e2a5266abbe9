"""What the configuration of a deployment takes for granted in its cluster."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from nublado.config.model import (
    Config,
    DockerSourceConfig,
    GoogleSourceConfig,
    PVCSource,
)
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.nodes import Nodes
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.registry import Registry
from nublado.sandbox.tags import make_tags

__all__ = ["NAMESPACE", "provide_for", "write_metadata"]

NAMESPACE = "nublado"
"""Namespace of the controller."""

_CONTROLLER = "nublado-controller"


def provide_for(
    config: Config, store: Store, nodes: Nodes, registry: Registry, tags: int
) -> None:
    """Make the secrets, storage classes, nodes and tags that a configuration names.

    Parameters
    ----------
    config
        Configuration of a deployment.
    store, nodes, registry
        The sandbox.
    tags
        How many tags the registry has.
    """
    for name, data in _secrets(config).items():
        store.create("Secret", {"metadata": {"name": name}, "data": data}, NAMESPACE)
    if config.lab.pull_secret:
        pull_secret = _pull_secret(config.lab.pull_secret)
        store.create("Secret", pull_secret, NAMESPACE)
    for name in _storage_classes(config):
        storage_class = {"metadata": {"name": name}, "provisioner": "sandbox"}
        store.create("StorageClass", storage_class)
    for node in store.list("Node"):
        nodes.label(node["metadata"]["name"], dict(config.lab.node_selector))
    if config.fileserver is not None:
        store.create("Namespace", {"metadata": {"name": config.fileserver.namespace}})
    registry.repositories[_repository(config.images.source)] = make_tags(
        tags,
        recommended=config.images.recommended_tag,
        pinned=config.images.pin,
        cycle=config.images.cycle,
    )


def write_metadata(store: Store, directory: Path) -> None:
    """Make the controller's pod, and write its metadata as Kubernetes would.

    Parameters
    ----------
    store
        Objects of the cluster.
    directory
        Where the downward API puts the files of the controller's pod.
    """
    pod = store.find("Pod", NAMESPACE, _CONTROLLER)
    if pod is None:
        container = {
            "name": "controller",
            "image": "nublado:sandbox",
            "resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "1"}},
        }
        made = {"metadata": {"name": _CONTROLLER}, "spec": {"containers": [container]}}
        pod = store.create("Pod", made, NAMESPACE)
    directory.mkdir(parents=True, exist_ok=True)
    for field in ("name", "namespace", "uid"):
        (directory / field).write_text(pod["metadata"][field])


def _repository(source: DockerSourceConfig | GoogleSourceConfig) -> str:
    """Name of a repository in the API of its registry."""
    if isinstance(source, GoogleSourceConfig):
        return f"{source.project_id}/{source.repository}/{source.image}"
    if source.registry == "docker.io" and "/" not in source.repository:
        return f"library/{source.repository}"
    return source.repository


def _storage_classes(config: Config) -> set[str]:
    volumes = list(config.lab.volumes)
    if config.fsadmin is not None:
        volumes += config.fsadmin.extra_volumes
    sources = (volume.source for volume in volumes)
    return {s.storage_class_name for s in sources if isinstance(s, PVCSource)}


def _secrets(config: Config) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for secret in config.lab.secrets:
        content = f"made up for {secret.secret_key}\n"
        encoded = base64.b64encode(content.encode()).decode()
        found.setdefault(secret.secret_name, {})[secret.secret_key] = encoded
    return found


def _pull_secret(name: str) -> JSON:
    content = base64.b64encode(json.dumps({"auths": {}}).encode()).decode()
    return {
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": content},
    }
