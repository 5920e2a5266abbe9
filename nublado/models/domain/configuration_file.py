"""The configuration file as it is now, beside the one that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nublado.exceptions import ConfigurationProblem

__all__ = ["ConfigurationFile"]


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """How the file is now.

    Parameters
    ----------
    has_changed
        Whether it is another than the running service has read.
    since
        When its present content was found; None if that is what runs.
    problems
        Everything that would keep a service from starting with it.
    """

    has_changed: bool = False
    since: datetime | None = None
    problems: Sequence[ConfigurationProblem] = ()
