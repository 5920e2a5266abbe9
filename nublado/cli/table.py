"""Tables for terminals."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

__all__ = ["age", "print_table", "short_image", "until"]

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_COLOURS = {
    "running": "green",
    "succeeded": "green",
    "failed": "red",
    "terminated": "red",
    "pending": "yellow",
    "terminating": "yellow",
}
_GAP = "  "
_LEAST_WIDTH = 20


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below titles.

    On a terminal, the last column is cut where the line ends.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    table = [list(titles), *cells]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    if sys.stdout.isatty():
        before = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
        room = shutil.get_terminal_size().columns - before
        widths[-1] = min(widths[-1], max(room, _LEAST_WIDTH))
    for number, row in enumerate(table):
        line = _GAP.join(
            _styled(_cut(cell, width).ljust(width), is_title=not number)
            for cell, width in zip(row, widths, strict=True)
        )
        click.echo(line.rstrip())


def age(time: str | None) -> str:
    """How long ago a moment was, such as ``5 min``; a dash where unknown."""
    return "-" if time is None else _in_words(-_seconds_to(time))


def until(time: str) -> str:
    """How long it is to a moment, such as ``5 min``."""
    return _in_words(_seconds_to(time))


def _seconds_to(time: str) -> float:
    return (datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds()


def _in_words(seconds: float) -> str:
    seconds = max(0.0, seconds)
    unit, size = next(((u, s) for u, s in _UNITS if seconds >= s), _UNITS[-1])
    return f"{int(seconds // size)} {unit}"


def short_image(reference: str | None) -> str:
    """Repository and tag of an image, without registry and digest."""
    return (reference or "-").partition("@")[0].rpartition("/")[2]


def _cut(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _styled(text: str, *, is_title: bool) -> str:
    if is_title:
        return click.style(text, bold=True)
    colour = _COLOURS.get(text.strip())
    return click.style(text, fg=colour) if colour else text
