"""The schema of a configuration file as a JSON Schema.

For editors and for Helm, which know types and keys, but none of the rules that
need more than one value, or Kubernetes: what passes may still be refused by
`nublado.config.load`, and what is refused here would be refused there.

References
----------
https://json-schema.org/draft-07
"""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any

from nublado.config.fields import Boolean, Choice, Cores, Duration, Integer, Memory
from nublado.config.fileserver import FileserverSection
from nublado.config.root import Given, RootSchema
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section, Tagged
from nublado.config.values import camel_case
from nublado.models.domain.kubernetes import JSON

__all__ = ["config_json_schema"]

_TEXT = ["string", "number"]
_TRUE = [True, "true", "True"]


def config_json_schema() -> tuple[JSON, JSON]:
    """Describe a configuration file.

    Returns
    -------
    tuple
        A JSON Schema of draft 7, which is what Helm understands, and the
        ``definitions`` that it refers to.
    """
    described = _Definitions()
    root = described.mapping(RootSchema())
    return root, described.definitions


class _Definitions:
    """Describes each mapping once."""

    def __init__(self) -> None:
        self.definitions: JSON = {}

    def mapping(self, schema: ConfigSchema, kind: str | None = None) -> JSON:
        """Describe a mapping, perhaps one that a ``type`` tells from others."""
        name = type(schema).__name__.removesuffix("Schema")
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._defined(schema, kind)
        return {"$ref": f"#/definitions/{name}"}

    def _defined(self, schema: ConfigSchema, kind: str | None) -> JSON:
        properties: JSON = {} if kind is None else {"type": {"enum": [kind]}}
        required: list[JSON] = [_one_of_keys([key]) for key in properties]
        for name, field in schema.load_fields.items():
            spellings = sorted({camel_case(name), name})
            described = self.value(field)
            if field.required:
                required.append(_one_of_keys(spellings))
            else:
                described = _or_absent(described, schema)
            properties |= dict.fromkeys(spellings, described)
        found: JSON = {"type": "object", "additionalProperties": False}
        found["properties"] = properties
        if required:
            found["allOf"] = required
        return found

    @singledispatchmethod
    def value(self, field: Any) -> JSON:
        """Describe a value; what has no rule of its own is text."""
        del field
        return {"type": _TEXT}

    @value.register
    def _(self, field: Boolean) -> JSON:
        del field
        return {"enum": [*_TRUE, False, "false", "False"]}

    @value.register
    def _(self, field: Integer) -> JSON:
        number: JSON = {"type": "integer"}
        if field.minimum is not None:
            number["minimum"] = field.minimum
        return {"anyOf": [number, {"type": "string", "pattern": "^[+-]?[0-9]{1,18}$"}]}

    @value.register
    def _(self, field: Choice) -> JSON:
        words = list(field.choices)
        if field.any_case:
            words += [word.lower() for word in words] + [w.title() for w in words]
        return {"enum": list(dict.fromkeys(map(str, words)))}

    @value.register(Cores)
    @value.register(Duration)
    @value.register(Memory)
    def _(self, field: Any) -> JSON:
        del field
        return {
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]
        }

    @value.register(ListOf)
    def _(self, field: ListOf[Any]) -> JSON:
        found: JSON = {"type": "array", "items": self.value(field.item)}
        if field.required:
            found["minItems"] = 1
        return found

    @value.register
    def _(self, field: MapOf) -> JSON:
        del field
        return {"type": "object", "additionalProperties": {"type": _TEXT}}

    @value.register
    def _(self, field: Given) -> JSON:
        del field
        return {"type": "object"}

    @value.register
    def _(self, field: Section) -> JSON:
        return self.mapping(field.schema)

    @value.register
    def _(self, field: FileserverSection) -> JSON:
        enabled = {"required": ["enabled"], "properties": {"enabled": {"enum": _TRUE}}}
        section = self.mapping(field.schema)
        return {"if": enabled, "then": section, "else": {"type": "object"}}

    @value.register
    def _(self, field: Tagged) -> JSON:
        return {"anyOf": [self.mapping(s, kind) for kind, s in field.schemas.items()]}


def _one_of_keys(spellings: list[str]) -> JSON:
    return {"anyOf": [{"required": [key]} for key in spellings]}


def _or_absent(described: JSON, schema: ConfigSchema) -> JSON:
    """Describe a key that may have no value, which is as good as being absent."""
    absent: list[Any] = [None, {}, []]
    if schema.empty_text_is_absent:
        absent.append("")
    return {"anyOf": [described, {"enum": absent}]}
