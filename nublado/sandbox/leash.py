"""Processes that end with the one that started them, however that ends.

The parent holds the other end of the child's standard input. The kernel closes
it when the parent is gone, even if that was killed and could do nothing more.

``python -m nublado.sandbox.leash MODULE ARGUMENTS…`` runs a module on a leash.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable

__all__ = ["when_parent_ends"]


def when_parent_ends(react: Callable[[], None]) -> None:
    """Call a function, in a thread of its own, once standard input ends."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        react()

    threading.Thread(target=wait, name="leash", daemon=True).start()


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _main() -> None:
    if os.getpgrp() != os.getpid():
        raise SystemExit("A process on a leash must lead its process group")
    when_parent_ends(_kill_group)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
