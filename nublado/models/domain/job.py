"""Background jobs, as operators see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["JobState"]


@dataclass(frozen=True, slots=True)
class JobState:
    """How a background job fares.

    Parameters
    ----------
    last_success
        When it last succeeded (UTC).
    failures
        How often it has failed since.
    """

    last_success: datetime
    failures: int = 0
