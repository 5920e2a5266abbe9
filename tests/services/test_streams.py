"""The thread that writes streams, and what else it sends and closes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from nublado.services.streams import Stream, StreamWriter
from tests.waiting import wait_for

MEGABYTE = 1024 * 1024


@pytest.fixture
def writer() -> Iterator[StreamWriter]:
    writer = StreamWriter(100)
    writer.start()
    yield writer
    writer.stop()


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(60)
    return ours, theirs


def test_rests_are_sent_to_their_end_however_slowly_they_are_read(
    writer: StreamWriter,
) -> None:
    ours, theirs = pair()
    rest = bytearray(bytes(range(256)) * 4096 * 8)
    writer.finish(ours, rest)
    # It has no more to ask for, which is not to say that it has gone.
    theirs.shutdown(socket.SHUT_WR)
    received = bytearray()
    with theirs:
        while data := theirs.recv(10_000):
            received += data
    assert received == rest


def test_rests_that_nobody_reads_are_bounded(writer: StreamWriter) -> None:
    unread = [pair() for _ in range(20)]
    for ours, _ in unread:
        writer.finish(ours, bytearray(8 * MEGABYTE))

    def closed() -> int:
        return sum(ours.fileno() < 0 for ours, _ in unread)

    wait_for(lambda: closed() == 12)
    for _, theirs in unread:
        theirs.close()
    wait_for(lambda: closed() == 20)
    # What was given up counts no more.
    ours, theirs = pair()
    writer.finish(ours, bytearray(60 * MEGABYTE))
    with theirs:
        assert theirs.recv(1) == b"\0"


class Silent:
    """A source that never has anything to send."""

    def attach(self, wake: Callable[[], None]) -> None:
        """Begin."""

    def pull(self) -> tuple[bytes, bool]:
        return b"", False

    def detach(self) -> None:
        """End."""


def test_operators_have_a_reserve_at_the_limit() -> None:
    writer = StreamWriter(200)
    users = [f"user{n // 16}" for n in range(198)]
    assert all(writer.admit(user) for user in users)
    assert not writer.admit("somebody-else")
    assert [writer.admit(None) for _ in range(3)] == [True, True, False]
    assert writer.open == writer.limit == 200
    # A place that operators give back is no user's.
    writer.release(None)
    assert not writer.admit("somebody-else")
    writer.release("user0")
    assert not writer.admit("somebody-else")
    writer.release("user0")
    assert writer.admit("somebody-else")


def test_even_of_few_streams_one_is_for_operators() -> None:
    writer = StreamWriter(2)
    assert writer.admit("rachel")
    assert not writer.admit("rachel")
    assert writer.admit(None)


def test_each_user_has_a_share() -> None:
    writer = StreamWriter(1000)
    assert [writer.admit("rachel") for _ in range(17)] == [True] * 16 + [False]
    assert writer.admit("ben")
    writer.release("rachel")
    assert writer.admit("rachel")
    assert all(writer.admit(None) for _ in range(100))


def test_streams_up_to_the_limit_are_open_and_their_places_come_back(
    writer: StreamWriter,
) -> None:
    clients = []
    for n in range(99):
        user = f"user{n // 16}"
        assert writer.admit(user)
        ours, theirs = pair()
        writer.write(ours, b"head\r\n\r\n", Stream(Silent(), user), chunked=False)
        clients.append(theirs)
    assert not writer.admit("user99")
    for theirs in clients:
        assert theirs.recv(65536) == b"head\r\n\r\n"
    for theirs in clients:
        theirs.close()
    wait_for(lambda: writer.open == 0)
    assert writer.admit("user99")
