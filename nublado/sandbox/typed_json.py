"""Dataclasses from JSON that people write, with errors that say where."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar

from nublado.sandbox.checks import check_fields, check_keys

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
        raise ValueError(f"{path} must be a JSON object")  # noqa: TRY004 (one error type)
    try:
        _check(cls, data)
        return cls(**data)
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from e


def _check(cls: type[Any], data: dict[str, Any]) -> None:
    known = {f.name: f for f in fields(cls)}
    check_keys(data, known, "key")
    check_fields(cls, data)
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in data:
            raise ValueError(f"{name} is missing")
