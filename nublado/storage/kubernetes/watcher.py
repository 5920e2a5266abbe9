"""One watch per kind, shared by everyone who waits for objects of that kind.

A watcher lists, then watches from the version of the list on. It survives
lost connections, expired versions, and servers that fall silent; whoever
waits for an object is woken for that object only.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import structlog
import urllib3

from nublado.exceptions import (
    KubernetesError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.models.domain.kubernetes import JSON, name_of, namespace_of, uid_of
from nublado.storage.kubernetes.client import KubernetesClient, Target
from nublado.storage.kubernetes.resource import Resource
from nublado.timeout import Cancellation, Timeout

__all__ = ["Change", "ChangeType", "Key", "Selection", "Watcher", "key_of"]

Key = tuple[str | None, str]
"""Namespace and name of an object."""

_PAGE = 500
_LIST_SECONDS = 60.0
_WATCH_SECONDS = (240, 300)
_ON_DEMAND_SECONDS = (50, 60)
_SILENCE_SECONDS = 90.0
_HEALTHY_SECONDS = 0.75
_TRUSTED_SECONDS = 5.0
_SHORTEST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0


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


@dataclass(frozen=True, slots=True)
class Selection:
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
        Makes of an object what is kept of it.
    remembered
        Whether the state of the objects is kept. Kubernetes' events are only
        passed on.
    """

    resource: Resource
    namespace: str | None = None
    labels: str | None = None
    fields: str | None = None
    key: Callable[[JSON], Key] = key_of
    reduce: Callable[[JSON], JSON] = lambda obj: obj
    remembered: bool = True

    def query(self) -> dict[str, str | int]:
        """Query parameters that select these objects."""
        query: dict[str, str | int] = {}
        if self.labels:
            query["labelSelector"] = self.labels
        if self.fields:
            query["fieldSelector"] = self.fields
        return query


class _ExpiredError(Exception):
    """The version to watch from is too old (410)."""


class Watcher:
    """Keeps a picture of some objects and tells listeners of their changes.

    Parameters
    ----------
    client
        Connection to Kubernetes.
    selection
        What is watched.
    on_demand
        Watch only while somebody listens, and for up to a minute after.
    """

    def __init__(
        self, client: KubernetesClient, selection: Selection, *, on_demand: bool = False
    ) -> None:
        self.selection = selection
        self.name = f"watch-{selection.resource.plural}"
        self._client = client
        self._on_demand = on_demand
        self._lifetime = _ON_DEMAND_SECONDS if on_demand else _WATCH_SECONDS
        self._lock = threading.Lock()
        self._objects: dict[Key, JSON] = {}
        self._keyed: dict[Key, list[Listener]] = {}
        self._general: list[Listener] = []
        self._version: str | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._synced = threading.Event()
        self._wanted = threading.Event()
        self._cancellation = Cancellation()
        self._heard = time.monotonic()
        self._connected = -math.inf
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._log = structlog.get_logger(__name__).bind(watcher=self.name)
        self.connections = 0

    # --- Life cycle ------------------------------------------------------

    def start(self) -> None:
        """Begin to watch, in a thread of its own."""
        if not self._on_demand:
            self._wanted.set()
        self._thread.start()

    def stop(self) -> None:
        """End the watch; returns once its thread has ended or after 5 s."""
        self._cancellation.cancel()
        self._wanted.set()
        self._disconnect()
        if self._thread.is_alive():
            self._thread.join(5.0)

    @property
    def dead(self) -> bool:
        """Whether the watcher's thread has ended although it should run."""
        started = self._thread.ident is not None
        stopped = self._cancellation.cancelled
        return started and not stopped and not self._thread.is_alive()

    @property
    def synced(self) -> bool:
        """Whether the objects have been listed and are being followed."""
        return self._synced.is_set()

    @property
    def heard(self) -> float:
        """When the server last sent anything, by the monotonic clock (seconds)."""
        return self._heard

    @property
    def silence(self) -> float:
        """Seconds since the server last sent anything."""
        return time.monotonic() - self._heard

    def wait_synced(self, seconds: float) -> bool:
        """Wait until the watch follows the cluster; False if it takes longer."""
        return self._synced.wait(seconds)

    def suspect(self) -> None:
        """Connect again, because a change has gone unnoticed.

        Hundreds may notice at the same time; a connection that is new is given
        a chance.
        """
        if time.monotonic() - self._connected < _TRUSTED_SECONDS:
            return
        self._log.warning("Watch has missed a change, connecting again")
        self._disconnect()

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
    def listening(self, key: Key, listener: Listener) -> Iterator[JSON | None]:
        """Pass changes of one object to a listener, which must not block.

        Yields the last known state; all changes after it reach the listener.
        """
        with self._lock:
            self._keyed.setdefault(key, []).append(listener)
            known = self._objects.get(key)
        self._wanted.set()
        try:
            yield known
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

    # --- Following the cluster -------------------------------------------

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._cancellation.cancelled:
            self._wanted.wait()
            began = math.inf
            try:
                if self._version is None:
                    self._list()
                self._synced.set()
                began = time.monotonic()
                self._watch()
            except _ExpiredError:
                self._log.info("Version expired, listing again")
                self._version = None
            except OperationCancelledError:
                return
            except (KubernetesError, OperationTimeoutError) as e:
                if isinstance(e, KubernetesError) and e.status == 410:
                    self._version = None
                self._log.warning("Cannot follow Kubernetes", error=str(e))
            except Exception:  # noqa: BLE001
                # Whatever the server sends, the watch must not end.
                self._log.exception("Watch failed, listing again")
                self._version = None
            lived = time.monotonic() - began
            pause = _SHORTEST_PAUSE if lived > _HEALTHY_SECONDS else pause * 2
            pause = min(pause, _LONGEST_PAUSE)
            self._rest_if_unwanted()
            self._cancellation.wait(random.uniform(pause / 2, pause))  # noqa: S311

    def _rest_if_unwanted(self) -> None:
        if not self._on_demand or self._cancellation.cancelled:
            return
        with self._lock:
            if self._keyed:
                return
            self._wanted.clear()
            self._synced.clear()
            self._version = None

    def _list(self) -> None:
        resource, namespace = self.selection.resource, self.selection.namespace
        target = Target("Error listing objects", resource.kind, namespace)
        timeout = Timeout("Listing", _LIST_SECONDS, self._cancellation)
        query = {**self.selection.query(), "limit": _PAGE}
        items: list[JSON] = []
        while True:
            page = self._client.request(
                "GET", resource.path(namespace), target, timeout, query=query
            )
            self._heard = time.monotonic()
            items.extend(page.get("items") or ())
            token = page["metadata"].get("continue")
            if not token:
                break
            query["continue"] = token
        self._take_list(map(self.selection.reduce, items))
        self._version = str(page["metadata"]["resourceVersion"])

    def _take_list(self, items: Iterable[JSON]) -> None:
        """Work out what has changed since the last known state."""
        if not self.selection.remembered:
            for obj in items:
                self._take(Change(ChangeType.ADDED, obj))
            return
        listed = {self.selection.key(obj): obj for obj in items}
        for key, old in self._snapshot().items():
            new = listed.get(key)
            if new is None or uid_of(new) != uid_of(old):
                self._take(Change(ChangeType.DELETED, old))
        for key, new in listed.items():
            known = self.get(key)
            if known is None:
                self._take(Change(ChangeType.ADDED, new))
            elif _version_of(known) != _version_of(new):
                self._take(Change(ChangeType.MODIFIED, new))

    def _snapshot(self) -> dict[Key, JSON]:
        with self._lock:
            return dict(self._objects)

    def _watch(self) -> None:
        resource, namespace = self.selection.resource, self.selection.namespace
        query = {
            **self.selection.query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "0",
            "timeoutSeconds": random.randint(*self._lifetime),  # noqa: S311
        }
        target = Target("Error watching objects", resource.kind, namespace)
        response = self._client.watch(
            resource.path(namespace), target, query, _SILENCE_SECONDS
        )
        self.connections += 1
        self._connected = time.monotonic()
        with self._lock:
            self._response = response
        if self._cancellation.cancelled:
            self._disconnect()
        try:
            for line in _lines(response):
                self._heard = time.monotonic()
                self._take_line(line)
        except (urllib3.exceptions.HTTPError, OSError) as e:
            self._log.info("Watch was cut off", error=f"{type(e).__name__}: {e}")
        finally:
            with self._lock:
                self._response = None
            response.close()

    def _disconnect(self) -> None:
        with self._lock:
            response = self._response
        if response is not None:
            try:
                response.shutdown()
            except (OSError, ValueError, RuntimeError) as e:
                self._log.debug("Watch was closed already", error=str(e))

    def _take_line(self, line: bytes) -> None:
        event = json.loads(line)
        obj = event["object"]
        match event["type"]:
            case "ERROR":
                if obj.get("code") == 410:
                    raise _ExpiredError
                target = Target("Error watching objects", self.selection.resource.kind)
                raise target.failed(obj.get("code"), obj.get("message"))
            case "BOOKMARK":
                self._version = _version_of(obj)
            case type_:
                self._version = _version_of(obj)
                change = Change(ChangeType(type_), self.selection.reduce(obj))
                self._take(change)

    def _take(self, change: Change) -> None:
        key = self.selection.key(change.object)
        with self._lock:
            if self.selection.remembered:
                if change.type is ChangeType.DELETED:
                    self._objects.pop(key, None)
                else:
                    self._objects[key] = change.object
            listeners = [*self._general, *self._keyed.get(key, ())]
        for listener in listeners:
            listener(change)


def _version_of(obj: JSON) -> str:
    return str(obj["metadata"]["resourceVersion"])


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Split the stream into lines, each handed on as soon as it is whole."""
    rest = b""
    for chunk in response.stream(None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
