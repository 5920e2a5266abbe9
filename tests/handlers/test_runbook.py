"""The runbook as a page."""

from __future__ import annotations

from nublado.handlers.runbook import read_runbook

_SOURCE = """\
# What to do

First `think`.

(no-coffee)=
## There is no coffee

Look into the *kitchen*.

- Ask <b>whoever</b> drank it.

(no-tea)=
## There is no tea

See there.
"""


def test_entries_have_names_titles_and_texts() -> None:
    page = read_runbook(_SOURCE)
    assert page.title == "What to do"
    assert page.introduction.strip() == "<p>First <code>think</code>.</p>"
    coffee, tea = page.entries
    assert (coffee.name, coffee.title) == ("no-coffee", "There is no coffee")
    assert "<em>kitchen</em>" in coffee.text
    assert (tea.name, tea.text) == ("no-tea", "<p>See there.</p>\n")


def test_markup_other_than_its_own_is_shown_as_it_is() -> None:
    coffee, _ = read_runbook(_SOURCE).entries
    assert "&lt;b&gt;whoever" in coffee.text
