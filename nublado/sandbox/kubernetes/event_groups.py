"""Events as the two API groups spell them.

They are stored as the core group has them; ``events.k8s.io`` has other names
for the same.

References
----------
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from nublado.models.domain.kubernetes import JSON

__all__ = ["from_newer_event", "to_newer_event"]

_NEWER_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_NAMES = {newer: core for core, newer in _NEWER_NAMES.items()}


def to_newer_event(event: JSON) -> JSON:
    """Spell an event of the core group as ``events.k8s.io`` does."""
    return {_NEWER_NAMES.get(key, key): value for key, value in event.items()}


def from_newer_event(event: JSON) -> JSON:
    """Spell an event of ``events.k8s.io`` as the core group does."""
    return {_CORE_NAMES.get(key, key): value for key, value in event.items()}
