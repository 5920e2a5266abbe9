"""What can be asked to go wrong with requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.answers import (
    ANSWER_NAMES,
    answer_for,
    json_answer,
    status_body,
)
from nublado.sandbox.checks import check_patterns, check_range

__all__ = ["TARGETS", "FaultRule"]

TARGETS = ("kubernetes", "registry", "gafaelfawr", "repertoire", "ingress")
"""Servers that can have faults."""

_MOST_SECONDS = 86_400.0


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
    silent
        Accept the request and never answer it.
    answer
        Name of what is answered instead of doing what is asked; see
        `~nublado.sandbox.answers.ANSWER_NAMES`. Those that begin with ``echo``
        quote the request.
    status
        HTTP status to answer with instead of doing what is asked.
    body
        Text or JSON of that answer; by default a Kubernetes ``Status``, which
        is JSON to everybody else.
    retry_after
        ``Retry-After`` of that answer: seconds, or any text, such as a date,
        ``nan`` or ``-1``.
    location
        ``Location`` of that answer.
    drop
        Close the connection without an answer, ``before`` doing what is
        asked, or ``after`` it; or reset it, with half of the body sent
        (``within``).
    hits
        How many requests have been hit.
    """

    target: str = "kubernetes"
    method: str = ".*"
    path: str = ""
    probability: float = 1.0
    count: int | None = None
    delay: float = 0.0
    silent: bool = False
    answer: str | None = None
    status: int | None = None
    body: JSON | str | None = None
    retry_after: int | str | None = None
    location: str | None = None
    drop: Literal["before", "after", "within"] | None = None
    hits: int = field(default=0)

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}")
        if self.answer is not None and self.answer not in ANSWER_NAMES:
            raise ValueError(f"answer must be one of {', '.join(ANSWER_NAMES)}")
        if self.answer is not None and self.status is not None:
            raise ValueError("answer has a status of its own; leave status out")
        if self.status is not None:
            check_range("status", self.status, 200, 599)
        check_range("probability", self.probability, 0, 1)
        check_range("count", self.count or 0, 0, 2**63)
        check_range("delay", self.delay, 0, _MOST_SECONDS)
        for name in ("method", "path"):
            check_patterns(name, [getattr(self, name)])

    def matches(self, target: str, method: str, path: str) -> bool:
        """Whether a request may be hit."""
        return (
            self.target == target
            and (self.count is None or self.hits < self.count)
            and re.fullmatch(self.method, method) is not None
            and re.search(self.path, path) is not None
        )

    @property
    def answers(self) -> bool:
        """Whether it answers instead of doing what is asked."""
        return self.answer is not None or self.status is not None

    async def response(self, request: web.Request) -> web.Response:
        """Make what is answered."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.location is not None:
            headers["Location"] = self.location
        if self.answer is not None:
            return (await answer_for(self.answer, request)).response(headers)
        status = self.status or 500
        if isinstance(self.body, str):
            return web.Response(status=status, text=self.body, headers=headers)
        reason = _REASONS.get(status, "Unknown")
        body = self.body or status_body(status, reason, "fault made by the sandbox")
        return json_answer(status, body).response(headers)


_REASONS = {status.value: status.phrase.replace(" ", "") for status in HTTPStatus} | {
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    504: "Timeout",
}
