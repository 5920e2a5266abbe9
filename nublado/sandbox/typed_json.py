"""Dataclasses from JSON that people write, with errors that say where."""

from __future__ import annotations

import json
from dataclasses import fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from nublado.models.domain.kubernetes import JSON

__all__ = ["parse"]

_T = TypeVar("_T")


def parse(cls: type[_T], path: str, data: object) -> _T:
    """Make a dataclass of JSON.

    Parameters
    ----------
    cls
        The dataclass; its ``__post_init__`` may raise `ValueError`.
    path
        Where the JSON is, for errors.
    data
        The JSON.

    Raises
    ------
    ValueError
        Raised if it does not fit; says where and why.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{path}: must be an object")  # noqa: TRY004 (one error type)
    names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    unknown = set(data) - names
    if unknown:
        raise ValueError(f"{path}: unknown keys: {', '.join(sorted(unknown))}")
    types = get_type_hints(cls)
    for name, value in data.items():
        if not _is_a(value, types[name]):
            raise ValueError(f"{path}.{name}: {json.dumps(value)} is of the wrong type")
    try:
        return cls(**data)
    except (ValueError, TypeError) as e:
        raise ValueError(f"{path}.{e}") from e


def _is_a(value: object, wanted: Any) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(wanted, type):
        return isinstance(value, wanted)
    if wanted == list[str]:
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    if wanted == list[JSON]:
        return isinstance(value, list) and all(isinstance(v, dict) for v in value)
    if wanted == JSON:
        return isinstance(value, dict)
    members = get_args(wanted)
    return value in [m for m in members if isinstance(m, str)] or any(
        _is_a(value, member)
        for member in members
        if member is NoneType or not isinstance(member, str)
    )
