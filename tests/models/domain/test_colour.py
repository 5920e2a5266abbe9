"""Colours that can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.models.domain.colour import (
    READABLE,
    Colour,
    contrast,
    parse_colour,
    readable,
)

LIGHT = (parse_colour("#ffffff"), parse_colour("#f2f4f7"))
DARK = (parse_colour("#16181b"), parse_colour("#22262b"))
colours = st.integers(0, 0xFFFFFF).map(lambda value: parse_colour(f"#{value:06x}"))


def test_short_form_is_the_same_colour() -> None:
    assert str(parse_colour("#0aF")) == str(parse_colour("#00AAff")) == "#00aaff"


@pytest.mark.parametrize("text", ["red", "#12", "#12345", "0b5cad", "#0b5cag", ""])
def test_anything_else_is_no_colour(text: str) -> None:
    with pytest.raises(ValueError, match="must be a colour such as #0b5cad"):
        parse_colour(text)


def test_contrast_is_that_of_the_guidelines() -> None:
    black, white = parse_colour("#000"), parse_colour("#fff")
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(white, white) == pytest.approx(1)
    assert contrast(parse_colour("#767676"), white) == pytest.approx(4.54, abs=0.005)


@given(colours)
def test_every_colour_becomes_readable(colour: Colour) -> None:
    for grounds in (LIGHT, DARK):
        shown = readable(colour, *grounds)
        assert min(contrast(shown, ground) for ground in grounds) >= READABLE


@given(colours)
def test_a_readable_colour_stays_as_it_is(colour: Colour) -> None:
    shown = readable(colour, *LIGHT)
    assert readable(shown, *LIGHT) == shown
    if all(contrast(colour, ground) >= READABLE for ground in LIGHT):
        assert str(shown) == str(colour)
