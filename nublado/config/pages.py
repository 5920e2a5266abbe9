"""Schema of ``pages``."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from nublado.config.fields import Text
from nublado.config.model import PagesConfig
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf
from nublado.models.domain.colour import parse_colour
from nublado.models.domain.urls import PLAIN_URL

__all__ = ["PagesSchema"]

_SVG = "http://www.w3.org/2000/svg"
_MOST_LOGO_BYTES = 32 * 1024
_DRAWN = frozenset(
    {
        "circle",
        "clipPath",
        "defs",
        "desc",
        "ellipse",
        "g",
        "line",
        "linearGradient",
        "mask",
        "path",
        "pattern",
        "polygon",
        "polyline",
        "radialGradient",
        "rect",
        "stop",
        "svg",
        "symbol",
        "text",
        "title",
        "tspan",
        "use",
    }
)
_LOCAL = re.compile(r"#[\w.-]+")


def _logo(text: str) -> str:
    """Accept a drawing that loads and runs nothing.

    References
    ----------
    https://www.w3.org/TR/SVG2/conform.html#secure-static-mode
    """
    text = text.strip()
    if len(text.encode()) > _MOST_LOGO_BYTES:
        raise ValueError("must have at most 32 KiB")
    if "<!" in text or "<?" in text:
        raise ValueError("must be an <svg> element, without a declaration before it")
    try:
        root = ET.fromstring(text)  # noqa: S314
    except ET.ParseError as e:
        raise ValueError(f"must be an <svg> element: {e}") from e
    if root.tag not in ("svg", f"{{{_SVG}}}svg"):
        raise ValueError(f"must be an <svg> element, not <{_local(root.tag)}>")
    if "viewBox" not in root.attrib:
        raise ValueError("needs a viewBox, since pages decide how large it is")
    for element in root.iter():
        _check_element(element)
    return text


def _check_element(element: ET.Element) -> None:
    name = _local(element.tag)
    if name not in _DRAWN:
        raise ValueError(f"must not have <{name}>: only what draws")
    for key, value in element.attrib.items():
        attribute = _local(key)
        if attribute.lower().startswith("on"):
            raise ValueError(f"must not have {attribute}: it runs a script")
        if attribute == "style":
            raise ValueError(
                "must not have style: pages allow none; use attributes such as fill"
            )
        if attribute == "href" and not _LOCAL.fullmatch(value):
            raise ValueError("must not refer to anything outside of it")
        if "url(" in value and not re.fullmatch(r"url\(#[\w.-]+\)", value.strip()):
            raise ValueError("must not refer to anything outside of it")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _colour(text: str) -> str:
    return str(parse_colour(text))


def _origin(text: str) -> str:
    """Accept an origin such as ``https://hub.example.org``."""
    parts = urlsplit(text)
    if not PLAIN_URL.fullmatch(text) or parts.path.strip("/") or parts.query:
        raise ValueError(
            f"must be an origin such as https://hub.example.org, not {text!r}"
        )
    return f"{parts.scheme}://{parts.netloc}"


class PagesSchema(ConfigSchema):
    """How pages for people look."""

    model = PagesConfig
    logo = Text(_logo)
    accent_color = Text(_colour)
    frame_ancestors = ListOf(Text(_origin))
