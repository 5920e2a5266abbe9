"""Grammar of headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

__all__ = ["TOKEN_PATTERN", "next_link", "parse_challenges", "parse_retry_after"]

TOKEN_PATTERN = re.compile(r"[\x21-\x7e]+")
"""What may be sent as a token at all, with ``fullmatch`` (RFC 6750)."""

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_CHALLENGE_PART = re.compile(
    rf'[\s,]*([A-Za-z][A-Za-z0-9_-]*)(?:\s*=\s*(?:{_QUOTED}|([^\s,"]+)))?'
)
_LINK = re.compile(r'<([^<>]*)>([^<"]*(?:"(?:[^"\\]|\\.)*"[^<"]*)*)')
_LINK_PARAMETER = re.compile(
    rf';\s*([A-Za-z][A-Za-z0-9*_-]*)\s*(?:=\s*(?:{_QUOTED}|([^\s;,"]+)))?'
)


def next_link(header: str, url: str) -> str | None:
    """Find the URL of the next page in a ``Link`` header.

    Parameters
    ----------
    header
        The header; several of the name joined by commas.
    url
        URL that was requested, which relative links are relative to.

    Raises
    ------
    ValueError
        Raised if it leads to what is no URL.

    References
    ----------
    https://www.rfc-editor.org/rfc/rfc8288#section-3
    """
    for target, parameters in _links(header):
        relations = parameters.get("rel", "").lower().split()
        if "next" not in relations:
            continue
        if urljoin(url, parameters.get("anchor", "")) == url:
            return urljoin(url, target.strip())
    return None


def _links(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    for target, rest in _LINK.findall(header):
        parameters: dict[str, str] = {}
        for name, quoted, plain in _LINK_PARAMETER.findall(rest):
            # Of several with the same name the first one counts.
            parameters.setdefault(name.lower(), _unescape(quoted) or plain)
        yield target, parameters


def parse_challenges(header: str) -> dict[str, dict[str, str]]:
    """Parse a ``WWW-Authenticate`` header, which may name several schemes.

    Returns
    -------
    dict
        Parameters by scheme, both with names in lower case.

    References
    ----------
    https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate
    """
    challenges: dict[str, dict[str, str]] = {}
    parameters: dict[str, str] = {}
    for name, quoted, plain in (m.groups() for m in _CHALLENGE_PART.finditer(header)):
        if quoted is None and plain is None:
            parameters = challenges.setdefault(name.lower(), {})
        else:
            parameters[name.lower()] = _unescape(quoted or "") or plain or ""
    return challenges


def parse_retry_after(header: str) -> float:
    """Parse a ``Retry-After`` header: seconds to wait, 0 if it names none.

    References
    ----------
    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)
