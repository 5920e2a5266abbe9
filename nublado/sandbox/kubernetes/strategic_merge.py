"""Strategic merge patches, in which elements of lists are known by a key.

Real servers take the keys from the schema of the type; here the names of the
fields are enough, for they mean the same wherever they appear.

References
----------
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

from typing import Any

from nublado.models.domain.kubernetes import JSON

__all__ = ["merge_key", "strategic_merge"]

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "resourceClaims": "name",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_PRIMITIVES = ("finalizers",)
"""Lists of texts that are merged rather than replaced."""

_DELETE = "$deleteFromPrimitiveList/"
_DIRECTIVE = "$"


def merge_key(field: str, elements: list[Any]) -> str | None:
    """Name of what tells the elements of a list apart; None if nothing does."""
    if not all(isinstance(element, dict) for element in elements):
        return None
    if field == "ports":
        # Of a container, or of a service.
        is_container = any("containerPort" in element for element in elements)
        return "containerPort" if is_container else "port"
    return _MERGE_KEYS.get(field)


def strategic_merge(target: JSON, patch: JSON) -> None:
    """Merge a patch into an object, in place."""
    if patch.get("$patch") == "replace":
        target.clear()
    retained = patch.get("$retainKeys")
    if retained is not None:
        for key in set(target) - set(retained):
            del target[key]
    for key, value in patch.items():
        if key.startswith(_DELETE):
            _remove_primitives(target, key.removeprefix(_DELETE), value)
        elif key.startswith(_DIRECTIVE):
            continue
        elif value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge_object(target, key, value)
        elif isinstance(value, list):
            target[key] = _merge_list(key, target.get(key) or [], value)
        else:
            target[key] = value


def _merge_object(target: JSON, key: str, patch: JSON) -> None:
    if patch.get("$patch") == "delete":
        target.pop(key, None)
        return
    if not isinstance(target.get(key), dict):
        target[key] = {}
    strategic_merge(target[key], patch)


def _remove_primitives(target: JSON, key: str, values: list[Any]) -> None:
    if key in target:
        target[key] = [item for item in target[key] if item not in values]


def _merge_list(field: str, current: list[Any], patch: list[Any]) -> list[Any]:
    if field in _PRIMITIVES:
        return [*current, *(item for item in patch if item not in current)]
    name = merge_key(field, [*current, *patch])
    is_replaced = any(
        isinstance(item, dict) and item.get("$patch") == "replace" for item in patch
    )
    if name is None or is_replaced:
        return [item for item in patch if item != {"$patch": "replace"}]
    merged = {item.get(name): item for item in current}
    for item in patch:
        key = item.get(name)
        if item.get("$patch") == "delete":
            merged.pop(key, None)
        else:
            strategic_merge(merged.setdefault(key, {}), item)
    return list(merged.values())
