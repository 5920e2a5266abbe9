"""What whoever helps a user wants to know, as text to be copied.

It is in English, whatever the language of the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from nublado.models.domain.lab import LabState
from nublado.services.operation import AnyOperation
from nublado.services.progress.ends import LabEnd
from nublado.services.progress.events import ShownEvent, readable, show_events
from nublado.services.progress.story import Story

__all__ = ["support_text"]

_EVENTS = 12


def support_text(
    operation: AnyOperation,
    story: Story,
    lab: LabState | None,
    ends: Sequence[LabEnd],
    now: float,
) -> str:
    """Sum up an operation; it says nothing that the page does not.

    Parameters
    ----------
    operation
        The newest operation.
    story
        What the page tells.
    lab
        The lab; None where unknown.
    ends
        What has happened to it since it started.
    now
        The time (seconds since the epoch).
    """
    return "\n".join(
        [
            *_of_story(operation, story, now),
            *_of_lab(lab, story.node),
            *(f"{end.moment:%Y-%m-%d %H:%M:%S} UTC: {end.details}" for end in ends),
            "Last events:",
            *(_line(event) for event in show_events(story.events[-_EVENTS:])),
        ]
    )


def _of_story(operation: AnyOperation, story: Story, now: float) -> Iterator[str]:
    yield f"User: {operation.username}"
    yield f"Newest operation: {operation.title} (request {operation.request_id})"
    if story.request_id not in (None, operation.request_id):
        yield f"Told of: {story.kind} (request {story.request_id})"
    yield f"Started: {_moment(story.accepted)}"
    yield f"Page of: {_moment(now)}"
    if story.cause is not None:
        yield f"Failure: {story.cause.value}: {readable(story.reason or '')}"


def _of_lab(lab: LabState | None, node: str | None) -> Iterator[str]:
    if lab is not None:
        yield f"Image: {lab.options.image}"
        yield f"Size: {lab.options.size} ({lab.resources.limits.label()})"
    if node is not None:
        yield f"Node: {node}"


def _line(event: ShownEvent) -> str:
    return f"{event.moment:%H:%M:%S} {event.type.value}: {event.message}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
