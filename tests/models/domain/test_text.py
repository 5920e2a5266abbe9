"""Texts in English, before they are translated."""

from __future__ import annotations

from nublado.models.domain.text import Plural, Text


def test_values_are_put_into_it() -> None:
    text = Text("It needed more than %(memory)s.", memory="4 GB")
    assert str(text) == "It needed more than 4 GB."


def test_texts_may_be_values() -> None:
    size = Text("size %(name)s", name="Large")
    assert str(Text("Choose %(what)s.", what=size)) == "Choose size Large."


def test_number_decides_the_form() -> None:
    forms = [str(Plural("%(num)s image", "%(num)s images", num=n)) for n in (0, 1, 2)]
    assert forms == ["0 images", "1 image", "2 images"]


def test_equal_texts_are_equal() -> None:
    assert Text("a %(x)s", x=1) == Text("a %(x)s", x=1)
    assert len({Text("a"), Text("a"), Text("b")}) == 2
    assert Text("a %(x)s", x=1) != Text("a %(x)s", x=2)
    assert Text("a") != "a"
