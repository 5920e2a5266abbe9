"""The runbook, served by what it is about.

It is the one of the documentation, and anyone may read it: also operators whom
nothing can authenticate while the login service is away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from flask import Blueprint, Response
from markdown_it import MarkdownIt
from markupsafe import Markup

from nublado.handlers.context import process
from nublado.handlers.describe import Caller, ResponseSpec, describe
from nublado.handlers.page import render_page

__all__ = ["RunbookEntry", "RunbookPage", "read_runbook", "runbook"]

runbook = Blueprint("runbook", __name__)

_SOURCE = "templates/runbook.md"
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_ENTRY = re.compile(r"^\(([a-z-]+)\)=\n## (.+)$", re.MULTILINE)
"""An anchor as the documentation's generator reads it, above its title."""


@dataclass(frozen=True, slots=True)
class RunbookEntry:
    """What to do about one problem or alert.

    Parameters
    ----------
    name
        By which it is linked to.
    title
        What is wrong.
    text
        The rest, as HTML.
    """

    name: str
    title: str
    text: Markup


@dataclass(frozen=True, slots=True)
class RunbookPage:
    """The runbook, taken apart; ``introduction`` is HTML."""

    title: str
    introduction: Markup
    entries: tuple[RunbookEntry, ...]


@runbook.get("/runbook")
@describe(Caller.ANYONE, ResponseSpec("The page", media_type="text/html"))
def runbook_page() -> Response:
    """Tell operators what to do about each problem."""
    return render_page("runbook.html", page=_packaged(), name=process().config.name)


@cache
def _packaged() -> RunbookPage:
    return read_runbook(files("nublado").joinpath(_SOURCE).read_text("utf-8"))


def read_runbook(source: str) -> RunbookPage:
    """Take the runbook apart.

    Parameters
    ----------
    source
        Markdown as in the documentation: a title, an introduction, and entries,
        each with an anchor.
    """
    title = _TITLE.search(source)
    before, *rest = _ENTRY.split(source)
    return RunbookPage(
        title=title[1] if title else "Runbook",
        introduction=_html(_TITLE.sub("", before, count=1)),
        entries=tuple(_entries(iter(rest))),
    )


def _entries(parts: Iterator[str]) -> Iterator[RunbookEntry]:
    for name, title, text in zip(parts, parts, parts, strict=True):
        yield RunbookEntry(name, title, _html(text))


def _html(text: str) -> Markup:
    # The text is our own, and HTML in it would be shown as it is written.
    rendered = MarkdownIt("commonmark", {"html": False}).render(text)
    return Markup(rendered)  # noqa: S704
