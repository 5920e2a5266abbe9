"""What Kubernetes says, made readable: without what only machines read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from nublado.events import Event, EventType

__all__ = ["ShownEvent", "readable", "show_events"]

_DIGEST = re.compile(r"\b(sha256|sha512):([0-9a-f]{8})[0-9a-f]{24,}\b")
_BYTES = re.compile(r"\b([0-9]{7,15}) bytes\b")
_GIGABYTE = 1e9
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """One event as it is shown."""

    type: EventType
    moment: datetime
    message: str


def show_events(events: Iterable[Event]) -> tuple[ShownEvent, ...]:
    """Make events readable; what is about a container names it."""
    return tuple(
        ShownEvent(
            event.type,
            datetime.fromtimestamp(event.timestamp, UTC),
            _with_container(event.container, readable(event.message)),
        )
        for event in events
    )


def readable(message: str) -> str:
    """Shorten digests, and write sizes as people do.

    An example is ``lab:w_2026_45@sha256:0f2f5e6a…`` of 3.5 GB.
    """
    shortened = _DIGEST.sub(r"\1:\2…", message)
    return _BYTES.sub(lambda found: _size(int(found[1])), shortened)


def _with_container(container: str | None, message: str) -> str:
    if container is None or container in message:
        return message
    return f"{container}: {message}"


def _size(amount: int) -> str:
    if amount >= _GIGABYTE / 10:
        return f"{amount / _GIGABYTE:.1f} GB"
    return f"{amount / _MEGABYTE:.1f} MB"
