"""One watch per kind, shared by everyone who waits for objects of that kind.

A watcher lists, then watches from the version of the list on. It survives
lost connections, expired versions, and servers that send nothing more; who
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
from collections.abc import Iterator

import structlog
import urllib3

from nublado.exceptions import (
    KubernetesError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.models.domain.kubernetes import JSON, version_of
from nublado.storage.kubernetes.cache import ChangeType, ObjectCache, WatchSpec
from nublado.storage.kubernetes.client import KubernetesClient, Target
from nublado.timeout import Cancellation, Timeout

__all__ = ["Watcher"]

_LIST_SECONDS = 60.0
_WATCH_SECONDS = (240, 300)
_ON_DEMAND_SECONDS = (50, 60)
_IDLE_SECONDS = 90.0
_HEALTHY_SECONDS = 0.75
_TRUSTED_SECONDS = 5.0
_SHORTEST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0


class _ExpiredError(Exception):
    """The version to watch from is too old (410)."""


class Watcher:
    """Keeps a cache in line with the cluster.

    Parameters
    ----------
    client
        Connection to Kubernetes.
    spec
        What is watched.

    Attributes
    ----------
    cache
        What is known of the objects.
    """

    def __init__(self, client: KubernetesClient, spec: WatchSpec) -> None:
        self.spec = spec
        self.cache = ObjectCache(spec)
        self.name = f"watch-{spec.resource.plural}"
        self._client = client
        self._lifetime = _ON_DEMAND_SECONDS if spec.on_demand else _WATCH_SECONDS
        self._lock = threading.Lock()
        self._version: str | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._synced = threading.Event()
        self._cancellation = Cancellation()
        self._last_activity = time.monotonic()
        self._connected = -math.inf
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._log = structlog.get_logger(__name__).bind(watcher=self.name)
        self.connections = 0

    # --- Life cycle ------------------------------------------------------

    def start(self) -> None:
        """Begin to watch, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the watch; returns once its thread has ended or after 5 s."""
        self._cancellation.cancel()
        self.cache.wanted.set()
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
    def last_activity(self) -> float:
        """When the server last sent anything, by the monotonic clock (seconds)."""
        return self._last_activity

    @property
    def idle(self) -> float:
        """Seconds since the server last sent anything."""
        return time.monotonic() - self._last_activity

    def wait_synced(self, seconds: float) -> bool:
        """Wait until the watch follows the cluster; False if it takes longer."""
        return self._synced.wait(seconds)

    def reconnect(self) -> None:
        """Connect again, because a change has gone unnoticed.

        Hundreds may notice at the same time; a connection that is new is left
        alone.
        """
        if time.monotonic() - self._connected < _TRUSTED_SECONDS:
            return
        self._log.warning("Reconnecting watch that missed a change")
        self._disconnect()

    # --- Following the cluster -------------------------------------------

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._cancellation.cancelled:
            self.cache.wanted.wait()
            began = math.inf
            try:
                if self._version is None:
                    self._list()
                self._synced.set()
                began = time.monotonic()
                self._watch()
            except _ExpiredError:
                self._log.info("Watched version expired, listing again")
                self._version = None
            except OperationCancelledError:
                return
            except (KubernetesError, OperationTimeoutError) as e:
                if isinstance(e, KubernetesError) and e.status == 410:
                    self._version = None
                self._log.warning("Cannot watch objects", error=str(e))
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
        if not self._cancellation.cancelled and self.cache.rest():
            self._synced.clear()
            self._version = None

    def _list(self) -> None:
        resource, namespace = self.spec.resource, self.spec.namespace
        target = Target("Error listing objects", resource.kind, namespace)
        timeout = Timeout("Listing", _LIST_SECONDS, self._cancellation)
        path = resource.path(namespace)
        items: list[JSON] = []
        for page in self._client.pages(path, target, timeout, self.spec.query()):
            self._last_activity = time.monotonic()
            items.extend(page.get("items") or ())
        self.cache.replace(items)
        self._version = version_of(page)

    def _watch(self) -> None:
        resource, namespace = self.spec.resource, self.spec.namespace
        query = {
            **self.spec.query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "0",
            "timeoutSeconds": random.randint(*self._lifetime),  # noqa: S311
        }
        target = Target("Error watching objects", resource.kind, namespace)
        response = self._client.watch(
            resource.path(namespace), target, query, _IDLE_SECONDS
        )
        self.connections += 1
        self._connected = time.monotonic()
        with self._lock:
            self._response = response
        if self._cancellation.cancelled:
            self._disconnect()
        try:
            for line in _lines(response):
                self._last_activity = time.monotonic()
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
                target = Target("Error watching objects", self.spec.resource.kind)
                raise target.failed(obj.get("code"), obj.get("message"))
            case "BOOKMARK":
                self._version = version_of(obj)
            case type_:
                self._version = version_of(obj)
                self.cache.apply(ChangeType(type_), obj)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Split the stream into lines, each handed on as soon as it is whole."""
    rest = b""
    for chunk in response.stream(None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
