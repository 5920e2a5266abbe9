"""What a response that is no success says, for the controller and for people."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

__all__ = ["Said"]

_MOST_CHARACTERS = 4096
_REASON = re.compile(r"[A-Za-z]{1,64}", re.ASCII)
_JSON = re.compile(r"[\[{]\s*[\[{\"]")
_HTML = re.compile(r"\s*<(!doctype|html|head|body)\b", re.IGNORECASE)
_TITLE = re.compile(r"<(title|h1)\b[^>]*>\s*(.*?)\s*</\1>", re.IGNORECASE | re.DOTALL)
_REFUSAL = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'( in API group "(?P<group>[^"]*)")?'
)


@dataclass(frozen=True, slots=True)
class Said:
    """The body of a response that is no success.

    Parameters
    ----------
    message
        The message of Kubernetes' ``Status``; the title of a page of HTML, as
        proxies send it; any other text as it is. Empty for other JSON.
    reason
        The reason of the ``Status``.
    """

    message: str = ""
    reason: str = ""

    @classmethod
    def read(cls, data: bytes) -> Said:
        """Read a body, whatever it is."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            return cls(_read_text(data.decode(errors="replace").strip()))
        return cls.of(body)

    @classmethod
    def of(cls, body: object) -> Said:
        """Read JSON: of a ``Status`` message and reason, of anything else nothing.

        Its details and causes quote what was sent.
        """
        said = body if isinstance(body, dict) else {}
        message, reason = said.get("message"), said.get("reason")
        return cls(
            message[:_MOST_CHARACTERS] if isinstance(message, str) else "",
            reason if isinstance(reason, str) and _REASON.fullmatch(reason) else "",
        )

    @property
    def text(self) -> str:
        """What people are told."""
        return self.message or self.reason

    @property
    def remedy(self) -> str | None:
        """What has to be granted, if it says that a permission is missing."""
        refusal = _REFUSAL.search(self.message)
        if refusal is None:
            return None
        group = f" of {refusal['group']}" if refusal["group"] else ""
        return (
            f"grant the controller the verb {refusal['verb']} on"
            f" {refusal['resource']}{group}, as the chart's RBAC does"
        )


def _read_text(text: str) -> str:
    """Read what is no JSON, at least not as far as it has come."""
    if _JSON.match(text):
        return ""
    if _HTML.match(text):
        title = _TITLE.search(text)
        text = " ".join(title[2].split()) if title else ""
    return text[:_MOST_CHARACTERS]
