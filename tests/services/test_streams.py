"""The thread that writes streams, and what else it sends and closes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from nublado.services.streams import StreamWriter
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
