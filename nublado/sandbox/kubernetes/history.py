"""Versions of stored objects, and the changes that led to them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import expired

__all__ = ["Change", "History", "Revision"]

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Revision:
    """An object as it was from one change to the next; never modified.

    Parameters
    ----------
    obj
        The object.
    version
        Its resource version.
    """

    __slots__ = ("_body", "obj", "version")

    def __init__(self, obj: JSON, version: int) -> None:
        self.obj = obj
        self.version = version
        self._body: bytes | None = None

    @property
    def body(self) -> bytes:
        """The object as JSON without ``kind`` and ``apiVersion``.

        Encoded once, whoever asks for it: lists leave the two fields out, and
        whoever needs them puts them in front.
        """
        if self._body is None:
            rest = {k: v for k, v in self.obj.items() if k not in _TYPE_FIELDS}
            self._body = _encode(rest).encode()
        return self._body


_TYPE_FIELDS = ("kind", "apiVersion")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object.

    Parameters
    ----------
    type
        ``ADDED``, ``MODIFIED`` or ``DELETED``.
    revision
        The object after the change; when deleted, its last state with the
        version of the deletion.
    previous
        The object before it; None if it was added.
    """

    type: str
    revision: Revision
    previous: Revision | None

    @property
    def version(self) -> int:
        """Resource version of the change."""
        return self.revision.version


class History:
    """The latest changes of one kind.

    Parameters
    ----------
    capacity
        How many changes are kept.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._changes: deque[Change] = deque()
        self._floor = 0

    def append(self, change: Change) -> None:
        """Remember a change; may forget the oldest."""
        if len(self._changes) >= self._capacity:
            self._floor = self._changes.popleft().version
        self._changes.append(change)

    def compact(self, version: int) -> None:
        """Forget everything up to and including a version."""
        self._floor = max(self._floor, version)
        while self._changes and self._changes[0].version <= version:
            self._changes.popleft()

    def restart(self, version: int) -> None:
        """Forget everything; what comes is after a version."""
        self._changes.clear()
        self._floor = version

    def backwards(self, version: int) -> Iterator[Change]:
        """Changes after a version, newest first.

        Raises
        ------
        ApiError
            Raised if some of them have been forgotten (410).
        """
        if version < self._floor:
            raise expired(f"too old resource version: {version} ({self._floor})")
        for change in reversed(self._changes):
            if change.version <= version:
                return
            yield change
