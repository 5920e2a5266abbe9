"""What the API server needs to know of faults."""

from __future__ import annotations

from typing import Protocol

from aiohttp.typedefs import Middleware

from nublado.sandbox.watch_faults import WatchFaults

__all__ = ["Faults"]


class Faults(Protocol):
    """All faults that are switched on; see `nublado.sandbox.faults.Faults`."""

    watch: WatchFaults

    def strikes(self, probability: float) -> bool:
        """Throw the dice."""
        ...

    def middleware(self, target: str) -> Middleware:
        """Make the middleware that lets faults strike one server."""
        ...
