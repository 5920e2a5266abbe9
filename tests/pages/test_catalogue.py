"""Every text of a page for users is in the catalogue, and translated.

Pages for operators and the description of the API are in English alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.catalog import Message
from jinja2 import Environment, nodes

from nublado.pages.languages import DEFAULT, LANGUAGES
from tools.texts import is_translated, read_catalogue, texts_of_pages

PACKAGE = Path(__file__).parents[2] / "nublado"
TEMPLATES = PACKAGE / "templates"
IN_ENGLISH = {"docs.html", "action-failed.html", "runbook.html"}
FOR_USERS = sorted(
    path
    for path in TEMPLATES.glob("*.html")
    if not path.name.startswith("admin") and path.name not in IN_ENGLISH
)
SCRIPTS = sorted(p for p in TEMPLATES.glob("*.js") if not p.name.startswith("admin"))
TRANSLATED = [name for name in LANGUAGES if name != DEFAULT]

WORD = re.compile(r"[^\W\d_]{2,}")
SHOWN_ATTRIBUTES = {"alt", "aria-label", "label", "placeholder", "title"}
NOT_TRANSLATED = {"code", "kbd", "pre", "script", "style"}
VOID = {"br", "hr", "img", "input", "link", "meta"}


class ShownTexts(HTMLParser):
    """Collects what a reader of some HTML would read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        hidden = tag in NOT_TRANSLATED or given.get("translate") == "no"
        if tag not in VOID:
            self._open.append((tag, hidden))
        if not self._is_hidden:
            self.found += [
                value
                for name, value in attrs
                if value and self._is_shown(name, tag, given) and WORD.search(value)
            ]

    def handle_endtag(self, tag: str) -> None:
        if any(tag == opened for opened, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._is_hidden and WORD.search(data):
            self.found.append(data.strip())

    @property
    def _is_hidden(self) -> bool:
        return any(hidden for _, hidden in self._open)

    @staticmethod
    def _is_shown(name: str, tag: str, given: dict[str, str | None]) -> bool:
        if name == "value":
            return tag == "input" and given.get("type") in ("submit", "button")
        return name in SHOWN_ATTRIBUTES


def environment() -> Environment:
    return Environment(extensions=["jinja2.ext.i18n"], autoescape=True)


def texts_in_markup(source: str) -> list[str]:
    """Texts of a template outside of expressions and ``{% trans %}``."""
    parser = ShownTexts()
    is_in_trans = is_block_begin = False
    for _, kind, value in environment().lex(source):
        if kind == "data" and not is_in_trans:
            parser.feed(value)
        elif kind == "variable_end":
            # Where a value is put, so that words on both sides are two.
            parser.feed("\N{OBJECT REPLACEMENT CHARACTER}")
        elif kind == "name" and is_block_begin:
            is_in_trans = (is_in_trans or value == "trans") and value != "endtrans"
        if kind != "whitespace":
            is_block_begin = kind == "block_begin"
    parser.close()
    return parser.found


def texts_in_expressions(source: str) -> list[str]:
    """Literal texts that a template shows without asking the catalogue."""
    parsed = environment().parse(source)
    return [
        text
        for output in parsed.find_all(nodes.Output)
        for node in output.nodes
        for text in shown_literals(node)
        if WORD.search(prose_of(text))
    ]


def prose_of(literal: str) -> str:
    """What of a literal is no code."""
    return literal if re.search(r"\s", literal.strip()) else ""


def shown_literals(node: nodes.Node) -> Iterator[str]:
    match node:
        case nodes.Const(value=str(value)):
            yield value
        case nodes.CondExpr():
            yield from shown_literals(node.expr1)
            if node.expr2 is not None:
                yield from shown_literals(node.expr2)
        case nodes.Add() | nodes.Or() | nodes.And():
            yield from shown_literals(node.left)
            yield from shown_literals(node.right)
        case nodes.Concat():
            for part in node.nodes:
                yield from shown_literals(part)
        case nodes.Filter(node=nodes.Expr() as inner):
            yield from shown_literals(inner)


def texts_in_script(source: str) -> list[str]:
    """Literal texts of a script that are sentences rather than code."""
    without_comments = re.sub(r"(?m)//.*$|/\*[\s\S]*?\*/", "", source)
    literals = re.findall(r"\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`", without_comments)
    shown = (re.sub(r"\$\{[^}]*\}", "", literal[1:-1]) for literal in literals)
    return [
        t
        for t in shown
        if re.search(r"[^\W\d_]{2,}\s|\s[^\W\d_]{2,}", t)
        and t != "use strict"
        and not re.search(r"[\[\]>#=]|^\.", t)
    ]


@pytest.mark.parametrize("path", FOR_USERS, ids=lambda path: path.name)
def test_template_has_no_text_outside_of_the_catalogue(path: Path) -> None:
    source = path.read_text()
    assert texts_in_markup(source) == []
    assert texts_in_expressions(source) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_has_no_text(path: Path) -> None:
    assert texts_in_script(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        "<p>{{ x }} minutes</p>",
        "<input placeholder='Your name'>",
        "<input type=submit value=Start>",
        "{% trans %}Yes{% endtrans %}<p>No</p>",
        "{% if x %}<b title='No'>{% endif %}",
        "<code>a</code> and <kbd>b</kbd>",
    ],
)
def test_finds_text_in_markup(source: str) -> None:
    assert texts_in_markup(source)


@pytest.mark.parametrize(
    "source",
    [
        "<p>{{ _('Hello') }}</p>",
        "<p class='good bad'>{% trans n=x %}Hello {{ n }}{% endtrans %}</p>",
        "<input value='secret' type='hidden'><style>a { b: c }</style>",
        "<p translate='no'>gt-token <b>and more</b></p>",
        "<code>curl</code>: 5 % … {# a comment #}",
    ],
)
def test_finds_nothing_where_all_is_well(source: str) -> None:
    assert texts_in_markup(source) == []


def test_finds_text_in_expressions() -> None:
    assert texts_in_expressions("{{ 'Try again' if x else y }}") == ["Try again"]
    assert texts_in_expressions("{{ _('Try again') ~ x }}") == []
    assert texts_in_expressions("{{ f('not shown here') }}") == []


def test_finds_text_in_scripts() -> None:
    assert texts_in_script("say(`${n} of ${m} images`); // a comment of words")
    assert not texts_in_script('"use strict"; byId("a b=c"); f(`${a}:${b}`)')


def messages(catalogue: Catalog) -> Iterable[Message]:
    return (message for message in catalogue if message.id)


def test_all_that_marks_a_text_is_found(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "page.html").write_text(
        "{{ _('one') }}{% trans a=1 %}two\n  {{ a }}{% endtrans %}"
        "{% trans n=n %}three{% pluralize %}{{ n }} threes{% endtrans %}"
    )
    (tmp_path / "words.py").write_text(
        'Text("four %(x)s", x=1)\nPlural("five", "%(num)s fives", num=n)\n'
    )
    found = {message.id for message in messages(texts_of_pages(tmp_path))}
    plurals = {("three", "%(n)s threes"), ("five", "%(num)s fives")}
    assert found == {"one", "two %(a)s", "four %(x)s"} | plurals


@pytest.mark.parametrize("name", TRANSLATED)
def test_catalogue_has_the_texts_of_pages(name: str) -> None:
    has = {message.id for message in messages(read_catalogue(name))}
    should = {message.id for message in messages(texts_of_pages())}
    assert should, "no texts are found"
    assert {str(text) for text in has - should} == set(), "run make texts"
    assert {str(text) for text in should - has} == set(), "run make texts"


@pytest.mark.parametrize("name", TRANSLATED)
def test_catalogue_is_complete_and_fits(name: str) -> None:
    catalogue = read_catalogue(name)
    assert [m.id for m in messages(catalogue) if not is_translated(m)] == []
    assert [m.id for m in messages(catalogue) if m.fuzzy] == []
    assert [(m.id, e) for m, errors in catalogue.check() for e in errors] == []
