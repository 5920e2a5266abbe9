"""Checks of what people send to the sandbox, with words that help."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = [
    "check_fields",
    "check_keys",
    "check_patterns",
    "check_range",
    "is_http_url",
    "suggestion",
]

_HTTP_URL = re.compile(r"https?://[^\s/?#]+(/\S*)?")
_PLURALS = {str: "strings", int: "whole numbers", float: "numbers", dict: "objects"}


def suggestion(name: str, known: Iterable[str]) -> str:
    """Ask whether something similar was meant; empty if nothing is similar."""
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def check_keys(given: Iterable[str], known: Collection[str], kind: str) -> None:
    """Refuse keys that nobody knows.

    Parameters
    ----------
    given, known
        Names.
    kind
        What they are names of, such as ``setting``.

    Raises
    ------
    ValueError
        Raised if one is unknown; names the closest, and all that are known.
    """
    for name in given:
        if name not in known:
            hint = suggestion(name, known)
            listed = ", ".join(sorted(known))
            raise ValueError(f"Unknown {kind} {name}.{hint} Known are: {listed}")


def check_fields(cls: type, data: Mapping[str, Any]) -> None:
    """Check values against the declared types of a dataclass.

    Whole numbers are numbers too, but true and false are none.

    Raises
    ------
    ValueError
        Raised if a value has another type; says which and what it must be.
    """
    types = get_type_hints(cls)
    for name, value in data.items():
        wanted = types[name]
        if not _is_a(value, wanted):
            shown = json.dumps(value)
            raise ValueError(f"{name} must be {_describe(wanted)}, not {shown}")


def check_patterns(name: str, patterns: Iterable[str]) -> None:
    """Refuse what is no regular expression.

    Raises
    ------
    ValueError
        Raised if one is none; says which and why.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as e:
            raise ValueError(f"{name}: {pattern} is no regular expression: {e}") from e


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number that is out of range.

    Raises
    ------
    ValueError
        Raised if it is; says what it must be.
    """
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least:g} to {most:g}, not {value:g}")


def is_http_url(text: str) -> bool:
    """Whether text is the URL of an HTTP server."""
    return _HTTP_URL.fullmatch(text) is not None


_SCALARS: dict[type, tuple[str, Callable[[Any], bool]]] = {
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: _is_number(value, int)),
    float: ("a number", lambda value: _is_number(value, (int, float))),
    str: ("a string", lambda value: isinstance(value, str)),
    NoneType: ("null", lambda value: value is None),
}


def _is_number(value: Any, kind: Any) -> bool:
    is_one = isinstance(value, kind) and not isinstance(value, bool)
    return is_one and math.isfinite(value)


def _is_a(value: Any, wanted: Any) -> bool:
    if wanted in _SCALARS:
        return _SCALARS[wanted][1](value)
    members = get_args(wanted)
    match get_origin(wanted):
        case _ if wanted is Any:
            return True
        case origin if origin in (Union, UnionType):
            return any(_is_a(value, member) for member in members)
        case origin if origin is Literal:
            return isinstance(value, str) and value in members
        case origin if origin is list:
            return isinstance(value, list) and all(_is_a(v, members[0]) for v in value)
    return isinstance(value, dict) and all(_is_a(v, members[1]) for v in value.values())


def _describe(wanted: Any) -> str:
    if wanted in _SCALARS:
        return _SCALARS[wanted][0]
    members = get_args(wanted)
    match get_origin(wanted):
        case origin if origin in (Union, UnionType):
            return " or ".join(map(_describe, members))
        case origin if origin is Literal:
            return " or ".join(members)
        case origin if origin is list:
            return f"a list of {_PLURALS[get_origin(members[0]) or members[0]]}"
    if members[1] is Any:
        return "an object"
    return f"an object of {_PLURALS[members[1]]}"
