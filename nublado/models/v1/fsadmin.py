"""The pod for the administration of file systems, as the API accepts and shows it."""

from __future__ import annotations

from datetime import datetime

from marshmallow import Schema, ValidationError, fields

from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.fields import NOT_AN_OBJECT, validation_problems

__all__ = [
    "FsadminRequestSchema",
    "FsadminStateSchema",
    "check_fsadmin_request",
    "dump_fsadmin_state",
]


def _is_true(value: object) -> None:
    if value is not True:
        raise ValidationError("Must be true")


class FsadminRequestSchema(Schema):
    """A request for the pod; nothing else can be asked for."""

    error_messages = {"type": NOT_AN_OBJECT}

    start = fields.Raw(
        required=True,
        allow_none=False,
        validate=_is_true,
        metadata={"type": "boolean", "enum": [True]},
    )


class FsadminStateSchema(Schema):
    """The pod that runs; where none does the response is 404."""

    start_time = fields.AwareDateTime(required=True)


def check_fsadmin_request(data: object) -> None:
    """Check the body of a request for the pod.

    Parameters
    ----------
    data
        The decoded JSON.

    Raises
    ------
    ValidationProblemsError
        Raised if it asks for anything but that; carries all that is wrong.
    """
    try:
        FsadminRequestSchema().load(data)  # type: ignore[arg-type]
    except ValidationError as e:
        raise validation_problems(e, ("body",)) from None


def dump_fsadmin_state(started: datetime) -> JSON:
    """Show the pod that runs."""
    shown: JSON = FsadminStateSchema().dump({"start_time": started})
    return shown
