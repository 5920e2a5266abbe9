"""One watch per kind, shared by everyone who waits for objects of that kind.

A watcher lists, then watches from the version of the list on. It survives
lost connections, versions that the server refuses, and servers that send
nothing more; who waits for an object is woken for that object only.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus

import structlog
import urllib3

from nublado.exceptions import (
    KubernetesError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.metrics import WATCH_MISSES
from nublado.models.domain.kubernetes import JSON, version_of
from nublado.storage.kubernetes.cache import ChangeType, ObjectCache, WatchSpec
from nublado.storage.kubernetes.client import KubernetesClient, Target
from nublado.storage.kubernetes.encoding import load
from nublado.timeout import Cancellation, Timeout

__all__ = ["WATCH_SECONDS", "Watcher"]

_LIST_SECONDS = 45.0
WATCH_SECONDS = 180.0
"""How long a watch lives, unless it is configured."""

_ON_DEMAND_SECONDS = 60.0
_SHARE_OF_LIFE = 0.8
_OVERTIME_SECONDS = 10.0
_IDLE_SECONDS = 90.0
_HEALTHY_SECONDS = 0.75
_TRUSTED_SECONDS = 5.0
_SHORTEST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_LONGEST_OUTAGE_PAUSE = 2.0


class Watcher:
    """Keeps a cache in line with the cluster.

    Parameters
    ----------
    client
        Connection to Kubernetes.
    spec
        What is watched.
    seconds
        How long a connection may live, be it that it has fallen silent without
        being noticed.

    Attributes
    ----------
    cache
        What is known of the objects.
    connections
        How often it has connected.
    obstacle
        Why it could not follow the objects last; None if it always could.
    missed
        When it was last found to have missed a change, by the monotonic clock.
    """

    def __init__(
        self,
        client: KubernetesClient,
        spec: WatchSpec,
        seconds: float = WATCH_SECONDS,
    ) -> None:
        self.spec = spec
        self.cache = ObjectCache(spec)
        self.name = f"watch-{spec.resource.plural}"
        self._client = client
        longest = min(seconds, _ON_DEMAND_SECONDS) if spec.on_demand else seconds
        self._longest = max(1, math.ceil(longest))
        self._lock = threading.Lock()
        self._version: str | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._synced = threading.Event()
        self._cancellation = Cancellation()
        self._resting = spec.on_demand
        self._last_activity = self._followed = time.monotonic()
        self._connected = -math.inf
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._log = structlog.get_logger(__name__).bind(watcher=self.name)
        self.connections = 0
        self.obstacle: str | None = None
        self.missed = -math.inf

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
        """Seconds since the server last sent anything; 0 while nobody listens."""
        return 0.0 if self._resting else time.monotonic() - self._last_activity

    @property
    def lost(self) -> float:
        """Seconds for which the objects have not been followed; 0 if they are.

        They are once a watch has stayed open for a moment: one that is refused
        may be opened first.
        """
        if self._resting or self._is_open:
            return 0.0
        return time.monotonic() - self._followed

    @property
    def _is_open(self) -> bool:
        """Whether there is a connection that was not refused at once."""
        return self._response is not None and self._is_healthy

    @property
    def _is_healthy(self) -> bool:
        """Whether the newest connection is more than a moment old."""
        return time.monotonic() - self._connected > _HEALTHY_SECONDS

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
        if self._is_open:
            WATCH_MISSES.labels(self.name).inc()
            self.missed = time.monotonic()
        self._disconnect()

    # --- Following the cluster -------------------------------------------

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._cancellation.cancelled:
            self._wait_wanted()
            connections, longest = self.connections, _LONGEST_PAUSE
            try:
                if self._version is None:
                    self._list()
                self._synced.set()
                self._watch()
            except OperationCancelledError:
                return
            except (KubernetesError, OperationTimeoutError) as e:
                longest = self._take_failure(e)
            except Exception as e:  # noqa: BLE001
                # Whatever the server sends, the watch must not end.
                self._log.exception("Watch failed, listing again")
                self.obstacle = f"internal error, see log: {type(e).__name__}"
                self._version = None
            is_new = self.connections > connections
            was_healthy = is_new and self._is_healthy
            pause = _SHORTEST_PAUSE if was_healthy else pause * 2
            pause = min(pause, longest)
            self._rest_if_unwanted()
            self._cancellation.wait(random.uniform(pause / 2, pause))  # noqa: S311

    def _take_failure(self, error: KubernetesError | OperationTimeoutError) -> float:
        """Note why it failed, and forget the version.

        What servers say of a version that they do not know any more, or not yet,
        differs, and one that was away may have been restored from a backup: only
        a list is sure to put everything right.

        Returns
        -------
        float
            Seconds to wait at most before the next attempt.
        """
        self.obstacle = str(error)
        self._version = None
        status, is_outage = None, False
        if isinstance(error, KubernetesError):
            status, is_outage = error.status, error.is_outage
        if status == HTTPStatus.GONE:
            self._log.info("Watched version expired, listing again")
        else:
            self._log.warning("Cannot watch objects, listing again", error=str(error))
        return _LONGEST_OUTAGE_PAUSE if is_outage else _LONGEST_PAUSE

    def _advance(self, version: str) -> None:
        """Note a version that the server knows."""
        self._version = version
        self._followed = time.monotonic()

    def _wait_wanted(self) -> None:
        if self._resting:
            self.cache.wanted.wait()
            self._last_activity = self._followed = time.monotonic()
            self._resting = False

    def _rest_if_unwanted(self) -> None:
        if not self._cancellation.cancelled and self.cache.rest():
            self._resting = True
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
        if not self._synced.is_set():
            self._followed = time.monotonic()

    def _watch(self) -> None:
        resource, namespace = self.spec.resource, self.spec.namespace
        query = {
            **self.spec.query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "0",
            "timeoutSeconds": self._draw_life(),
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
                if self._is_overdue:
                    self._log.info("Ending watch that the server has not ended")
                    break
        except (urllib3.exceptions.HTTPError, OSError) as e:
            self._log.info("Watch was cut off", error=f"{type(e).__name__}: {e}")
        finally:
            if self._is_healthy:
                self._followed = time.monotonic()
            with self._lock:
                self._response = None
            response.close()

    def _draw_life(self) -> int:
        """Draw how long the next connection lives (seconds).

        Not all end at the same time.
        """
        shortest = max(1, int(self._longest * _SHARE_OF_LIFE))
        return random.randint(shortest, self._longest)  # noqa: S311

    @property
    def _is_overdue(self) -> bool:
        """Whether the server should have ended the connection."""
        lived = time.monotonic() - self._connected
        return lived > self._longest + _OVERTIME_SECONDS

    def _disconnect(self) -> None:
        with self._lock:
            response = self._response
        if response is not None:
            try:
                response.shutdown()
            except (OSError, ValueError, RuntimeError) as e:
                self._log.debug("Watch was closed already", error=str(e))

    def _take_line(self, line: bytes) -> None:
        event = load(line)
        obj = event["object"]
        match event["type"]:
            case "ERROR":
                target = Target("Error watching objects", self.spec.resource.kind)
                raise self._client.failure_of_event(target, obj)
            case "BOOKMARK":
                self._advance(version_of(obj))
            case type_:
                self._advance(version_of(obj))
                self.cache.apply(ChangeType(type_), obj)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Split the stream into lines, each handed on as soon as it is whole."""
    rest = b""
    for chunk in response.stream(None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
