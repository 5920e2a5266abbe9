"""Name, logo and colour of a platform, as its pages show them."""

from __future__ import annotations

from dataclasses import dataclass

from nublado.config.model import PagesConfig
from nublado.models.domain.colour import parse_colour, readable

__all__ = ["Look", "look"]

_LIGHT_GROUNDS = tuple(map(parse_colour, ("#ffffff", "#f2f4f7")))
_DARK_GROUNDS = tuple(map(parse_colour, ("#16181b", "#22262b")))

_ON_DARK = 6.5
"""Contrast on dark pages, where saturated colours look duller."""


@dataclass(frozen=True, slots=True)
class Look:
    """What pages of a platform have in common.

    Parameters
    ----------
    name
        Name of the platform.
    logo
        Its logo, an ``<svg>`` element that has been checked; None without one.
    accent, accent_on_dark
        Colour of links and buttons that can be read on light and on dark pages.
    """

    name: str
    logo: str | None
    accent: str
    accent_on_dark: str


def look(name: str, pages: PagesConfig) -> Look:
    """Derive the look of pages from the configuration.

    Parameters
    ----------
    name
        Name of the platform.
    pages
        What the configuration says of pages.
    """
    accent = parse_colour(pages.accent_color)
    return Look(
        name=name,
        logo=pages.logo,
        accent=str(readable(accent, *_LIGHT_GROUNDS)),
        accent_on_dark=str(readable(accent, *_DARK_GROUNDS, least=_ON_DARK)),
    )
