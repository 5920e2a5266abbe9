"""The last known state of watched objects, and listeners for its changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from nublado.models.domain.kubernetes import (
    JSON,
    name_of,
    namespace_of,
    uid_of,
    version_of,
)
from nublado.storage.kubernetes.resource import Resource

__all__ = ["Change", "ChangeType", "Key", "ObjectCache", "WatchSpec", "key_of"]

Key = tuple[str | None, str]
"""Namespace and name of an object."""


class ChangeType(StrEnum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an object; ``object`` is its state after it."""

    type: ChangeType
    object: JSON


Listener = Callable[[Change], None]


def key_of(obj: JSON) -> Key:
    """Namespace and name of an object."""
    return namespace_of(obj), name_of(obj)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpec:
    """Which objects are watched, and what of them is kept.

    Parameters
    ----------
    resource
        Their kind.
    namespace
        Their namespace; None for the whole cluster.
    labels, fields
        Selectors.
    key
        Under which key listeners wait for an object.
    reduce
        Reduces an object to what is kept of it.
    remembered
        Whether the state of the objects is kept. Kubernetes' events are only
        passed on.
    on_demand
        Watch only while somebody listens, and for up to a minute after.
    """

    resource: Resource
    namespace: str | None = None
    labels: str | None = None
    fields: str | None = None
    key: Callable[[JSON], Key] = key_of
    reduce: Callable[[JSON], JSON] = lambda obj: obj
    remembered: bool = True
    on_demand: bool = False

    def query(self) -> dict[str, str | int]:
        """Query parameters that select these objects."""
        selectors = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: text for name, text in selectors.items() if text}


class ObjectCache:
    """Last known state of some objects; safe for use by all threads.

    Parameters
    ----------
    spec
        Which objects.

    Attributes
    ----------
    wanted
        Set while the objects have to be followed.
    """

    def __init__(self, spec: WatchSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._objects: dict[Key, JSON] = {}
        self._keyed: dict[Key, list[Listener]] = {}
        self._general: list[Listener] = []
        self.wanted = threading.Event()
        if not spec.on_demand:
            self.wanted.set()

    # --- Reading ---------------------------------------------------------

    def get(self, key: Key) -> JSON | None:
        """Last known state of an object."""
        with self._lock:
            return self._objects.get(key)

    def objects(self) -> list[JSON]:
        """Last known state of all objects."""
        with self._lock:
            return list(self._objects.values())

    @contextmanager
    def listening(self, key: Key, listener: Listener) -> Iterator[None]:
        """Pass changes of one object to a listener, which must not block."""
        with self._lock:
            self._keyed.setdefault(key, []).append(listener)
        self.wanted.set()
        try:
            yield
        finally:
            with self._lock:
                listeners = self._keyed[key]
                listeners.remove(listener)
                if not listeners:
                    del self._keyed[key]

    def listen(self, listener: Listener) -> None:
        """Pass all changes to a listener, which must not block."""
        with self._lock:
            self._general.append(listener)

    # --- Writing, by the watcher alone -----------------------------------

    def rest(self) -> bool:
        """Stop following objects that nobody listens for; True if so."""
        with self._lock:
            if not self._spec.on_demand or self._keyed:
                return False
            self.wanted.clear()
            return True

    def replace(self, items: Iterable[JSON]) -> None:
        """Take a new list of all objects, and work out what has changed."""
        items = map(self._spec.reduce, items)
        if not self._spec.remembered:
            for obj in items:
                self._apply(Change(ChangeType.ADDED, obj))
            return
        listed = {self._spec.key(obj): obj for obj in items}
        with self._lock:
            known = dict(self._objects)
        for key, old in known.items():
            new = listed.get(key)
            if new is None or uid_of(new) != uid_of(old):
                self._apply(Change(ChangeType.DELETED, old))
        for key, new in listed.items():
            current = self.get(key)
            if current is None:
                self._apply(Change(ChangeType.ADDED, new))
            elif version_of(current) != version_of(new):
                self._apply(Change(ChangeType.MODIFIED, new))

    def apply(self, type_: ChangeType, obj: JSON) -> None:
        """Take one change, and pass it on."""
        self._apply(Change(type_, self._spec.reduce(obj)))

    def _apply(self, change: Change) -> None:
        key = self._spec.key(change.object)
        with self._lock:
            if self._spec.remembered:
                if change.type is ChangeType.DELETED:
                    self._objects.pop(key, None)
                else:
                    self._objects[key] = change.object
            listeners = [*self._general, *self._keyed.get(key, ())]
        for listener in listeners:
            listener(change)
