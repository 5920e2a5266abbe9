"""Marshmallow fields for single values of a configuration file.

They take the values of `nublado.config.values`, and their messages say what
was expected and what was found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from marshmallow import ValidationError, fields

from nublado.config.schema import MESSAGES
from nublado.config.values import Number, found, quoted, text_of
from nublado.units import duration_to_seconds, memory_to_bytes

__all__ = [
    "Boolean",
    "Choice",
    "Cores",
    "Duration",
    "Integer",
    "Memory",
    "Millicores",
    "OptionalText",
    "Rule",
    "Setting",
    "Text",
    "apply_rule",
    "read_text",
]

T = TypeVar("T")

Rule = Callable[[str], str]
"""Checks and normalises a text; raises `ValueError` with what was expected."""

MAX_CORES = 100_000.0
"""More CPUs than any node has."""


class Setting(fields.Field[T]):
    """A field that only reads, independent of other fields."""

    default_error_messages = MESSAGES

    def _deserialize(self, value: object, *_: Any, **__: Any) -> T:
        return self._read(value)

    def _read(self, value: object) -> T:
        """Turn a value of the file into one of the configuration.

        Raises
        ------
        ValidationError
            Raised with what was expected and what was found.
        """
        raise NotImplementedError


class Text(Setting[Any]):
    """Text; a number stands for the text as which it is written.

    Parameters
    ----------
    rule
        What the text must satisfy; anything but the empty text by default.
    """

    def __init__(self, rule: Rule | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rule = rule or _not_empty

    def _read(self, value: object) -> str:
        return apply_rule(self.rule, read_text(value))


class OptionalText(Text):
    """Text that counts as not given when it is empty."""

    def _read(self, value: object) -> Any:
        return None if value == "" else super()._read(value)


class Boolean(Setting[bool]):
    """True or false, which a Helm chart may have put into quotes."""

    def _read(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise ValidationError(f"must be true or false, not {found(value)}")


class Integer(Setting[int]):
    """A whole number.

    Parameters
    ----------
    minimum, maximum
        Bounds, which are allowed values themselves.
    """

    def __init__(
        self, minimum: int | None = None, maximum: int = 2**63 - 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.minimum = minimum
        self.maximum = maximum

    def _read(self, value: object) -> int:
        number = value.value if isinstance(value, Number) else value
        if isinstance(number, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", number):
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValidationError(f"must be a whole number, not {found(value)}")
        if self.minimum is not None and number < self.minimum:
            raise ValidationError(f"must be at least {self.minimum}, not {number}")
        if number > self.maximum:
            raise ValidationError(f"must be at most {self.maximum}, not {found(value)}")
        return number


class Cores(Setting[float]):
    """An amount of CPU in cores, above zero."""

    def _read(self, value: object) -> float:
        try:
            cores = float(text_of(value) or "")
        except ValueError:
            cores = math.nan
        if isinstance(value, Number):
            cores = float(value.value)
        if not 0 < cores <= MAX_CORES:
            raise ValidationError(
                f"must be a number of cores above zero such as 0.5, not {found(value)}"
            )
        return cores


class Millicores(Cores):
    """An amount of CPU that Kubernetes can express, in cores."""

    def _read(self, value: object) -> float:
        text = (text_of(value) or "").strip()
        match = re.fullmatch(r"([0-9]{1,9})m", text, re.ASCII)
        cores = int(match[1]) / 1000 if match else super()._read(value)
        if not 0 < cores <= MAX_CORES or not _is_whole(cores * 1000):
            raise ValidationError(
                "must be cores above zero with at most three decimals such as 0.5,"
                f" or millicores such as 500m, not {found(value)}"
            )
        return cores


class Duration(Setting[float]):
    """A time above zero, in seconds."""

    def _read(self, value: object) -> float:
        amount = value.value if isinstance(value, Number) else value
        if not isinstance(amount, str | int | float) or isinstance(amount, bool):
            raise ValidationError(
                f"must be seconds or a duration such as 5m, not {found(value)}"
            )
        try:
            seconds = duration_to_seconds(amount)
        except ValueError as e:
            raise ValidationError(str(e)) from e
        if not seconds:
            raise ValidationError("must be longer than 0 s")
        return seconds


class Memory(Setting[int]):
    """An amount of memory above zero, in bytes."""

    def _read(self, value: object) -> int:
        text = text_of(value)
        if text is None:
            raise ValidationError(
                f"must be bytes or an amount such as 3Gi, not {found(value)}"
            )
        if isinstance(value, Number) and isinstance(value.value, int):
            text = str(value.value)
        amount = apply_rule(memory_to_bytes, text)
        if not amount:
            raise ValidationError("must be above zero")
        return amount


class Choice(Setting[str]):
    """One of a few words.

    Parameters
    ----------
    choices
        The words: texts, or the members of a `StrEnum`.
    any_case
        Whether case does not matter.
    """

    def __init__(
        self, choices: Iterable[str], *, any_case: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.choices = tuple(choices)
        self.any_case = any_case

    def _read(self, value: object) -> str:
        for choice in self.choices:
            if value == choice or (
                self.any_case
                and isinstance(value, str)
                and value.lower() == choice.lower()
            ):
                return choice
        words = ", ".join(self.choices)
        raise ValidationError(f"must be one of {words}, not {found(value)}")


def _is_whole(number: float) -> bool:
    return math.isclose(number, round(number), rel_tol=1e-12)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError(f"must not be empty, not {quoted(text)}")
    return text


def read_text(value: object) -> str:
    """Read text, for which a number may stand but no boolean.

    Raises
    ------
    ValidationError
        Raised if this is no text.
    """
    text = text_of(value)
    if text is not None:
        return text
    if isinstance(value, bool):
        raise ValidationError(
            f'must be text, not {found(value)}; put it in quotes: "{found(value)}"'
        )
    raise ValidationError(f"must be text, not {found(value)}")


def apply_rule(rule: Callable[[str], T], text: str) -> T:
    """Check a text.

    Raises
    ------
    ValidationError
        Raised if the rule refuses it.
    """
    try:
        return rule(text)
    except ValueError as e:
        raise ValidationError(str(e)) from e
