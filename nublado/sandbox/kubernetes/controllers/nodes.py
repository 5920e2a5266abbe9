"""Nodes of the cluster and the images that they hold."""

from __future__ import annotations

from nublado.models.domain.docker import split_reference
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.store import Store, now

__all__ = ["Nodes"]

_MOST_IMAGES = 50


class Nodes:
    """Makes nodes and notes what they have pulled.

    Parameters
    ----------
    store, settings
        The cluster.
    """

    def __init__(self, store: Store, settings: ClusterSettings) -> None:
        self._store = store
        self._settings = settings
        self._next = 1

    def create(self) -> None:
        """Make the nodes that the settings ask for."""
        for _ in range(self._settings.nodes):
            self.add()

    def add(
        self, name: str | None = None, labels: dict[str, str] | None = None
    ) -> JSON:
        """Add a node."""
        if name is None:
            name = f"node-{self._next}"
            self._next += 1
        capacity = {
            "cpu": str(self._settings.node_cpu),
            "memory": self._settings.node_memory,
            "pods": str(self._settings.node_pods),
            "ephemeral-storage": "1Ti",
        }
        own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        node = {
            "metadata": {"name": name, "labels": {**own, **(labels or {})}},
            "spec": {},
            "status": {
                "capacity": capacity,
                "allocatable": dict(capacity),
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "KubeletReady",
                        "message": "kubelet is posting ready status",
                        "lastHeartbeatTime": now(),
                        "lastTransitionTime": now(),
                    }
                ],
                "addresses": [{"type": "Hostname", "address": name}],
                "nodeInfo": {
                    "kubeletVersion": "v1.32.4",
                    "operatingSystem": "linux",
                    "architecture": "amd64",
                },
                "images": [],
            },
        }
        return self._store.create("Node", node)

    def label(self, node: str, labels: dict[str, str]) -> None:
        """Add labels to a node."""

        def add(obj: JSON) -> None:
            obj["metadata"]["labels"] = {**obj["metadata"]["labels"], **labels}

        self._store.mutate("Node", None, node, add)

    def change(self, node: str, spec: JSON) -> None:
        """Cordon or taint a node, or the contrary."""
        self._store.mutate("Node", None, node, lambda obj: obj["spec"].update(spec))

    def has_image(self, node: str, image: str) -> bool:
        """Whether a node holds an image."""
        found = self._store.find("Node", None, node)
        images = (found or {}).get("status", {}).get("images") or ()
        wanted = set(_names(image))
        return any(wanted & set(entry["names"]) for entry in images)

    def add_image(self, node: str, image: str) -> None:
        """Note that a node has pulled an image."""
        entry = {"names": _names(image), "sizeBytes": self._settings.image_bytes}

        def note(obj: JSON) -> None:
            images = obj["status"].setdefault("images", [])
            obj["status"]["images"] = [entry, *images][:_MOST_IMAGES]

        if self._store.find("Node", None, node) and not self.has_image(node, image):
            self._store.mutate("Node", None, node, note)


def _names(image: str) -> list[str]:
    """Names under which a node knows an image: by digest and by tag."""
    name, tag, digest = split_reference(image)
    by_digest = [f"{name}@{digest}"] if digest else []
    by_tag = [f"{name}:{tag}"] if tag else []
    return by_digest + by_tag or [name]
