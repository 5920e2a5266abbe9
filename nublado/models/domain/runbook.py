"""Where operators read what to do about a problem."""

from __future__ import annotations

from dataclasses import dataclass

from nublado.models.domain.problem import ProblemKind

__all__ = ["Runbook"]


@dataclass(frozen=True, slots=True)
class Runbook:
    """A page with an entry for each kind of problem.

    Parameters
    ----------
    url
        URL of the page, without a fragment.
    """

    url: str

    def entry(self, kind: ProblemKind) -> str:
        """URL of the entry about a kind of problem."""
        return f"{self.url}#{kind.value}"
