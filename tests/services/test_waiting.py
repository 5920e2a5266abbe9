"""Requests that wait for operations leave threads to others."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from nublado.exceptions import ServiceUnavailableError
from nublado.services.waiting import WaitingRoom


def test_half_of_the_threads_may_wait_and_four_for_one_user() -> None:
    room = WaitingRoom(16)
    with ExitStack() as places:
        for name in ["rachel"] * 4 + ["neo"] * 3:
            places.enter_context(room.place(name))
        with pytest.raises(ServiceUnavailableError, match="requests for rachel wait"):
            places.enter_context(room.place("rachel"))
        places.enter_context(room.place("trinity"))
        with pytest.raises(ServiceUnavailableError, match="many requests wait") as full:
            places.enter_context(room.place("morpheus"))
        assert full.value.retry_after > 0
    with room.place("rachel"):
        pass


def test_places_are_given_back_after_errors() -> None:
    room = WaitingRoom(2)
    for _ in range(3):
        with pytest.raises(KeyError), room.place("rachel"):
            raise KeyError
