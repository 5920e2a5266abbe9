"""Pages for people."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PagesConfig"]


@dataclass(frozen=True, slots=True)
class PagesConfig:
    """How pages for people look, and who may show them in frames.

    Parameters
    ----------
    logo
        Logo of the platform, an ``<svg>`` element without anything active.
    accent_color
        Colour of links and buttons.
    frame_ancestors
        Origins whose pages may show the page of a spawn in a frame, besides the
        service's own.
    """

    logo: str | None = None
    accent_color: str = "#0b5cad"
    frame_ancestors: tuple[str, ...] = ()
