"""What can be asked to go wrong with watches."""

from __future__ import annotations

from dataclasses import dataclass, field

from nublado.sandbox.checks import check_range

__all__ = ["WatchFaults"]

_LEAST_INTERVAL = 0.001
_MOST_SECONDS = 86_400.0


@dataclass(slots=True)
class WatchFaults:
    """What goes wrong with watches; open ones are hit as well.

    Parameters
    ----------
    kinds
        Plural names of the kinds that are hit; empty for all.
    drop_after
        Seconds after which a watch is cut off.
    reset
        Whether it is cut off by a reset of the connection, in the middle of a
        line, and not by an orderly end.
    expire_after
        Seconds after which a watch ends with an expired version (410).
    silent
        Watches stay open but tell nothing any more, not even when the time
        that was asked for is over; nor do they recover.
    expire_probability
        How likely the version that a watch starts from has expired (410).
    too_large_probability
        How likely the version that a watch starts from is not there yet
        (504).
    compact_every
        Seconds, on average, between compactions of the history.
    bookmark_interval
        Seconds between bookmarks.
    """

    kinds: list[str] = field(default_factory=list)
    drop_after: float | None = None
    reset: bool = False
    expire_after: float | None = None
    silent: bool = False
    expire_probability: float = 0.0
    too_large_probability: float = 0.0
    compact_every: float | None = None
    bookmark_interval: float = 60.0

    def __post_init__(self) -> None:
        for name in ("expire_probability", "too_large_probability"):
            check_range(name, getattr(self, name), 0, 1)
        for name in ("drop_after", "expire_after"):
            check_range(name, getattr(self, name) or 0, 0, _MOST_SECONDS)
        for name in ("compact_every", "bookmark_interval"):
            seconds = getattr(self, name)
            if seconds is not None:
                check_range(name, seconds, _LEAST_INTERVAL, _MOST_SECONDS)

    def hit(self, plural: str) -> bool:
        """Whether watches of a kind are hit."""
        return not self.kinds or plural in self.kinds
