"""The pod that makes a node pull an image."""

from __future__ import annotations

import hashlib
import re

from nublado.config.model import LabConfig
from nublado.constants import CATEGORY_PREPULLER, LABEL_CATEGORY
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rspimage import RSPImage

__all__ = ["PrepullPodBuilder"]

_LONGEST_NAME = 253
_DISTINCTION = 8
_UID = 65534
"""Nobody; what runs needs no rights at all."""


class PrepullPodBuilder:
    """Builds pods that do nothing, on a node of choice.

    Parameters
    ----------
    config
        Configuration of labs, which will run there later.
    namespace
        Namespace of the controller.
    owner
        Reference to the controller's pod: what it leaves goes with it.
    """

    def __init__(self, config: LabConfig, namespace: str, owner: JSON) -> None:
        self._config = config
        self._namespace = namespace
        self._owner = owner

    def build(self, image: RSPImage, node: str) -> JSON:
        """Build the pod that pulls an image, with digest, to a node.

        The name of the node binds the pod to it without the scheduler.
        """
        config = self._config
        pull_secret = config.pull_secret
        scheduling: JSON = {
            "imagePullSecrets": [{"name": pull_secret}] if pull_secret else [],
            "tolerations": [t.to_kubernetes() for t in config.tolerations],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": _pod_name(image.tag, node),
                "namespace": self._namespace,
                "labels": {LABEL_CATEGORY: CATEGORY_PREPULLER},
                "ownerReferences": [dict(self._owner)],
            },
            "spec": {
                "automountServiceAccountToken": False,
                "nodeName": node,
                "restartPolicy": "Never",
                **{key: value for key, value in scheduling.items() if value},
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": _UID,
                    "runAsGroup": _UID,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [_container(image)],
            },
        }


def _container(image: RSPImage) -> JSON:
    amount = {"cpu": "1m", "memory": "16Mi"}
    return {
        "name": "prepull",
        "image": image.reference_with_digest,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/true"],
        "resources": {"limits": dict(amount), "requests": dict(amount)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def _pod_name(tag: str, node: str) -> str:
    """Name a pod by tag and node.

    A hash keeps names apart that would be the same without the characters
    that names of pods may not have, or cut off at their longest.

    References
    ----------
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    """
    cleaned = re.sub(r"[^a-z0-9-]", "", tag.lower().replace("_", "-")).strip("-")
    name = f"prepull-{cleaned or 'image'}-{node}"
    if re.fullmatch(r"[a-z0-9][a-z0-9_.]*[a-z0-9]", tag) and len(name) <= _LONGEST_NAME:
        return name
    distinction = hashlib.sha256(f"{tag} {node}".encode()).hexdigest()[:_DISTINCTION]
    kept = name[: _LONGEST_NAME - _DISTINCTION - 1].rstrip("-.")
    return f"{kept}-{distinction}"
