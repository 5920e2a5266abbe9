"""Texts that users read, said in their language only when they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Memory", "Plural", "Text"]

_GIBIBYTE = 2**30


class Text:
    """A sentence in English, which the catalogue has in other languages.

    Parameters
    ----------
    template
        The sentence; values stand in it as ``%(name)s``. It is written out where
        the text is made, so that it can be found for the catalogue.
    values
        What is put into it: texts, numbers, amounts, or other `Text` objects.
    """

    def __init__(self, template: str, /, **values: Any) -> None:
        self.template = template
        self.values = values

    def __str__(self) -> str:
        return self.chosen % self.values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Text):
            return NotImplemented
        return (self.template, self.values) == (other.template, other.values)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def chosen(self) -> str:
        """The sentence in English, before values are put into it."""
        return self.template


class Plural(Text):
    """A sentence that depends on a number.

    Parameters
    ----------
    singular, plural
        The sentence for one, and for any other number, which is ``%(num)s`` in it.
    num
        The number.
    values
        What else is put into it.
    """

    def __init__(self, singular: str, plural: str, /, num: int, **values: Any) -> None:
        super().__init__(singular, num=num, **values)
        self.plural = plural
        self.num = num

    @property
    def chosen(self) -> str:
        """The sentence in English, before values are put into it."""
        return self.template if self.num == 1 else self.plural


@dataclass(frozen=True, slots=True)
class Memory:
    """An amount of memory within a text (bytes), said as its language does."""

    amount: int

    def __str__(self) -> str:
        return f"{round(self.amount / _GIBIBYTE, 1):g} GB"
