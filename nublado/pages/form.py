"""Style and script inside of the spawner form, which other pages have to allow.

The form is part of a page of JupyterHub, whose policy decides what runs in it. Both
are constant, so that a policy can name them by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["form_policy", "form_script", "form_style"]


@cache
def form_style() -> str:
    """Style of the form."""
    return _text("lab-form.css")


@cache
def form_script() -> str:
    """Script of the form."""
    return _text("lab-form.js")


def form_policy(nonce: str | None = None) -> dict[str, str]:
    """What a policy has to allow for the form to have its style and its script.

    Parameters
    ----------
    nonce
        Nonce of the page, which then allows them instead of hashes.

    Returns
    -------
    dict
        The source of each directive.

    References
    ----------
    https://www.w3.org/TR/CSP3/#framework-directive-source-list
    """
    content = {"script-src": form_script(), "style-src": form_style()}
    if nonce is not None:
        return dict.fromkeys(content, f"'nonce-{nonce}'")
    return {directive: f"'{_hash(text)}'" for directive, text in content.items()}


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _text(name: str) -> str:
    return files("nublado").joinpath("templates", name).read_text().strip()
