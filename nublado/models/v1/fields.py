"""Fields of requests, and what is said of those that are wrong.

JupyterHub forwards the data of its form as it got it. So options may be lists
of one string, and booleans may be spelled out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError, fields, missing

from nublado.constants import SERVICE_PREFIX
from nublado.exceptions import ValidationProblem, ValidationProblemsError

__all__ = [
    "MAX_ENV_BYTES",
    "MAX_ENV_VALUE_BYTES",
    "NOT_AN_OBJECT",
    "REQUIRED",
    "Environment",
    "FormBoolean",
    "FormString",
    "describe_form_field",
    "validation_problems",
]

MAX_ENV_BYTES = 768 * 1024
"""Largest environment in bytes: a config map holds 1 MiB, some of it ours."""

MAX_ENV_VALUE_BYTES = 128 * 1024 - 512
"""Largest variable in bytes; execve(2) accepts 128 KiB, the name included."""

REQUIRED = "Field required"
NOT_AN_OBJECT = "Not an object"
NOT_A_STRING = "Not a string"
NOT_A_BOOLEAN = "Not a boolean"

_TYPES = {
    REQUIRED: "missing",
    NOT_AN_OBJECT: "type_error",
    NOT_A_STRING: "type_error",
    NOT_A_BOOLEAN: "type_error",
}
"""Type of problem by message; all others are wrong values."""

_MAX_PROBLEMS = 50
"""How many problems are reported at once."""

_ENV_NAME = re.compile(r"(?!\.\.?$|\.\.)[-._a-zA-Z0-9]{1,253}", re.ASCII)
"""Keys that a config map may have."""

_ANY_CASE_BOOLEAN = "^(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"

_URL_PATH = re.compile(r"/[!\"$->@-\[\]-~]*")
"""A path in visible ASCII, without query, fragment and backslashes."""


def validation_problems(
    error: ValidationError, location: tuple[str | int, ...]
) -> ValidationProblemsError:
    """Turn marshmallow's error into one that the API can show.

    Parameters
    ----------
    error
        What marshmallow has raised.
    location
        Where in the request the data was.
    """
    problems = list(_flatten(error.messages, location))
    return ValidationProblemsError(problems[:_MAX_PROBLEMS])


def _flatten(
    messages: object, location: tuple[str | int, ...]
) -> Iterator[ValidationProblem]:
    """Walk the tree of messages, whose branches are fields."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            yield from _flatten(
                below, location if key == "_schema" else (*location, key)
            )
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            text = str(message)
            yield ValidationProblem(_TYPES.get(text, "value_error"), text, location)


class _FormField(fields.Field[Any]):
    """One element of a form, which may come as a list of one."""

    def one_of_them(self) -> dict[str, Any]:
        """JSON schema of that one element."""
        raise NotImplementedError

    def deserialize(
        self,
        value: Any,
        attr: str | None = None,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if isinstance(value, list):
            if len(value) > 1:
                raise ValidationError(f"Too many values for {attr}")
            value = value[0] if value else None
        if value is None:
            value = missing
        return super().deserialize(value, attr, data, **kwargs)


class FormString(_FormField, fields.String):
    """Text from a form."""

    def one_of_them(self) -> dict[str, Any]:
        """JSON schema of the text."""
        choices = [c for v in self.validators for c in getattr(v, "choices", ())]
        return {"type": "string", **({"enum": choices} if choices else {})}

    default_error_messages = {"required": REQUIRED, "invalid": NOT_A_STRING}

    def _deserialize(self, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(*args, **kwargs)
        if not _is_unicode(text):
            raise ValidationError("Not valid Unicode")
        return text


class FormBoolean(_FormField, fields.Boolean):
    """A switch in a form: a boolean, or the name of one in any case."""

    def one_of_them(self) -> dict[str, Any]:
        """JSON schema of the switch."""
        return {
            "anyOf": [
                {"type": "boolean"},
                {"type": "string", "pattern": _ANY_CASE_BOOLEAN},
            ]
        }

    default_error_messages = {"invalid": NOT_A_BOOLEAN}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.lower())
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Environment(fields.Dict):
    """Environment of a lab, as a config map and a container can hold it."""

    default_error_messages = {
        "required": REQUIRED,
        "null": NOT_AN_OBJECT,
        "invalid": NOT_AN_OBJECT,
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keys=fields.String(), values=fields.String(), **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        checked = {name: _wrong_with(name, text) for name, text in value.items()}
        wrong = {name: [text] for name, text in checked.items() if text}
        if SERVICE_PREFIX not in value:
            wrong[SERVICE_PREFIX] = [REQUIRED]
        if wrong:
            raise ValidationError(wrong)
        size = sum(len(n) + len(text.encode()) for n, text in value.items())
        if size > MAX_ENV_BYTES:
            raise ValidationError(f"Larger than {MAX_ENV_BYTES} bytes")
        return value


def describe_form_field(field: fields.Field[Any]) -> dict[str, Any]:
    """Describe in JSON schema what a field of this module accepts.

    Parameters
    ----------
    field
        A field; there is nothing to say of those that are not of this module.

    References
    ----------
    https://json-schema.org/draft/2020-12
    """
    if isinstance(field, Environment):
        return {
            "type": "object",
            "required": [SERVICE_PREFIX],
            "properties": {
                SERVICE_PREFIX: {"type": "string", "pattern": _anchored(_URL_PATH)}
            },
            "propertyNames": {"pattern": _anchored(_ENV_NAME)},
            "additionalProperties": {"type": "string", "pattern": r"^[^\u0000]*$"},
        }
    if not isinstance(field, _FormField):
        return {}
    one = field.one_of_them()
    few = {"type": "array", "items": one, "maxItems": 1}
    if field.required:
        return {"anyOf": [one, {**few, "minItems": 1}]}
    return {"anyOf": [one, few, {"type": "null"}]}


def _anchored(pattern: re.Pattern[str]) -> str:
    """Make of a pattern for whole texts one for JSON schema, which searches."""
    return f"^(?:{pattern.pattern})$"


def _wrong_with(name: str, value: object) -> str | None:
    """Say what is wrong with a variable; None if nothing is."""
    if not isinstance(value, str):
        return NOT_A_STRING
    if not _ENV_NAME.fullmatch(name):
        return "Not a valid name of an environment variable"
    if "\0" in value or not _is_unicode(value):
        return "Contains what an environment variable cannot hold"
    if len(value.encode()) > MAX_ENV_VALUE_BYTES:
        return f"Larger than {MAX_ENV_VALUE_BYTES} bytes"
    if name == SERVICE_PREFIX and not _URL_PATH.fullmatch(value):
        return "Not an absolute path"
    return None


def _is_unicode(text: str) -> bool:
    """Tell whether text can be encoded: JSON may hold halves of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
