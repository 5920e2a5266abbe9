"""What is wrong with a configuration, or with the environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nublado.exceptions.base import NubladoError

__all__ = [
    "ConfigurationError",
    "ConfigurationProblem",
    "InvalidEnvironmentError",
]


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """One thing wrong with a configuration file.

    Parameters
    ----------
    path
        YAML path, such as ``lab.volumes[2].source.path``; empty for the file.
    line
        Line in the file, counted from 1; None if there is none to name.
    message
        What is wrong and what was expected.
    """

    path: str
    line: int | None
    message: str


class ConfigurationError(NubladoError):
    """A configuration file cannot be used; carries everything wrong with it."""

    def __init__(self, file: str, problems: Sequence[ConfigurationProblem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        lines = [
            f"{file}:{p.line or 1}: {p.path + ': ' if p.path else ''}{p.message}"
            for p in problems
        ]
        super().__init__("\n".join(lines))


class InvalidEnvironmentError(NubladoError):
    """Environment variables of the process cannot be used.

    Parameters
    ----------
    problems
        What is wrong with each variable, beginning with its name.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))
