"""What Kubernetes says of pods."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PodNotice"]


@dataclass(frozen=True, slots=True)
class PodNotice:
    """An event about a pod, or the reason for which it waits.

    Parameters
    ----------
    reason
        Kubernetes' word for it, such as ``ImagePullBackOff``.
    message
        What it says besides; may be empty.
    container
        The container that it is about, if it is about one.
    """

    reason: str
    message: str = ""
    container: str | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason
