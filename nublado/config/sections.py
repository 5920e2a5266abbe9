"""Marshmallow fields for lists and mappings of a configuration file."""

from __future__ import annotations

from typing import Any, TypeVar

from marshmallow import ValidationError
from marshmallow.exceptions import SCHEMA

from nublado.config.fields import Rule, Setting, apply_rule, read_text
from nublado.config.schema import ConfigSchema
from nublado.config.values import found

__all__ = ["ListOf", "MapOf", "Section", "Tagged"]

T = TypeVar("T")


class ListOf(Setting[tuple[T, ...]]):
    """A list, all of whose items are checked.

    Parameters
    ----------
    item
        Field of each item.
    required
        Whether the list must be there, and must not be empty.
    """

    def __init__(
        self, item: Setting[T], *, required: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(required=required, **kwargs)
        self.item = item

    def _read(self, value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValidationError(f"must be a list, not {found(value)}")
        if self.required and not value:
            raise ValidationError("must have at least one item")
        items, errors = [], {}
        for index, element in enumerate(value):
            try:
                items.append(self.item.deserialize(element))
            except ValidationError as e:
                errors[index] = e.messages
        if errors:
            raise ValidationError(errors)
        return tuple(items)


class MapOf(Setting[dict[str, str]]):
    """A mapping from keys of the operator's choice to texts.

    Parameters
    ----------
    key
        Rule of the keys.
    value
        Rule of the values; any text by default.
    max_bytes
        How much Kubernetes stores of keys and values together.
    """

    def __init__(
        self,
        key: Rule,
        value: Rule = str,
        *,
        max_bytes: int = 1024 * 1024,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.value = value
        self.max_bytes = max_bytes

    def _read(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError(f"must be a mapping, not {found(value)}")
        result: dict[str, str] = {}
        errors: dict[str, Any] = {}
        for key, content in value.items():
            try:
                result[apply_rule(self.key, key)] = apply_rule(
                    self.value, read_text(content)
                )
            except ValidationError as e:
                errors[key] = e.messages
        size = sum(len(k.encode()) + len(v.encode()) for k, v in result.items())
        if size > self.max_bytes:
            message = f"must have at most {self.max_bytes} bytes in all, not {size}"
            errors[SCHEMA] = [message]
        if errors:
            raise ValidationError(errors)
        return result


class Section(Setting[Any]):
    """A mapping with a schema of its own."""

    def __init__(self, schema: type[ConfigSchema], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schema = schema()

    def _read(self, value: object) -> Any:
        return self.schema.read(value)


class Tagged(Setting[Any]):
    """A mapping whose schema depends on its ``type``.

    Parameters
    ----------
    schemas
        Schema of each type.
    """

    def __init__(self, schemas: dict[str, type[ConfigSchema]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schemas = {name: schema() for name, schema in schemas.items()}

    def _read(self, value: object) -> Any:
        if not isinstance(value, dict):
            raise ValidationError(f"must be a mapping, not {found(value)}")
        rest = dict(value)
        names = ", ".join(self.schemas)
        if "type" not in rest:
            raise ValidationError({"type": [f"is required: one of {names}"]})
        kind = rest.pop("type")
        schema = self.schemas.get(kind) if isinstance(kind, str) else None
        if schema is None:
            message = f"must be one of {names}, not {found(kind)}"
            raise ValidationError({"type": [message]})
        return schema.read(rest)
