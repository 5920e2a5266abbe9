"""Name, logo and accent of a platform."""

from __future__ import annotations

from nublado.config.model import PagesConfig
from nublado.models.domain.colour import READABLE, contrast, parse_colour
from nublado.pages.look import look


def test_accent_can_be_read_on_light_and_dark_pages() -> None:
    shown = look("Rubin", PagesConfig(accent_color="#ffcc00"))
    light, dark = parse_colour(shown.accent), parse_colour(shown.accent_on_dark)
    assert contrast(light, parse_colour("#ffffff")) >= READABLE
    assert contrast(dark, parse_colour("#16181b")) >= READABLE
    assert shown.accent_on_dark == "#ffcc00"


def test_accent_that_can_be_read_is_kept() -> None:
    assert look("Rubin", PagesConfig()).accent == PagesConfig().accent_color


def test_name_and_logo_are_those_of_the_configuration() -> None:
    drawing = '<svg viewBox="0 0 1 1"/>'
    shown = look("Rubin", PagesConfig(logo=drawing))
    assert (shown.name, shown.logo) == ("Rubin", drawing)
