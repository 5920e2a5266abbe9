"""Who goes first where requests wait for connections, and who need not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from nublado.exceptions import OperationCancelledError, OperationTimeoutError
from nublado.storage.kubernetes.slots import Slots
from nublado.timeout import Cancellation, Timeout
from tests.waiting import wait_for


class Queue:
    """Requests that wait for the only slot, in threads of their own."""

    def __init__(self) -> None:
        self.slots = Slots(1)
        self.served: list[str] = []
        self.errors: list[Exception] = []
        self._threads: list[threading.Thread] = []

    def add(self, name: str, timeout: Timeout) -> None:
        """Let one more wait, and return once it does."""
        waiting = threading.Event()
        cancellation = timeout.cancellation
        waking = cancellation.waking

        def seen(callback: Callable[[], None]) -> object:
            waiting.set()
            return waking(callback)

        cancellation.waking = seen  # type: ignore[method-assign,assignment]
        thread = threading.Thread(target=self._request, args=(name, timeout))
        self._threads.append(thread)
        thread.start()
        assert waiting.wait(60)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _request(self, name: str, timeout: Timeout) -> None:
        try:
            with self.slots.taken(timeout):
                self.served.append(name)
        except (OperationCancelledError, OperationTimeoutError) as e:
            self.errors.append(e)


def deadline(seconds: float = 60.0, rank: int = 9) -> Timeout:
    return Timeout("Test", seconds, Cancellation(), rank=rank)


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_the_lowest_rank_goes_first_then_the_nearest_deadline(queue: Queue) -> None:
    with queue.slots.taken(deadline()):
        queue.add("last", deadline(600.0))
        queue.add("third", deadline(300.0))
        queue.add("second", deadline(600.0, rank=2))
        queue.add("first", deadline(900.0, rank=1))
        assert queue.served == []
    queue.join()
    assert queue.served == ["first", "second", "third", "last"]


def test_a_wait_ends_when_it_is_cancelled(queue: Queue) -> None:
    cancellation = Cancellation()
    with queue.slots.taken(deadline()):
        queue.add("cancelled", Timeout("Test", 60.0, cancellation))
        queue.add("other", deadline())
        cancellation.cancel()
        wait_for(lambda: queue.errors)
    queue.join()
    assert isinstance(queue.errors[0], OperationCancelledError)
    assert queue.served == ["other"]
    with queue.slots.taken(deadline()):
        pass


def test_a_wait_ends_with_its_deadline(queue: Queue) -> None:
    with queue.slots.taken(deadline()), pytest.raises(OperationTimeoutError):
        queue.slots.taken(deadline(0.05)).__enter__()
    with queue.slots.taken(deadline()):
        pass


def test_a_slot_is_given_back_after_an_error(queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), queue.slots.taken(deadline()):
        raise ZeroDivisionError
    with queue.slots.taken(deadline()):
        pass
