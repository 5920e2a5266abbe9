"""What a response that is no success says, for the controller and for people."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

__all__ = ["Said"]

_MOST_CHARACTERS = 4096
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
            text = data.decode(errors="replace").strip()
            if _HTML.match(text):
                title = _TITLE.search(text)
                text = " ".join(title[2].split()) if title else ""
            return cls(text[:_MOST_CHARACTERS])
        said = body if isinstance(body, dict) else {}
        message = str(said.get("message") or "")
        return cls(message[:_MOST_CHARACTERS], str(said.get("reason") or ""))

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
