"""Counts what the servers of the sandbox are asked for, and by whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from nublado.models.domain.kubernetes import JSON

__all__ = ["RequestKey", "Stats"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What requests are counted by.

    Parameters
    ----------
    target
        Server: ``kubernetes``, ``registry`` and so on.
    method
        HTTP method.
    route
        Route, or for the API server what is asked for, such as ``pods``,
        ``pods list``, ``pods watch`` or ``pods/log``.
    agent
        First word of the user agent.
    """

    target: str
    method: str
    route: str
    agent: str


class Stats:
    """Requests, connections and watches since the last reset.

    Attributes
    ----------
    requests
        Number of requests by what they were.
    """

    def __init__(self) -> None:
        self.requests: Counter[RequestKey] = Counter()
        self._connections: dict[asyncio.Transport, str] = {}
        self._connections_peak: Counter[str] = Counter()
        self._watches: Counter[str] = Counter()
        self._watches_peak: Counter[str] = Counter()
        self._all_watches_peak = 0

    def request(self, target: str, method: str, route: str, agent: str) -> None:
        """Count a request; see `RequestKey`."""
        self.requests[RequestKey(target, method, route, agent.partition(" ")[0])] += 1

    def count(self, request: web.Request, target: str, route: str) -> None:
        """Count a request and the connection that it came over."""
        agent = request.headers.get("User-Agent", "")
        self.request(target, request.method, route, agent)
        transport = request.transport
        if transport is not None and transport not in self._connections:
            self._connections[transport] = target
            peak = max(self._connections_peak[target], self.open_connections(target))
            self._connections_peak[target] = peak

    def middleware(self, target: str) -> Middleware:
        """Make the middleware that counts the requests to one server."""

        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            resource = request.match_info.route.resource
            route = "" if resource is None else resource.canonical
            self.count(request, target, route)
            return await handler(request)

        return count

    @contextmanager
    def watching(self, plural: str) -> Iterator[None]:
        """Count a watch while it is open."""
        self._watches[plural] += 1
        peak = max(self._watches_peak[plural], self._watches[plural])
        self._watches_peak[plural] = peak
        self._all_watches_peak = max(self._all_watches_peak, self._watches.total())
        try:
            yield
        finally:
            self._watches[plural] -= 1

    def total(
        self, target: str | None = None, *, agent: str = "", route: str | None = None
    ) -> int:
        """Return how many requests there were.

        Parameters
        ----------
        target, route
            Only those to this server, or of this route.
        agent
            Only those of user agents that begin so.
        """
        return sum(
            number
            for key, number in self.requests.items()
            if target in (None, key.target)
            and route in (None, key.route)
            and key.agent.startswith(agent)
        )

    def open_connections(self, target: str) -> int:
        """Return how many connections to a server are open.

        Connections are known from their first request on.
        """
        for transport in [t for t in self._connections if t.is_closing()]:
            del self._connections[transport]
        return sum(server == target for server in self._connections.values())

    def connections_peak(self, target: str) -> int:
        """Return how many connections to a server were open at most."""
        return self._connections_peak[target]

    @property
    def open_watches(self) -> int:
        """How many watches are open."""
        return self._watches.total()

    @property
    def watches_peak(self) -> int:
        """How many watches were open at most."""
        return self._all_watches_peak

    def reset(self) -> None:
        """Begin to count anew; what is open stays counted."""
        self.requests.clear()
        targets = set(self._connections.values())
        self._connections_peak = Counter({t: self.open_connections(t) for t in targets})
        self._watches = +self._watches
        self._watches_peak = self._watches.copy()
        self._all_watches_peak = self.open_watches

    def to_json(self) -> JSON:
        """All counts."""
        return {
            "total": self.requests.total(),
            "requests": [
                {
                    "target": key.target,
                    "method": key.method,
                    "route": key.route,
                    "agent": key.agent,
                    "count": number,
                }
                for key, number in self.requests.most_common()
            ],
            "connections": {
                target: {"open": self.open_connections(target), "peak": peak}
                for target, peak in sorted(self._connections_peak.items())
            },
            "watches": {
                "open": self.open_watches,
                "peak": self.watches_peak,
                "kinds": {
                    plural: {"open": self._watches[plural], "peak": peak}
                    for plural, peak in sorted(self._watches_peak.items())
                },
            },
        }
