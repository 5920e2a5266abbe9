"""Nodes that do not answer any more, as their conditions say.

References
----------
https://kubernetes.io/docs/reference/node/node-status/#condition
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nublado.models.domain.kubernetes import JSON, name_of

__all__ = ["LostNode", "lost_node"]


@dataclass(frozen=True, slots=True)
class LostNode:
    """A node that is not ready, since when and why."""

    name: str
    since: datetime | None
    reason: str


def lost_node(node: JSON) -> LostNode | None:
    """Tell whether a node is not ready; None if it is."""
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") != "True":
            since = condition.get("lastTransitionTime")
            reason = condition.get("message") or condition.get("reason") or ""
            moment = datetime.fromisoformat(since) if since else None
            return LostNode(name_of(node), moment, str(reason) or "it is not ready")
    return None
