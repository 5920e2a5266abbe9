"""Responses that routes share, and those of routes about the service itself."""

from __future__ import annotations

from marshmallow import Schema, fields

from nublado.models.domain.kubernetes import JSON

__all__ = [
    "ErrorSchema",
    "FileserverStatusSchema",
    "MetadataResponseSchema",
    "MetadataSchema",
    "ProbeSchema",
    "dump_error",
]


class ProblemSchema(Schema):
    """One thing that is wrong."""

    type = fields.String(
        required=True, metadata={"description": "What it is, for programs"}
    )
    msg = fields.String(
        required=True, metadata={"description": "What it is, for people"}
    )
    loc = fields.List(
        fields.Raw(metadata={"type": ["string", "integer"]}),
        metadata={"description": "Which part of the request is to blame"},
    )


class ErrorSchema(Schema):
    """Every error, whatever it is."""

    detail = fields.List(fields.Nested(ProblemSchema), required=True)


class MetadataSchema(Schema):
    """The application; what is not known is left out."""

    name = fields.String(required=True)
    version = fields.String()
    description = fields.String()
    repository_url = fields.String()
    documentation_url = fields.String()


class MetadataResponseSchema(Schema):
    """The application, as it is shown to the outside."""

    metadata = fields.Nested(MetadataSchema, required=True)


class ProbeSchema(Schema):
    """Whether all is well, and what is not."""

    status = fields.String(required=True, metadata={"enum": ["ok", "failed"]})
    problems = fields.List(fields.String(), required=True)


class FileserverStatusSchema(Schema):
    """State of a file server that runs; for others the response is 404."""

    running = fields.Boolean(required=True)


def dump_error(problems: list[JSON]) -> JSON:
    """Show what is wrong with a request."""
    shown: JSON = ErrorSchema().dump({"detail": problems})
    return shown
