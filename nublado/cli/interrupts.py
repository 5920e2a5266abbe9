"""What Ctrl-C does to a command that has much to take down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Self

__all__ = ["Interrupts"]

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The first signal stops in good order, the second at once.

    Parameters
    ----------
    kill
        Ends everything without waiting for anything.
    doing
        What the first signal leads to, as told to the user; may be changed.
    """

    def __init__(self, kill: Callable[[], None], doing: str = "Stopping") -> None:
        self.doing = doing
        self._kill = kill
        self._first: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _STOP:
            is_nohup = signal.getsignal(number) is signal.SIG_IGN
            if number != signal.SIGHUP or not is_nohup:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @property
    def exit_code(self) -> int:
        """Exit code by convention, once there was a signal."""
        return 128 + (self._first or signal.SIGINT)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._first is None:
            self._first = number
            _say(f"\n{self.doing}… (Ctrl-C again to stop at once)\n")
            raise KeyboardInterrupt
        _say("\nStopped at once.\n")
        try:
            self._kill()
        finally:
            os._exit(128 + number)


def _say(text: str) -> None:
    """Write past the buffers, which a signal may find in any state."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), text.encode())
