"""How the API shows what was done for a user."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from marshmallow import Schema, fields

from nublado.events import Event
from nublado.models.domain.history import (
    HistoryEntry,
    HistoryKind,
    Result,
    SpawnPhase,
)
from nublado.models.domain.kubernetes import JSON

__all__ = ["HistorySchema", "dump_history"]


class HistoryEventSchema(Schema):
    """One step of an operation."""

    type = fields.String(required=True)
    message = fields.String(required=True)
    timestamp = fields.AwareDateTime(required=True)
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Kubernetes' word for it"},
    )
    container = fields.String(required=True, allow_none=True)


class HistoryEntrySchema(Schema):
    """An operation that is over, or something that happened to a lab."""

    kind = fields.Enum(HistoryKind, by_value=True, required=True)
    result = fields.Enum(Result, by_value=True, required=True)
    started = fields.AwareDateTime(required=True, allow_none=True)
    ended = fields.AwareDateTime(required=True)
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why, in words; null if it succeeded"},
    )
    cause = fields.String(required=True, allow_none=True)
    seconds = fields.Dict(
        keys=fields.Enum(SpawnPhase, by_value=True),
        values=fields.Float(),
        required=True,
        metadata={"description": "How long each phase of a spawn took"},
    )
    image = fields.String(required=True, allow_none=True)
    size = fields.String(required=True, allow_none=True)
    node = fields.String(required=True, allow_none=True)
    bytes_pulled = fields.Integer(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)
    events = fields.List(fields.Nested(HistoryEventSchema), required=True)


class HistorySchema(Schema):
    """What was done for a user, the newest first."""

    username = fields.String(required=True)
    history = fields.List(fields.Nested(HistoryEntrySchema), required=True)


def dump_history(username: str, entries: Iterable[HistoryEntry]) -> JSON:
    """Show the history of a user."""
    shown: JSON = HistorySchema().dump(
        {"username": username, "history": [_entry(entry) for entry in entries]}
    )
    return shown


def _entry(entry: HistoryEntry) -> JSON:
    names = HistoryEntrySchema().fields
    shown = {name: getattr(entry, name) for name in names if name != "events"}
    return {**shown, "events": [_event(event) for event in entry.events]}


def _event(event: Event) -> JSON:
    return {
        "type": event.type.value,
        "message": event.message,
        "timestamp": datetime.fromtimestamp(event.timestamp, UTC),
        "reason": event.reason,
        "container": event.container,
    }
