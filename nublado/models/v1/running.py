"""How the API takes and shows what can be changed in a running process."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.fields import NOT_AN_OBJECT, REQUIRED, validation_problems

__all__ = [
    "ConfigurationFileSchema",
    "LogLevelRequestSchema",
    "LogLevelSchema",
    "dump_log_level",
    "parse_log_level",
]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_DEFAULT_SECONDS = 15 * 60
_MAX_SECONDS = 24 * 3600


class LogLevelRequestSchema(Schema):
    """How much to log, and for how long."""

    error_messages = {"type": NOT_AN_OBJECT}

    level = fields.String(
        required=True,
        validate=validate.OneOf(_LEVELS, error="Must be one of: {choices}"),
        error_messages={"required": REQUIRED},
    )
    seconds = fields.Integer(
        strict=True,
        load_default=_DEFAULT_SECONDS,
        validate=validate.Range(1, _MAX_SECONDS),
        metadata={"description": "After which the usual level comes back"},
    )


class LogLevelSchema(Schema):
    """How much is logged."""

    level = fields.String(required=True, metadata={"enum": list(_LEVELS)})
    until = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the usual level comes back; null if it is that"},
    )


class ConfigurationProblemSchema(Schema):
    """Something that is wrong with the configuration."""

    path = fields.String(required=True)
    line = fields.Integer(required=True, allow_none=True)
    message = fields.String(required=True)


class ConfigurationFileSchema(Schema):
    """The configuration file, which a restart would read."""

    has_changed = fields.Boolean(
        required=True,
        metadata={"description": "Whether the service runs with another one"},
    )
    since = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When it was found so; null if it has not changed"},
    )
    problems = fields.List(
        fields.Nested(ConfigurationProblemSchema),
        required=True,
        metadata={"description": "Why a restart could not use it"},
    )


def parse_log_level(data: Any) -> tuple[str, int]:
    """Read a level and for how long (seconds) it should hold.

    Raises
    ------
    ValidationProblemsError
        Raised with everything that is wrong with the request.
    """
    try:
        loaded = LogLevelRequestSchema().load(data)
    except ValidationError as e:
        raise validation_problems(e, ("body",)) from e
    return loaded["level"], loaded["seconds"]


def dump_log_level(level: str, until: datetime | None) -> JSON:
    """Show how much is logged."""
    shown: JSON = LogLevelSchema().dump({"level": level, "until": until})
    return shown
