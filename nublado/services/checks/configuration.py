"""The configuration that the next start would find."""

from __future__ import annotations

from collections.abc import Callable

from nublado.exceptions import ConfigurationProblem
from nublado.models.domain.configuration_file import ConfigurationFile
from nublado.models.domain.problem import Finding
from nublado.services.health import Check

__all__ = ["cannot_be_used"]

_MOST_NAMED = 5


def cannot_be_used(file: Callable[[], ConfigurationFile]) -> Check:
    """Whether the file has become one with which nothing could start."""

    def check() -> Finding | None:
        found = file()
        if not found.problems:
            return None
        named = [_text(problem) for problem in found.problems[:_MOST_NAMED]]
        if (more := len(found.problems) - _MOST_NAMED) > 0:
            named.append(f"and {more} more")
        return Finding("; ".join(named), found.since)

    return check


def _text(problem: ConfigurationProblem) -> str:
    line = f"line {problem.line}" if problem.line else ""
    place = ", ".join(filter(None, (line, problem.path)))
    return f"{place}: {problem.message}" if place else problem.message
