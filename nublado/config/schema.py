"""What all schemas of the configuration have in common."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar

from marshmallow import (
    EXCLUDE,
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validates_schema,
)

from nublado.config.values import camel_case, found, given, quoted, spelling

__all__ = ["MESSAGES", "ConfigSchema", "same_as"]

MESSAGES: dict[str, Any] = {
    "required": "is required, and missing",
    "null": "must not be null",
}
"""Messages of fields without a value."""


class ConfigSchema(Schema):
    """A mapping with known keys, in camelCase or snake_case.

    Keys that are unknown or given in both spellings are reported beside all
    other problems. An optional key with null or an empty mapping or list is as
    good as absent. The result is a `model`, whose defaults fill the gaps.
    """

    class Meta(Schema.Meta):
        """Unknown keys are found in `check_keys`, which can say more."""

        unknown = EXCLUDE
        register = False

    model: ClassVar[type[Any]] = dict
    """What a mapping that passed all checks becomes."""

    meaningful_when_empty: ClassVar[frozenset[str]] = frozenset()
    """Fields for which an empty mapping is not the same as none."""

    aliases: ClassVar[Mapping[str, str]] = {}
    """Other names of fields, and the fields; all of them are fields."""

    empty_text_is_absent: ClassVar[bool] = False
    """Whether an empty text is as good as none, as it is in Kubernetes."""

    def read(self, value: object) -> Any:
        """Check a value of the file and turn it into a `model`.

        Raises
        ------
        ValidationError
            Raised with all that is wrong.
        """
        if not isinstance(value, dict):
            raise ValidationError(f"must be a mapping, not {found(value)}")
        return self.load(value)

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Let the file spell the field in camelCase."""
        field_obj.data_key = camel_case(field_name)

    @pre_load
    def select_keys(self, data: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        """Take the known keys that have a value."""
        selected = {}
        for name, field in self.load_fields.items():
            key = spelling(data, camel_case(name))
            if key is None:
                continue
            value = data[key]
            empty = value is None or value == {} or value == []
            if self.empty_text_is_absent and value == "":
                empty = True
            if value == {} and name in self.meaningful_when_empty:
                empty = False
            if field.required or not empty:
                selected[camel_case(name)] = value
        return selected

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_keys(self, _: Any, original: Mapping[str, Any], **__: Any) -> None:
        """Report keys that are unknown or spelled in two ways."""
        known = [camel_case(name) for name in self.load_fields]
        errors: dict[str, list[str]] = {}
        for key in original:
            camel = camel_case(key)
            if camel not in known:
                errors[key] = [_unknown(key, known)]
            elif camel != key and camel in original:
                errors[key] = [same_as(camel)]
        if errors:
            raise ValidationError(errors)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_aliases(self, _: Any, original: Mapping[str, Any], **__: Any) -> None:
        """Report settings that are given by both of their names."""
        errors = {}
        for alias, name in self.aliases.items():
            keys = [camel_case(alias), camel_case(name)]
            if all(given(original, key) for key in keys):
                errors[keys[0]] = [same_as(keys[1])]
        if errors:
            raise ValidationError(errors)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Create the model."""
        for alias, name in self.aliases.items():
            if alias in data:
                data[name] = data.pop(alias)
        return self.build(data)

    def build(self, data: dict[str, Any]) -> Any:
        """Create the model from values by field name."""
        return self.model(**data)


def same_as(key: str) -> str:
    """Say that a setting is given in two ways."""
    return f"is the same as {quoted(key)}, which is given too; keep one"


def _unknown(key: str, known: list[str]) -> str:
    plain = {name.lower(): name for name in known}
    near = get_close_matches(key.lower().replace("_", ""), plain, 1, cutoff=0.7)
    if near:
        return f"is an unknown key; did you mean {quoted(plain[near[0]])}?"
    return f"is an unknown key; the known ones are {', '.join(sorted(known))}"
