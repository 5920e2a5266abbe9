"""Requests that wait for an operation: so many and no more, and a fair share each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from nublado.exceptions import ServiceUnavailableError

__all__ = ["WaitingRoom"]

_PER_USER = 4
_RETRY_AFTER_SECONDS = 5


class WaitingRoom:
    """Places for requests that wait for operations, which may take minutes.

    Each holds a thread of those that serve requests, so they get no more than
    half of these.

    Parameters
    ----------
    threads
        How many threads serve requests.
    """

    def __init__(self, threads: int) -> None:
        self._limit = max(1, threads // 2)
        self._lock = threading.Lock()
        self._users: Counter[str] = Counter()

    @contextmanager
    def place(self, username: str) -> Iterator[None]:
        """Hold a place.

        Parameters
        ----------
        username
            Whose lab or file server is waited for.

        Raises
        ------
        ServiceUnavailableError
            Raised if there is no place.
        """
        self._enter(username)
        try:
            yield
        finally:
            with self._lock:
                self._users[username] -= 1
                self._users += Counter()

    def _enter(self, username: str) -> None:
        with self._lock:
            if self._users[username] >= _PER_USER:
                whose = f"for {username} "
            elif self._users.total() >= self._limit:
                whose = ""
            else:
                self._users[username] += 1
                return
        raise ServiceUnavailableError(
            f"Too many requests {whose}wait for operations to end, try again",
            _RETRY_AFTER_SECONDS,
        )
