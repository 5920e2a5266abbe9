"""Colours that can be read on the grounds of pages.

References
----------
https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["READABLE", "Colour", "contrast", "parse_colour", "readable"]

READABLE = 4.5
"""Least contrast of text (WCAG AA)."""

_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE | re.ASCII)
_STEPS = 100


class Colour(NamedTuple):
    """Red, green and blue, each from 0 to 1."""

    red: float
    green: float
    blue: float

    def __str__(self) -> str:
        return "#" + "".join(f"{round(part * 255):02x}" for part in self)


def parse_colour(text: str) -> Colour:
    """Parse a colour such as ``#0b5cad`` or ``#05a``.

    Raises
    ------
    ValueError
        Raised if it is no such colour.
    """
    if not _HEX.fullmatch(text):
        raise ValueError(f"must be a colour such as #0b5cad, not {text!r}")
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    return Colour(*(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)))


def contrast(one: Colour, other: Colour) -> float:
    """Contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: Colour, *grounds: Colour, least: float = READABLE) -> Colour:
    """Change a colour as little as it needs to be read on all of some grounds.

    It becomes lighter if the grounds are dark, and darker if they are light.

    Parameters
    ----------
    colour
        The colour.
    grounds
        What it has to be read on.
    least
        Least contrast with each of them.
    """
    towards = 0.0 if min(map(_luminance, grounds)) > 0.18 else 1.0
    for step in range(_STEPS + 1):
        share = step / _STEPS
        mixed = Colour(*(part + (towards - part) * share for part in colour))
        shown = parse_colour(str(mixed))
        if all(contrast(shown, ground) >= least for ground in grounds):
            return shown
    raise ValueError("no colour can be read on all of these grounds")


def _luminance(colour: Colour) -> float:
    red, green, blue = map(_linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
