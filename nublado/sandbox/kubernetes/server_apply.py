"""Server-side apply, as far as one manager at a time is concerned.

What a manager applied last is kept here rather than in ``managedFields``; what
it no longer names is removed. Conflicts between managers are not told: the
last one wins, as with ``--force-conflicts``.

References
----------
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

from typing import Any

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.metadata import clone
from nublado.sandbox.kubernetes.strategic_merge import merge_key, strategic_merge

__all__ = ["AppliedConfigurations"]


class AppliedConfigurations:
    """What managers have applied, by uid of the object and manager."""

    def __init__(self) -> None:
        self._applied: dict[tuple[str, str], JSON] = {}

    def merge(self, obj: JSON, manager: str, configuration: JSON) -> JSON:
        """Return an object with a configuration merged into it."""
        merged: JSON = clone(obj)
        last = self._applied.get((obj["metadata"]["uid"], manager))
        if last is not None:
            strategic_merge(merged, _removal(last, configuration))
        strategic_merge(merged, clone(configuration))
        return merged

    def remember(self, obj: JSON, manager: str, configuration: JSON) -> None:
        """Note what a manager has applied."""
        self._applied[obj["metadata"]["uid"], manager] = clone(configuration)

    def forget(self, obj: JSON) -> None:
        """Note that an object is gone."""
        uid = obj["metadata"]["uid"]
        for key in [key for key in self._applied if key[0] == uid]:
            del self._applied[key]


def _removal(last: JSON, now: JSON) -> JSON:
    """Make the patch that removes what is no longer named."""
    patch: JSON = {}
    for key, value in last.items():
        if key not in now:
            patch[key] = None
            continue
        inner: JSON | list[JSON] | None = None
        if isinstance(value, dict) and isinstance(now[key], dict):
            inner = _removal(value, now[key])
        elif isinstance(value, list) and isinstance(now[key], list):
            inner = _removed_items(key, value, now[key])
        if inner:
            patch[key] = inner
    return patch


def _removed_items(field: str, last: list[Any], now: list[Any]) -> list[JSON]:
    name = merge_key(field, [*last, *now])
    if name is None:
        return []
    kept = {item.get(name): item for item in now}
    items = []
    for item in last:
        key = item.get(name)
        if key not in kept:
            items.append({name: key, "$patch": "delete"})
        elif inner := _removal(item, kept[key]):
            items.append(inner | {name: key})
    return items
