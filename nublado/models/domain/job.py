"""Background jobs, as operators see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["JobState"]


@dataclass(frozen=True, slots=True)
class JobState:
    """State of a background job.

    Parameters
    ----------
    last_success
        When it last succeeded (UTC).
    failures
        How often it has failed since.
    failing_since
        When it first did.
    error
        How it last did, in words.
    """

    last_success: datetime
    failures: int = 0
    failing_since: datetime | None = None
    error: str | None = None
