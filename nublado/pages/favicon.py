"""Icons of tabs, which tell how it stands with a lab."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["favicon"]

_GREEN, _RED, _BLUE, _GREY = "#18794e", "#c0392b", "#2f7fd6", "#7a828c"
_TURNING = frozenset({"starting", "stopping", "interrupted"})
_COLOURS = {"running": _GREEN, "failed": _RED, "ended": _RED}
_PATHS = {
    "running": "M4.5 8.3l2.4 2.4 4.6-4.9",
    "failed": "M8 4v4.5M8 11.5v.1",
    "ended": "M8 4v4.5M8 11.5v.1",
    "cancelled": "M5.5 5.5l5 5M10.5 5.5l-5 5",
}
_PATH = "M5 8h6"
_SAFE = " =:/'"


def favicon(phase: str) -> str:
    """Draw the icon for how it stands with a lab, as the URL of an image.

    Shape and colour both tell; both can be seen on light and on dark tabs.

    Parameters
    ----------
    phase
        Such as ``starting``; a dash is drawn for what is not known.
    """
    if phase in _TURNING:
        drawn = (
            f"<circle cx='8' cy='8' r='6' stroke='{_BLUE}' opacity='.35'/>"
            f"<path d='M8 2a6 6 0 0 1 6 6' stroke='{_BLUE}'/>"
        )
    else:
        drawn = (
            f"<circle cx='8' cy='8' r='8' fill='{_COLOURS.get(phase, _GREY)}'/>"
            f"<path stroke='#fff' d='{_PATHS.get(phase, _PATH)}'/>"
        )
    image = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='none'"
        f" stroke-width='2' stroke-linecap='round'>{drawn}</svg>"
    )
    return f"data:image/svg+xml,{quote(image, safe=_SAFE)}"
