"""Keep secrets out of whatever people read: logs, alerts and error texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["REDACTED", "redact", "redact_text", "speaks_of_secret"]

REDACTED = "<redacted>"

_SECRET_KEY = re.compile(
    r"(?:.*[_-])?(?:token|secret|password|passwd|authorization|cookie)", re.IGNORECASE
)
"""Matches (with ``fullmatch``) the names of values that are never shown."""

_SPEAKS_OF_SECRET = re.compile(
    r"token|secret|passw|pwd|authori[sz]|cookie|credential"
    r"|(?:api|access|private|signing)[_-]?key|(?:^|[_-])(?:key|auth|pass)$",
    re.IGNORECASE,
)
"""Found in the names of values that may be secret, whatever they are."""

_CREDENTIAL = r"[^\s\"',;&)}\]\\]+"

_SECRETS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    # Gafaelfawr's tokens.
    (("gt-",), re.compile(r"gt-[\w-]+\.[\w-]+", re.ASCII), REDACTED),
    # A challenge ("Bearer realm=…") is no secret, and shows why a login failed.
    (
        ("bearer",),
        re.compile(rf"\b(bearer) +(?!realm=){_CREDENTIAL}", re.IGNORECASE),
        rf"\1 {REDACTED}",
    ),
    (
        ("authorization",),
        re.compile(
            rf"\b(authorization[\"']?\s*[:=]\s*[\"']?basic) +{_CREDENTIAL}",
            re.IGNORECASE,
        ),
        rf"\1 {REDACTED}",
    ),
    # In JSON, query strings and representations of Python objects.
    (
        ("token", "passw", "client_secret", "api_key"),
        re.compile(
            r"((?:token|password|passwd|client_secret|api_key)"
            rf"(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?){_CREDENTIAL}",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (("@",), re.compile(r"(\w://[^\s/:@]*):[^\s/@]+@"), rf"\1:{REDACTED}@"),
    (
        ("hooks.slack.com",),
        re.compile(r"(https://hooks\.slack\.com)/[^\s\"'<>\\]+", re.IGNORECASE),
        rf"\1/{REDACTED}",
    ),
)
"""Words that announce a secret, its pattern, and what replaces it.

Most texts hold no such word, and looking for one costs far less than looking
for the pattern.
"""

_WORDS = tuple(word for words, _, _ in _SECRETS for word in words)


def speaks_of_secret(name: str) -> bool:
    """Whether the name of a variable says that its value may be secret."""
    return _SPEAKS_OF_SECRET.search(name) is not None


def redact_text(text: str) -> str:
    """Replace whatever looks like a secret in a text.

    Recognised are Gafaelfawr's tokens, credentials of HTTP, values that are
    called a token or password, passwords in URLs, and Slack's webhooks.
    """
    lowered = text.lower()
    for word in _WORDS:
        if word in lowered:
            break
    else:
        return text
    for words, pattern, replacement in _SECRETS:
        if any(word in lowered for word in words):
            text = pattern.sub(replacement, text)
    return text


def redact(value: object, key: str = "") -> object:
    """Replace secrets in a value that is going to be shown.

    Parameters
    ----------
    value
        Any value. Mappings and sequences are copied, and other objects
        written as text, because their representation may hold a secret too.
    key
        Under which name it is shown. If that is the name of a secret, such
        as ``access_token``, nothing of the value is left.
    """
    if key and value is not None and _SECRET_KEY.fullmatch(key):
        return REDACTED
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact_text(value)
        case Mapping():
            return {str(k): redact(v, str(k)) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redact(item) for item in value]
        case _:
            return redact_text(str(value))
