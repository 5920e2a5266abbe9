"""All objects of the cluster at some moment, and the way back to them."""

from __future__ import annotations

from dataclasses import dataclass

from nublado.sandbox.kubernetes.history import Change, Revision
from nublado.sandbox.kubernetes.resources import Kind

__all__ = ["Backup", "Key", "changes_between"]

Key = tuple[str, str]
"""Namespace and name of an object."""


@dataclass(frozen=True, slots=True)
class Backup:
    """All objects as they were at a version.

    Parameters
    ----------
    version
        The version.
    revisions
        By kind, the objects by namespace and name.
    """

    version: int
    revisions: dict[str, dict[Key, Revision]]


def changes_between(
    kind: Kind, before: dict[Key, Revision], after: dict[Key, Revision]
) -> list[Change]:
    """Changes that lead from some objects of a kind to others.

    Parameters
    ----------
    kind
        The kind.
    before, after
        The objects by namespace and name.
    """
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is new:
            continue
        # A pod that has lost its node is one that waits for a node: that is
        # how new pods begin.
        again = old and new and (kind.kind == "Pod" or _uid(old) != _uid(new))
        if old is not None and (new is None or again):
            changes.append(Change("DELETED", old, old))
        if new is not None:
            added = old is None or again
            changes.append(
                Change("ADDED" if added else "MODIFIED", new, None if added else old)
            )
    return changes


def _uid(revision: Revision) -> str:
    return str(revision.obj["metadata"]["uid"])
