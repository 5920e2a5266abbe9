"""Nodes of the cluster and the images that they hold."""

from __future__ import annotations

from nublado.models.domain.docker import split_reference
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.releases import Release
from nublado.sandbox.kubernetes.store import ApiError, Store, now

__all__ = ["Nodes"]

_MOST_NAMES = 5
"""How many names of an image a node gives."""


class Nodes:
    """Makes nodes and notes what they have pulled.

    Parameters
    ----------
    store, settings, release
        The cluster.
    """

    def __init__(
        self, store: Store, settings: ClusterSettings, release: Release
    ) -> None:
        self._store = store
        self._settings = settings
        self._release = release
        self._next = 1
        self._held: dict[str, list[JSON]] = {}

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
                    "kubeletVersion": self._release.kubelet_version,
                    "operatingSystem": "linux",
                    "architecture": "amd64",
                },
                "images": [],
            },
        }
        created = self._store.create("Node", node)
        self._held[name] = []
        return created

    def label(self, node: str, labels: dict[str, str]) -> None:
        """Add labels to a node."""

        def add(obj: JSON) -> None:
            obj["metadata"]["labels"] = {**obj["metadata"]["labels"], **labels}

        self._store.mutate("Node", None, node, add)

    def change(self, node: str, spec: JSON) -> None:
        """Cordon or taint a node, or the contrary."""
        self._store.mutate("Node", None, node, lambda obj: obj["spec"].update(spec))

    def has_image(self, node: str, image: str) -> bool:
        """Whether a node has an image, listed in its status or not."""
        wanted = set(_names(image))
        return any(wanted & set(e.get("names") or ()) for e in self._held_by(node))

    def add_image(self, node: str, image: str) -> None:
        """Note that a node has pulled an image."""
        if self._store.find("Node", None, node) and not self.has_image(node, image):
            self.list_image(node, _names(image), self._settings.image_bytes)

    def remove_image(self, node: str, image: str) -> None:
        """Let a node lose an image, as when its disk is full.

        Raises
        ------
        ApiError
            Raised if there is no such node, or it has no such image.
        """
        if not self.has_image(node, image):
            raise ApiError(404, "NotFound", f"{node} has no image {image}")
        lost = set(_names(image))
        self._held[node] = [
            entry
            for entry in self._held_by(node)
            if not lost & set(entry.get("names") or ())
        ]
        self._report(node)

    def list_image(self, node: str, names: list[str] | None, size: int) -> None:
        """Let a node have an image, which it may list.

        Parameters
        ----------
        node
            Name of the node.
        names
            Names of the image; one that has lost its tag has the name
            ``<none>@<none>``, or none at all (None).
        size
            Its size in bytes.

        Raises
        ------
        ApiError
            Raised if there is no such node.
        """
        entry: JSON = {"sizeBytes": size}
        if names is not None:
            entry["names"] = names
        self._held[node] = [entry, *self._held_by(node)]
        self._report(node)

    def _held_by(self, node: str) -> list[JSON]:
        """All images of a node, the newest first."""
        return self._held.get(node, [])

    def _report(self, node: str) -> None:
        """Let a node list its images, the largest first, as kubelets do."""
        images = sorted(self._held_by(node), key=lambda image: -image["sizeBytes"])
        most = self._settings.node_images
        listed = [_listed(image) for image in (images if most < 0 else images[:most])]

        def note(obj: JSON) -> None:
            obj["status"]["images"] = listed

        self._store.mutate("Node", None, node, note)


def _listed(image: JSON) -> JSON:
    names = image.get("names")
    return image if names is None else {**image, "names": names[:_MOST_NAMES]}


def _names(image: str) -> list[str]:
    """Names under which a node knows an image: by digest and by tag."""
    name, tag, digest = split_reference(image)
    by_digest = [f"{name}@{digest}"] if digest else []
    by_tag = [f"{name}:{tag}"] if tag else []
    return by_digest + by_tag or [name]
