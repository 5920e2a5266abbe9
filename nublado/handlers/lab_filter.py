"""Which labs the status page shows; a script does the same in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from nublado.models.domain.kubernetes import JSON

__all__ = ["LabFilter"]

_PARTS = ("node", "image", "reason")
_SHOWN = ("username", "status", "size", *_PARTS)


@dataclass(frozen=True, slots=True)
class LabFilter:
    """What is looked for; what is empty matches any lab.

    Parameters
    ----------
    q
        Text anywhere in what is shown of a lab.
    node, image, reason
        Text in that.
    state
        The state itself.
    """

    q: str = ""
    state: str = ""
    node: str = ""
    image: str = ""
    reason: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read the query of a URL."""
        return cls(**{f.name: query.get(f.name, "").strip() for f in fields(cls)})

    def matches(self, lab: JSON) -> bool:
        """Whether a lab, as the API shows it, is looked for."""
        everything = " ".join(lab[key] or "" for key in _SHOWN)
        return (
            _has(everything, self.q)
            and self.state in ("", lab["status"])
            and all(_has(lab[key], getattr(self, key)) for key in _PARTS)
        )


def _has(text: str | None, part: str) -> bool:
    return part.lower() in (text or "").lower()
