"""Watches of clients: streams of changes, one line of JSON each.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.connections import arrival, reset
from nublado.sandbox.kubernetes.errors import ApiError, expired, too_large_version
from nublado.sandbox.kubernetes.faults import Faults
from nublado.sandbox.kubernetes.history import Change, Revision
from nublado.sandbox.kubernetes.listing import check_version_match
from nublado.sandbox.kubernetes.rendering import Rendering, encode, rendering_for
from nublado.sandbox.kubernetes.requests import flag, number
from nublado.sandbox.kubernetes.selectors import selection
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.kubernetes.urls import Place
from nublado.sandbox.kubernetes.version_gate import VersionGate
from nublado.sandbox.stats import Stats

__all__ = ["WatchServer"]

_BACKLOG = 10_000
"""Events that may wait for a client that reads slowly; then it is cut off."""

_PULSE = 0.5
"""Seconds after which a watch looks for a lost client and for new faults."""

_LEAST_SECONDS = 1800
"""How long a watch lasts that does not say so, up to twice this."""


class _Watch:
    """One watch: what it selects, and what waits to be sent."""

    def __init__(self, place: Place, query: Mapping[str, str], how: Rendering) -> None:
        fields = query.get("fieldSelector")
        if place.name is not None:
            fields = f"metadata.name={place.name}"
        self._namespace = place.namespace
        self._matches = selection(query.get("labelSelector"), fields)
        self._rendering = how
        self.lines: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.ended = False
        self.overrun = False
        self.muted = False

    def selects(self, obj: JSON) -> bool:
        """Whether the client wants to know of an object."""
        if self._namespace not in (None, obj["metadata"].get("namespace")):
            return False
        return self._matches is None or self._matches(obj)

    def add(self, revision: Revision) -> None:
        """Queue an object that was there before the watch began."""
        if self.selects(revision.obj):
            self._put(self._rendering.event("ADDED", revision))

    def tell(self, change: Change) -> None:
        """Queue a change, as those see it who see only what they selected."""
        after = change.type != "DELETED" and self.selects(change.revision.obj)
        before = change.previous is not None and self.selects(change.previous.obj)
        if not (before or after):
            return
        revision = change.revision
        if before and after:
            event_type = "MODIFIED"
        elif after:
            event_type = "ADDED"
        else:
            event_type = "DELETED"
            if change.type != "DELETED" and change.previous is not None:
                revision = _as_of(change.previous.obj, change.version)
        self._put(self._rendering.event(event_type, revision))

    def bookmark(self, version: int, *, initial: bool = False) -> bytes:
        """Render a bookmark."""
        metadata: JSON = {"resourceVersion": str(version), "creationTimestamp": None}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return self._rendering.bookmark(metadata)

    def end(self) -> None:
        """End the watch."""
        self.ended = True
        self.wake.set()

    def take(self) -> bytes:
        """Take what waits."""
        data = b"".join(self.lines)
        self.lines.clear()
        self.wake.clear()
        return data

    def _put(self, line: bytes) -> None:
        if len(self.lines) >= _BACKLOG:
            self.overrun = True
        else:
            self.lines.append(line)
        self.wake.set()


class WatchServer:
    """Serves watches.

    Parameters
    ----------
    store
        Where changes come from.
    faults, stats
        What goes wrong, and what is counted.

    Attributes
    ----------
    versions
        Versions from which no watch may start.
    """

    def __init__(self, store: Store, faults: Faults, stats: Stats) -> None:
        self.versions = VersionGate(store)
        self._store = store
        self._faults = faults
        self._stats = stats
        self._open: set[_Watch] = set()
        self._bookmarks_from = 0.0

    def drop_all(self) -> None:
        """End all watches now."""
        for watch in self._open:
            watch.end()

    def delay_bookmarks(self, seconds: float) -> None:
        """Let watches that begin from now on wait so long for bookmarks."""
        self._bookmarks_from = asyncio.get_running_loop().time() + seconds

    def mute_all(self) -> None:
        """Let all watches of now stay open without telling anything."""
        for watch in self._open:
            watch.muted = True

    async def serve(self, request: web.Request, place: Place) -> web.StreamResponse:
        """Answer a request for a watch.

        Raises
        ------
        ApiError
            Raised if it makes no sense (400, 422), or the version to start
            from is not there yet (504) or refused.
        """
        query = request.query
        check_version_match(query, watch=True)
        if not self.versions.in_events:
            self.versions.check_watch(query)
        watch = _Watch(place, query, rendering_for(request, place))
        seconds = number(query, "timeoutSeconds")
        if not seconds:
            seconds = _LEAST_SECONDS + random.randrange(_LEAST_SECONDS)  # noqa: S311
        kind = place.kind
        failure = self._begin(watch, place, query)
        response = web.StreamResponse(headers={"Cache-Control": "no-cache, private"})
        response.content_type = "application/json"
        unfollow = self._store.feed.follow(kind.kind, watch.tell)
        self._open.add(watch)
        try:
            with self._stats.watching(kind.plural), suppress(ConnectionError):
                await response.prepare(request)
                if failure is None:
                    stream = _Stream(
                        self._store, self._faults, place, watch, self._bookmarks_from
                    )
                    failure = await stream.run(request, response, query, seconds)
                if failure is not None:
                    await response.write(_error_line(failure))
                await response.write_eof()
        finally:
            unfollow()
            self._open.discard(watch)
        return response

    def _begin(
        self, watch: _Watch, place: Place, query: Mapping[str, str]
    ) -> ApiError | None:
        """Queue what comes before the changes from now on.

        Returns the error that the stream has to begin and end with: as on a
        real server, the request is answered with 200 nevertheless.
        """
        try:
            self.versions.check_watch(query)
        except ApiError as e:
            return e
        faults, kind = self._faults.watch, place.kind.kind
        asked = number(query, "resourceVersion") or 0
        current = self._store.version
        hit = faults.hit(place.kind.plural) and asked
        if asked > current or (hit and self._strikes(faults.too_large_probability)):
            raise too_large_version(max(asked, current + 1), current)
        if not asked or flag(query, "sendInitialEvents"):
            if query.get("sendInitialEvents") != "false":
                for revision in self._store.revisions(kind, place.namespace):
                    watch.add(revision)
            if flag(query, "sendInitialEvents") and flag(query, "allowWatchBookmarks"):
                watch.lines.append(watch.bookmark(current, initial=True))
            return None
        if hit and self._strikes(faults.expire_probability):
            return expired(f"too old resource version: {asked} ({current})")
        try:
            for change in self._store.feed.since(kind, asked):
                watch.tell(change)
        except ApiError as e:
            return e
        return None

    def _strikes(self, probability: float) -> bool:
        return probability > 0 and self._faults.strikes(probability)


class _Stream:
    """Sends what a watch has queued until its time is over."""

    def __init__(
        self,
        store: Store,
        faults: Faults,
        place: Place,
        watch: _Watch,
        bookmarks_from: float,
    ) -> None:
        self._store = store
        self._faults = faults
        self._plural = place.kind.plural
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._bookmarked = self._started
        self._bookmarks_from = bookmarks_from

    async def run(
        self,
        request: web.Request,
        response: web.StreamResponse,
        query: Mapping[str, str],
        seconds: float,
    ) -> ApiError | None:
        """Send; return the error that ends the stream, if one does."""
        watch = self._watch
        bookmarks = flag(query, "allowWatchBookmarks")
        while not (watch.ended or _is_gone(request)):
            if watch.overrun:
                _cut(request)
                return None
            over, failure = self._is_over(seconds)
            data = watch.take()
            if bookmarks and self._is_bookmark_due(last=over):
                data += watch.bookmark(self._store.version)
            if data and not watch.muted:
                await response.write(data)
            if over and watch.ended and self._faults.watch.reset:
                await self._break_off(request, response)
            if over:
                return failure
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause(seconds)):
                    await watch.wake.wait()
        return None

    def _is_over(self, seconds: float) -> tuple[bool, ApiError | None]:
        """Whether the stream ends now, and with what error."""
        faults, age = self._faults.watch, self._loop.time() - self._started
        if faults.hit(self._plural):
            self._watch.muted = self._watch.muted or faults.silent
            if self._watch.muted:
                return False, None
            if faults.expire_after is not None and age >= faults.expire_after:
                version = self._store.version
                return True, expired(f"too old resource version: {version}")
            if faults.drop_after is not None and age >= faults.drop_after:
                self._watch.end()
                return True, None
        return not self._watch.muted and age >= seconds, None

    async def _break_off(
        self, request: web.Request, response: web.StreamResponse
    ) -> None:
        """Reset the connection in the middle of a line."""
        line = self._watch.bookmark(self._store.version)
        await response.write(line[: len(line) // 2])
        await arrival()
        reset(request.transport)

    def _is_bookmark_due(self, *, last: bool) -> bool:
        now = self._loop.time()
        if now < self._bookmarks_from:
            return False
        if not last and now - self._bookmarked < self._faults.watch.bookmark_interval:
            return False
        self._bookmarked = now
        return True

    def _pause(self, seconds: float) -> float:
        """Seconds until something besides changes may have to be done."""
        faults, now = self._faults.watch, self._loop.time()
        ends = (seconds, faults.drop_after, faults.expire_after)
        due = [self._started + end for end in ends if end is not None]
        due.append(self._bookmarked + faults.bookmark_interval)
        left = [moment - now for moment in due if moment > now]
        return min(_PULSE, *left, _PULSE)


def _as_of(obj: JSON, version: int) -> Revision:
    metadata = obj["metadata"] | {"resourceVersion": str(version)}
    return Revision(obj | {"metadata": metadata}, version)


def _error_line(error: ApiError) -> bytes:
    return encode({"type": "ERROR", "object": error.status()}) + b"\n"


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
