"""How pages look, as the configuration says it."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from nublado.config.model import PagesConfig
from nublado.config.pages import PagesSchema

LOGO = """
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" role="img">
  <title>Observatory</title>
  <defs>
    <linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient>
  </defs>
  <path d="M3 20h18" fill="url(#a)" stroke="currentColor"/>
  <use href="#a"/>
</svg>
"""


def read(**values: Any) -> PagesConfig:
    pages = PagesSchema().read(values)
    assert isinstance(pages, PagesConfig)
    return pages


def problem_of(key: str, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        read(**{key: value})
    return str(caught.value.messages)


def test_defaults() -> None:
    assert read() == PagesConfig()


def test_everything_is_read() -> None:
    pages = read(
        logo=LOGO,
        accentColor="#0AF",
        frameAncestors=["https://hub.example.org/", "http://localhost:8000"],
    )
    assert pages.logo == LOGO.strip()
    assert pages.accent_color == "#00aaff"
    assert pages.frame_ancestors == (
        "https://hub.example.org",
        "http://localhost:8000",
    )


@pytest.mark.parametrize(
    ("logo", "words"),
    [
        ("logo.svg", "must be an <svg> element"),
        ("<div/>", "not <div>"),
        ("<svg/>", "needs a viewBox"),
        ('<?xml version="1.0"?><svg viewBox="0 0 1 1"/>', "without a declaration"),
        ("<!DOCTYPE svg><svg viewBox='0 0 1 1'/>", "without a declaration"),
        ("<svg viewBox='0 0 1 1'><script>alert(1)</script></svg>", "<script>"),
        ("<svg viewBox='0 0 1 1'><style>a{}</style></svg>", "<style>"),
        ("<svg viewBox='0 0 1 1'><foreignObject/></svg>", "<foreignObject>"),
        ("<svg viewBox='0 0 1 1'><image href='x.png'/></svg>", "<image>"),
        ("<svg viewBox='0 0 1 1'><animate/></svg>", "<animate>"),
        ("<svg viewBox='0 0 1 1' onload='x()'/>", "must not have onload"),
        ("<svg viewBox='0 0 1 1'><g OnClick='x()'/></svg>", "must not have OnClick"),
        ("<svg viewBox='0 0 1 1'><g style='fill:red'/></svg>", "must not have style"),
        ("<svg viewBox='0 0 1 1'><use href='https://e/x#a'/></svg>", "refer"),
        (
            "<svg xmlns:xlink='http://www.w3.org/1999/xlink' viewBox='0 0 1 1'>"
            "<use xlink:href='//e/x#a'/></svg>",
            "refer",
        ),
        ("<svg viewBox='0 0 1 1'><path fill='url(https://e)'/></svg>", "refer"),
        (f"<svg viewBox='0 0 1 1'><desc>{'x' * 33000}</desc></svg>", "32 KiB"),
    ],
)
def test_logo_only_draws(logo: str, words: str) -> None:
    assert words in problem_of("logo", logo)


@pytest.mark.parametrize("colour", ["blue", "#12345", "rgb(1, 2, 3)"])
def test_accent_is_a_colour(colour: str) -> None:
    assert "must be a colour" in problem_of("accentColor", colour)


@pytest.mark.parametrize(
    "origin",
    [
        "hub.example.org",
        "https://hub.example.org/nb",
        "https://hub.example.org; script-src *",
        "https://user@hub.example.org",
        "*",
        "https://*.example.org",
    ],
)
def test_frame_ancestors_are_origins(origin: str) -> None:
    assert "must be an origin" in problem_of("frameAncestors", [origin])
