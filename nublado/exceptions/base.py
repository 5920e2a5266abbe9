"""What all errors of the controller have in common."""

from __future__ import annotations

__all__ = [
    "NubladoError",
]


class NubladoError(Exception):
    """Base of all errors that the controller raises itself."""
