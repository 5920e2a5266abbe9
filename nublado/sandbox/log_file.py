"""What processes write, to be read even if its file has gone with them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

__all__ = ["LogFile"]


class LogFile:
    """A file that processes write to.

    Parameters
    ----------
    path
        Where it is; what was there is lost.
    """

    def __init__(self, path: Path) -> None:
        self.writer = path.open("w")
        # Of its own, so that reading does not move where processes write.
        self._reader = path.open(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()
        self._reader.close()

    def text(self) -> str:
        """All that was written so far."""
        self._reader.seek(0)
        return self._reader.read()

    def last_lines(self, number: int) -> str:
        """What was written last.

        Parameters
        ----------
        number
            How many lines at most.
        """
        return "\n".join(self.text().splitlines()[-number:])
