"""Which threads answer which requests, and that none waits for another sort."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from nublado.connection import Connection, RequestKinds
from nublado.request_threads import RequestThreads

_LONG = 60.0
_CREATION = (
    b"POST /nublado/spawner/v1/labs/rachel/create HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
)
_STATE = b"GET /nublado/spawner/v1/labs/rachel HTTP/1.1\r\n\r\n"
_PAGE = b"GET /nublado/spawner/v1/images HTTP/1.1\r\n\r\n"


class Answers:
    """Answers requests once it is told to, and knows which threads do that."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.names: list[str] = []

    def __call__(self, _: Connection) -> bool:
        self.names.append(threading.current_thread().name.rpartition("_")[0])
        return self.may.wait(_LONG)


@pytest.fixture
def answers() -> Iterator[Answers]:
    answers = Answers()
    yield answers
    answers.may.set()


@pytest.fixture
def threads() -> RequestThreads:
    return RequestThreads(2)


def _never(_: Connection) -> bool:
    raise AssertionError("refused")


def _connection(received: bytes) -> Connection:
    sock, other = socket.socketpair()
    other.close()
    connection = Connection(
        Config(), sock, ("", 1), ("", 2), socket.socket.close, RequestKinds("/nublado")
    )
    connection.received += received
    connection.hand_to_parser()
    return connection


@pytest.mark.parametrize(
    ("received", "name"),
    [(_CREATION, "creates"), (_STATE, "requests"), (_PAGE, "requests")],
)
def test_threads_by_request(
    threads: RequestThreads, answers: Answers, received: bytes, name: str
) -> None:
    answers.may.set()
    assert threads.submit(_connection(received), answers, _never).result(_LONG)
    assert answers.names == [name]


def test_what_is_known_finds_a_thread_while_all_are_taken(
    threads: RequestThreads, answers: Answers
) -> None:
    taken = [_connection(_PAGE) for _ in range(2)]
    for connection in taken:
        threads.submit(connection, answers, _never)
    assert threads.busy == 2
    quick = Answers()
    quick.may.set()
    assert threads.submit(_connection(_STATE), quick, _never).result(_LONG)
    assert quick.names == ["reads-of-state"]
    for connection in taken:
        threads.note_answered(connection)
    assert threads.busy == 0


def test_waiting_creations_keep_nobody_else_waiting(
    threads: RequestThreads, answers: Answers
) -> None:
    for _ in range(20):
        threads.submit(_connection(_CREATION), answers, _never)
    quick = Answers()
    quick.may.set()
    for _ in range(5):
        connection = _connection(_PAGE)
        assert threads.submit(connection, quick, _never).result(_LONG)
        threads.note_answered(connection)
    assert set(quick.names) == {"requests"}


def test_only_creations_that_have_waited_for_too_long_are_refused() -> None:
    threads = RequestThreads(2, patience=-1.0)
    late, quick = Answers(), Answers()
    late.may.set()
    quick.may.set()
    assert threads.submit(_connection(_CREATION), _never, late).result(_LONG)
    assert threads.submit(_connection(_PAGE), quick, _never).result(_LONG)
    assert (late.names, quick.names) == (["creates"], ["requests"])
