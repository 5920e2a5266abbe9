"""URLs of services: which are safe to use, and what they point to."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

__all__ = ["PLAIN_URL", "is_loopback", "origin_of"]

_PORTS = {"http": 80, "https": 443}

PLAIN_URL = re.compile(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?(?:[/?][!-~]*)?",
    re.ASCII,
)
"""Matches (with ``fullmatch``) URLs that all parsers read alike.

No user, no backslash in front of the path: what a careless parser takes for
the host is the host.
"""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this very machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL.

    Raises
    ------
    ValueError
        Raised if it is not an HTTP URL, or one that may be misread.
    """
    if not PLAIN_URL.fullmatch(url):
        raise ValueError("is not a plain HTTP URL")
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme)
