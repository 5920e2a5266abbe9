"""Texts of Kubernetes, short enough to be read."""

from __future__ import annotations

import re

__all__ = ["shorten_digests"]

_DIGEST = re.compile(r"(sha256:[0-9a-f]{8})[0-9a-f]{56}")


def shorten_digests(text: str | None) -> str:
    """Keep of each digest of an image what tells it from others; "" for None."""
    return _DIGEST.sub(r"\1…", text or "")
