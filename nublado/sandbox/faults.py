"""Faults that the servers of the sandbox make on request.

They say what goes wrong on the wire; what goes wrong in the cluster (slow
pulls, evictions, lost nodes) belongs to its controllers.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, fields
from http import HTTPStatus
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from aiohttp import web
from aiohttp.typedefs import Middleware

from nublado.models.domain.kubernetes import JSON

__all__ = ["TARGETS", "FaultRule", "Faults", "WatchFaults"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TARGETS = ("kubernetes", "registry", "gafaelfawr", "ingress")
"""Servers that can have faults."""

_T = TypeVar("_T")


@dataclass(slots=True)
class FaultRule:
    """What goes wrong with requests that match.

    Parameters
    ----------
    target
        Which server.
    method
        Regular expression for the whole method.
    path
        Regular expression for some part of the path with its query.
    probability
        How likely a matching request is hit, from 0 to 1.
    count
        How many requests are hit; None for all.
    delay
        Seconds to wait first.
    status
        HTTP status to answer with instead of doing what is asked.
    body
        Text or JSON of that answer; by default a Kubernetes ``Status``, which
        is JSON to everybody else.
    retry_after
        ``Retry-After`` of that answer, in seconds.
    drop
        Close the connection without an answer: ``before`` doing what is
        asked, or ``after`` it.
    hits
        How many requests have been hit.
    """

    target: str = "kubernetes"
    method: str = ".*"
    path: str = ""
    probability: float = 1.0
    count: int | None = None
    delay: float = 0.0
    status: int | None = None
    body: JSON | str | None = None
    retry_after: int | None = None
    drop: Literal["before", "after"] | None = None
    hits: int = field(default=0)

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise ValueError(f"target: must be one of {', '.join(TARGETS)}")
        if self.drop not in (None, "before", "after"):
            raise ValueError("drop: must be before or after")
        if self.status is not None and not 200 <= self.status < 600:
            raise ValueError("status: must be an HTTP status from 200 to 599")
        for name in ("method", "path"):
            try:
                re.compile(getattr(self, name))
            except re.error as e:
                raise ValueError(f"{name}: not a regular expression: {e}") from e

    def matches(self, target: str, method: str, path: str) -> bool:
        """Whether a request may be hit."""
        return (
            self.target == target
            and (self.count is None or self.hits < self.count)
            and re.fullmatch(self.method, method) is not None
            and re.search(self.path, path) is not None
        )

    def answer(self) -> web.Response:
        """Make the error that is answered."""
        status = self.status or 500
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if isinstance(self.body, str):
            return web.Response(status=status, text=self.body, headers=headers)
        body = self.body or {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "fault made by the sandbox",
            "reason": _REASONS.get(status, "Unknown"),
            "code": status,
        }
        text = json.dumps(body)
        return web.Response(
            status=status, text=text, headers=headers, content_type="application/json"
        )


_REASONS = {status.value: status.phrase.replace(" ", "") for status in HTTPStatus} | {
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    504: "Timeout",
}


@dataclass(slots=True)
class WatchFaults:
    """What goes wrong with watches; open ones are hit as well.

    Parameters
    ----------
    kinds
        Plural names of the kinds that are hit; empty for all.
    drop_after
        Seconds after which a watch is cut off.
    expire_after
        Seconds after which a watch ends with an expired version (410).
    silent
        Watches stay open but tell nothing any more, not even when the time
        that was asked for is over; nor do they recover.
    expire_probability
        How likely the version that a watch starts from has expired (410).
    too_large_probability
        How likely the version that a watch starts from is not there yet
        (504).
    compact_every
        Seconds, on average, between compactions of the history.
    bookmark_interval
        Seconds between bookmarks.
    """

    kinds: list[str] = field(default_factory=list)
    drop_after: float | None = None
    expire_after: float | None = None
    silent: bool = False
    expire_probability: float = 0.0
    too_large_probability: float = 0.0
    compact_every: float | None = None
    bookmark_interval: float = 60.0

    def hit(self, plural: str) -> bool:
        """Whether watches of a kind are hit."""
        return not self.kinds or plural in self.kinds


class Faults:
    """All faults that are switched on.

    Parameters
    ----------
    seed
        Makes what is random reproducible.

    Attributes
    ----------
    rules
        What goes wrong with requests.
    watch
        What goes wrong with watches.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[FaultRule] = []
        self.watch = WatchFaults()
        self.random = random.Random(seed)  # noqa: S311 (nothing secret)

    def strikes(self, probability: float) -> bool:
        """Throw the dice."""
        return probability >= 1 or self.random.random() < probability

    def clear(self) -> None:
        """Switch all faults off."""
        self.rules, self.watch = [], WatchFaults()

    def to_json(self) -> JSON:
        """All faults, as `from_json` takes them."""
        rules = [asdict(rule) for rule in self.rules]
        return {"rules": rules, "watch": asdict(self.watch)}

    def from_json(self, data: JSON) -> None:
        """Replace all faults.

        Parameters
        ----------
        data
            ``rules``, a list of `FaultRule`; ``watch``, `WatchFaults`; and
            ``seed`` for what is random. All may be left out.

        Raises
        ------
        ValueError
            Raised if they cannot be understood; says where. Nothing changes
            then.
        """
        unknown = set(data) - {"rules", "watch", "seed"}
        if unknown:
            raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
        listed = data.get("rules", [])
        if not isinstance(listed, list):
            raise ValueError("rules: must be a list")  # noqa: TRY004 (one error type)
        rules = [
            _parse(FaultRule, f"rules[{i}]", rule) for i, rule in enumerate(listed)
        ]
        watch = _parse(WatchFaults, "watch", data.get("watch", {}))
        self.rules, self.watch = rules, watch
        if "seed" in data:
            self.random.seed(data["seed"])

    def middleware(self, target: str) -> Middleware:
        """Make the middleware that lets faults strike one server.

        Parameters
        ----------
        target
            One of `TARGETS`.
        """

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            # The first rule that decides about the answer is the last one.
            drop_after = False
            for rule in tuple(self.rules):
                if not rule.matches(target, request.method, request.path_qs):
                    continue
                if not self.strikes(rule.probability):
                    continue
                rule.hits += 1
                await asyncio.sleep(rule.delay)
                if rule.drop == "before":
                    return _hang_up(request)
                if rule.status is not None:
                    return rule.answer()
                drop_after = drop_after or rule.drop == "after"
            response = await handler(request)
            return _hang_up(request) if drop_after else response

        return strike


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _parse(cls: type[_T], path: str, data: object) -> _T:
    """Make a dataclass of JSON."""
    if not isinstance(data, dict):
        raise ValueError(f"{path}: must be an object")  # noqa: TRY004 (one error type)
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    unknown = set(data) - names
    if unknown:
        raise ValueError(f"{path}: unknown keys: {', '.join(sorted(unknown))}")
    types = get_type_hints(cls)
    for name, value in data.items():
        if not _is_a(value, types[name]):
            raise ValueError(f"{path}.{name}: {json.dumps(value)} is of the wrong type")
    try:
        return cls(**data)
    except ValueError as e:
        raise ValueError(f"{path}.{e}") from e


def _is_a(value: object, wanted: Any) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(wanted, type):
        return isinstance(value, wanted)
    if wanted == list[str]:
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    if wanted == JSON:
        return isinstance(value, dict)
    members = get_args(wanted)
    return value in [m for m in members if isinstance(m, str)] or any(
        _is_a(value, member)
        for member in members
        if member is NoneType or not isinstance(member, str)
    )
