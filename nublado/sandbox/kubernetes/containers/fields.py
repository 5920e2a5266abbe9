"""Values that a pod takes from itself and from other objects.

References
----------
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

import base64
import json
import re
from decimal import ROUND_CEILING

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.quantities import quantity
from nublado.sandbox.kubernetes.store import Store

__all__ = ["ContainerConfigError", "Values"]

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.podIP",
)
_LISTS = {"status.hostIPs": "status.hostIP", "status.podIPs": "status.podIP"}
_MAPS = ("metadata.labels", "metadata.annotations")


class ContainerConfigError(Exception):
    """What a container is to be given cannot be found."""


class Values:
    """Looks up what the specification of a pod refers to.

    Parameters
    ----------
    store
        Objects of the cluster.
    pod
        The pod, with the status that its kubelet has given it.
    """

    def __init__(self, store: Store, pod: JSON) -> None:
        self._store = store
        self._pod = pod
        self._namespace = pod["metadata"]["namespace"]

    def field(self, reference: JSON) -> str:
        """Resolve a ``fieldRef``.

        Raises
        ------
        ContainerConfigError
            Raised if there is no such field.
        """
        path = reference["fieldPath"]
        if match := _KEYED.fullmatch(path):
            return str((self._pod["metadata"].get(match[1]) or {}).get(match[2], ""))
        if path in _MAPS:
            values = self._pod["metadata"].get(path.removeprefix("metadata.")) or {}
            return "\n".join(f"{k}={_quote(values[k])}" for k in sorted(values))
        path = _LISTS.get(path, path)
        if path not in _FIELDS:
            raise ContainerConfigError(f"unsupported fieldPath: {path}")
        section, _, name = path.partition(".")
        return str(self._pod[section].get(name) or "")

    def resource(self, reference: JSON, container_name: str) -> str:
        """Resolve a ``resourceFieldRef``.

        Parameters
        ----------
        reference
            The reference.
        container_name
            Container whose resources are meant unless the reference names one.

        Raises
        ------
        ContainerConfigError
            Raised if there is no such container.
        """
        wanted = reference.get("containerName") or container_name
        containers = self._pod["spec"]["containers"]
        found = next((c for c in containers if c["name"] == wanted), None)
        if found is None:
            raise ContainerConfigError(f"container {wanted} not found")
        section, _, name = reference["resource"].partition(".")
        amount = (found["resources"].get(section) or {}).get(name)
        if amount is None:
            amount = self._allocatable(name) if section == "limits" else "0"
        divisor = quantity(reference.get("divisor") or "1") or quantity("1")
        parts = quantity(amount) / divisor
        return str(int(parts.to_integral_value(ROUND_CEILING)))

    def config_map(self, name: str, *, optional: bool) -> dict[str, bytes] | None:
        """Content of a config map; None if it may be missing, and is.

        Raises
        ------
        ContainerConfigError
            Raised if it is missing.
        """
        found = self._find("ConfigMap", name, optional=optional)
        if found is None:
            return None
        texts = {k: v.encode() for k, v in (found.get("data") or {}).items()}
        return texts | _decoded(found.get("binaryData"))

    def secret(self, name: str, *, optional: bool) -> dict[str, bytes] | None:
        """Content of a secret; None if it may be missing, and is.

        Raises
        ------
        ContainerConfigError
            Raised if it is missing.
        """
        found = self._find("Secret", name, optional=optional)
        return None if found is None else _decoded(found.get("data"))

    def key(self, kind: str, reference: JSON) -> str | None:
        """Resolve a ``configMapKeyRef`` or ``secretKeyRef``.

        Parameters
        ----------
        kind
            ``ConfigMap`` or ``Secret``.
        reference
            The reference.

        Returns
        -------
        str or None
            The value; None if it may be missing, and is.

        Raises
        ------
        ContainerConfigError
            Raised if it is missing.
        """
        look_up = self.secret if kind == "Secret" else self.config_map
        name, key = reference["name"], reference["key"]
        optional = bool(reference.get("optional"))
        content = look_up(name, optional=optional)
        if content is not None and key in content:
            return as_text(content[key])
        if optional:
            return None
        raise ContainerConfigError(
            f"couldn't find key {key} in {kind} {self._namespace}/{name}"
        )

    def _find(self, kind: str, name: str, *, optional: bool) -> JSON | None:
        found = self._store.find(kind, self._namespace, name)
        if found is None and not optional:
            raise ContainerConfigError(f'{kind.lower()} "{name}" not found')
        return found

    def _allocatable(self, resource: str) -> str:
        node = self._store.find("Node", None, self._pod["spec"].get("nodeName") or "")
        allocatable = (node or {}).get("status", {}).get("allocatable") or {}
        return str(allocatable.get(resource, "0"))


def as_text(content: bytes) -> str:
    """Take bytes for text, so that a process is given them unchanged."""
    return content.decode(errors="surrogateescape")


def _decoded(data: JSON | None) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (data or {}).items()}


def _quote(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
