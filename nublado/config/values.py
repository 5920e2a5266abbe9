"""Values as they stand in a YAML file, and how messages speak of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Number",
    "Value",
    "YamlPath",
    "camel_case",
    "found",
    "given",
    "path_text",
    "quoted",
    "spelling",
    "text_of",
]


@dataclass(frozen=True, slots=True)
class Number:
    """A number together with how it is written.

    Where text is wanted, ``tag: 1.0`` means the text ``1.0``, as its author
    sees it, and not what is left of it after a conversion to a float.
    """

    text: str
    value: int | float


Value: TypeAlias = "str | bool | Number | list[Value] | dict[str, Value] | None"
"""What a YAML file consists of."""

YamlPath: TypeAlias = tuple[str | int, ...]
"""Keys and indices (from 0) that lead to a value."""

_MAX_QUOTED = 60


def camel_case(name: str) -> str:
    """Spell a snake_case name in camelCase."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def spelling(mapping: Mapping[str, object], key: str) -> str | None:
    """Find how a mapping spells a key.

    Parameters
    ----------
    mapping
        Mapping of the file, with its keys in camelCase or snake_case.
    key
        The key in camelCase.

    Returns
    -------
    str or None
        The key as the mapping has it, None if it does not have it.
    """
    if key in mapping:
        return key
    return next((k for k in mapping if "_" in k and camel_case(k) == key), None)


def given(mapping: object, key: str, *, even_empty: bool = False) -> bool:
    """Whether a mapping of the file has a key, and not with null or no items.

    Parameters
    ----------
    mapping
        Mapping of the file.
    key
        The key in camelCase.
    even_empty
        Whether an empty mapping counts as a value.
    """
    if not isinstance(mapping, dict):
        return False
    spelled = spelling(mapping, key)
    return spelled is not None and (
        mapping[spelled] not in (None, [], {})
        or (even_empty and mapping[spelled] == {})
    )


def text_of(value: object) -> str | None:
    """Text of a scalar that may stand for text; None of anything else."""
    if isinstance(value, Number):
        return value.text
    return value if isinstance(value, str) else None


def quoted(text: str) -> str:
    """Quote a text for a message, and cut what is too long for a line."""
    return _in_quotes(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


def _in_quotes(text: str) -> str:
    """Quote a text, without the characters that would spoil a terminal."""
    printable = (c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return f'"{"".join(printable)}"'


def found(value: object) -> str:
    """Say what a value is, for the end of a message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Number():
            return value.text
        case str():
            return quoted(value)
        case list():
            return "a list"
        case _:
            return "a mapping"


def path_text(path: YamlPath) -> str:
    """Write a path as in ``lab.volumes[2].source.path``.

    Keys that are not plain words are written in brackets and quotes.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").replace("-", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f"[{_in_quotes(part)}]"
    return text
