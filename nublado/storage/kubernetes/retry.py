"""Whether a request to Kubernetes is sent again, when, and as what.

All transient failures are in one table.

References
----------
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
https://github.com/kubernetes/kubernetes/issues/67761
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import structlog
import urllib3

from nublado.models.domain.kubernetes import JSON
from nublado.storage.kubernetes.said import Said
from nublado.timeout import Timeout

__all__ = [
    "Attempt",
    "Retry",
    "backoff",
    "decide",
    "is_fate_unknown",
    "wait_to_retry",
]

_LONGEST_SECONDS = 10.0
_FEW_ATTEMPTS = 8
_CREATES = frozenset({"POST"})
_REFUSED = re.compile(r'User "[^"]*" cannot \w+ ')
_UNREACHABLE = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that has failed.

    Parameters
    ----------
    method
        HTTP method.
    number
        How often it has been sent, counted from 1.
    status
        HTTP status; None without a response.
    said
        What the response says.
    retry_after
        How long the server wants the client to wait (seconds).
    error
        Why there was no response.
    in_grace
        Whether a refusal for want of permission may pass; see `Rights`.
    """

    method: str
    number: int
    status: int | None = None
    said: Said = Said()  # noqa: RUF009 (frozen)
    retry_after: float = 0.0
    error: urllib3.exceptions.HTTPError | None = None
    in_grace: bool = False

    @classmethod
    def of_response(
        cls,
        method: str,
        number: int,
        status: int,
        headers: Mapping[str, str],
        data: bytes,
    ) -> Attempt:
        """Read what a response says of the failure."""
        return cls(
            method,
            number,
            status,
            said=Said.read(data),
            retry_after=_retry_after(headers.get("retry-after", "")),
        )

    @classmethod
    def of_event(cls, status: JSON) -> Attempt:
        """Read a ``Status`` that a watch has sent as an event."""
        code = status.get("code")
        return cls(
            "GET",
            1,
            status=code if isinstance(code, int) else None,
            said=Said.of(status),
        )

    @property
    def is_unreachable(self) -> bool:
        """Whether the server could not be reached at all."""
        return isinstance(self.error, _UNREACHABLE)

    @property
    def is_refusal(self) -> bool:
        """Whether a permission, or who asks, is unknown to the server."""
        return self.status == 401 or (
            self.status == 403 and _REFUSED.search(self.said.message) is not None
        )


@dataclass(frozen=True, slots=True)
class Retry:
    """That a request is to be sent again.

    Parameters
    ----------
    reason
        Why, for the log.
    delay
        After how many seconds.
    """

    reason: str
    delay: float


@dataclass(frozen=True, slots=True)
class _Rule:
    """One row of the table; what is left out matches anything."""

    name: str
    statuses: frozenset[int] = frozenset()
    errors: tuple[type[Exception], ...] = ()
    methods: frozenset[str] | None = None
    reason: str | None = None
    message: str = ""
    in_grace: bool = False
    fate_unknown: bool = False
    most: float = math.inf

    def matches(self, attempt: Attempt) -> bool:
        """Whether this is what has happened."""
        if attempt.error is not None:
            happened = isinstance(attempt.error, self.errors)
        else:
            happened = attempt.status in self.statuses
        return (
            happened
            and (self.methods is None or attempt.method in self.methods)
            and (self.reason is None or attempt.said.reason == self.reason)
            and re.search(self.message, attempt.said.message) is not None
            and (attempt.in_grace or not self.in_grace)
        )


_RULES = (
    _Rule(
        "no connection",
        errors=(*_UNREACHABLE, urllib3.exceptions.EmptyPoolError),
    ),
    _Rule(
        "connection lost",
        errors=(urllib3.exceptions.HTTPError,),
        fate_unknown=True,
        most=_FEW_ATTEMPTS,
    ),
    _Rule("overloaded", frozenset({429, 503})),
    _Rule("gateway timed out", frozenset({504}), fate_unknown=True),
    _Rule("bad gateway", frozenset({502}), fate_unknown=True, most=_FEW_ATTEMPTS),
    _Rule("request timed out", frozenset({408}), fate_unknown=True, most=_FEW_ATTEMPTS),
    _Rule("redirected", frozenset({301, 302, 303, 307, 308}), most=_FEW_ATTEMPTS),
    _Rule(
        "etcd is electing or slow",
        frozenset({500}),
        message=r"etcdserver: |leader changed",
        fate_unknown=True,
        most=_FEW_ATTEMPTS,
    ),
    _Rule(
        "webhook failed",
        frozenset({500}),
        message="failed calling webhook",
        most=_FEW_ATTEMPTS,
    ),
    # The name is taken for AlreadyExists; this is a race for a quota.
    _Rule("quota changed", frozenset({409}), methods=_CREATES, reason="Conflict"),
    _Rule(
        "quota is not known yet",
        frozenset({403}),
        methods=_CREATES,
        message="status unknown for quota",
        most=_FEW_ATTEMPTS,
    ),
    _Rule(
        "service account is missing",
        frozenset({403}),
        methods=_CREATES,
        message=r"(?i)serviceaccount.*not found",
    ),
    _Rule(
        "admission is not ready",
        frozenset({403}),
        message="not yet ready to handle request",
        most=_FEW_ATTEMPTS,
    ),
    # Bound by seconds, not by attempts.
    _Rule("permissions are not loaded", frozenset({401, 403}), in_grace=True),
)
"""Transient failures; the first match counts, nothing else is sent again."""


def decide(attempt: Attempt) -> Retry | None:
    """Decide what follows a failed request; None if its failure is final."""
    rule = _rule_for(attempt)
    if rule is None or attempt.number >= rule.most:
        return None
    return Retry(rule.name, max(attempt.retry_after, backoff(attempt.number)))


def is_fate_unknown(attempt: Attempt) -> bool:
    """Whether a failed request may have taken effect all the same."""
    rule = _rule_for(attempt)
    return rule is not None and rule.fate_unknown


def _rule_for(attempt: Attempt) -> _Rule | None:
    return next((rule for rule in _RULES if rule.matches(attempt)), None)


def backoff(attempt: int) -> float:
    """Seconds to wait after so many attempts; no two requests wait the same."""
    longest = min(_LONGEST_SECONDS, 0.1 * 2.0 ** min(attempt, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311


def wait_to_retry(
    retry: Retry, attempt: int, error: Exception, timeout: Timeout
) -> None:
    """Wait until a request may be sent again.

    Raises
    ------
    Exception
        Raises ``error`` if there is no time for another attempt.
    OperationCancelledError, OperationTimeoutError
        Raised as by `Timeout.sleep`.
    """
    if retry.delay >= timeout.left():
        raise error
    structlog.get_logger(__name__).warning(
        "Retrying Kubernetes request",
        reason=retry.reason,
        attempt=attempt,
        delay=round(retry.delay, 3),
        error=str(error),
    )
    timeout.sleep(retry.delay)


def _retry_after(text: str) -> float:
    """Read ``Retry-After``, seconds or a date; 0 for what is neither."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(seconds, _LONGEST_SECONDS) if seconds > 0 else 0.0
