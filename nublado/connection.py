"""A connection to a client, as the worker keeps it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

from gunicorn import http, util
from gunicorn.workers.gthread import TConn

from nublado.framing import Framing

__all__ = ["Connection", "Outbox", "RequestKinds"]


class RequestKinds:
    """Tells by the first line of a request what it asks for.

    Only exact paths count: behind any other prefix there may be pages of which the
    handler waits, and what is in memory is told by the main loop.

    Parameters
    ----------
    prefix
        Path prefix of the service.
    """

    def __init__(self, prefix: str) -> None:
        api = re.escape(f"{prefix}/spawner/v1/").encode()
        user = rb"[^\s?/%]+"
        state = rb"labs(?:/%b)?|user-status" % user
        self.in_memory = re.compile(
            rb"GET %b(?:%b|labs/%b/events) HTTP/" % (api, state, user)
        )
        self.creation = re.compile(rb"POST %blabs/%b/create HTTP/" % (api, user))
        self.read_of_state = re.compile(
            rb"(?:GET|HEAD) (?:/|/healthz|/readyz|/metrics|%b(?:%b))(?:\?\S*)? HTTP/"
            % (api, state)
        )


class Connection(TConn):  # type: ignore[misc]
    """A connection to a client, and what it has sent of its next request.

    Parameters
    ----------
    cfg
        Configuration of gunicorn.
    sock
        The socket.
    client, server
        Addresses.
    close_gently
        Closes a socket so that its client gets all that was sent, without
        waiting for that.
    kinds
        Tells what requests ask for.

    Attributes
    ----------
    received
        What has come of the next request.
    framing
        Where that ends.
    is_whole
        Whether all of it was there when a thread took it.
    reads_state
        Whether the request that is being answered only reads what is in memory.
    asks_for_a_lab
        Whether the request that is being answered is one for a new lab.
    has_thread
        Whether it has one of the threads that answer most requests.
    is_polled
        Whether the main loop looks whether there is something to read.
    is_handed_over
        Whether the socket belongs to the writer of streams now.
    """

    parser: Any

    def __init__(
        self,
        cfg: Any,
        sock: Any,
        client: Any,
        server: Any,
        close_gently: Callable[[socket.socket], None],
        kinds: RequestKinds,
    ) -> None:
        super().__init__(cfg, sock, client, server)
        # Where its requests are parsed, it must not wait for the client.
        self.data_ready = self.initialized = True
        self.received = bytearray()
        self.framing = Framing()
        self.is_whole = False
        self.reads_state = False
        self.asks_for_a_lab = False
        self.has_thread = False
        self.is_polled = False
        self.is_handed_over = False
        self._close_gently = close_gently
        self._kinds = kinds

    @property
    def asks_what_is_known(self) -> bool:
        """Whether all that has come is one request that memory alone can answer.

        That is one for the state of labs, or for the events of a lab.
        """
        return (
            self.framing.is_all(self.received)
            and self._kinds.in_memory.match(self.received) is not None
        )

    def close(self, graceful: bool = False) -> None:
        """Close the socket, without waiting for the client."""
        if self.is_handed_over:
            return
        if graceful:
            self._close_gently(self.sock)
        else:
            util.close(self.sock)

    def hand_to_parser(self) -> None:
        """Let the parser read what has been received, and nothing else.

        It must never wait for the client, whatever it makes of a request.
        """
        if self.parser is None:
            self.parser = http.get_parser(self.cfg, (), self.client)
        self.reads_state = bool(self._kinds.read_of_state.match(self.received))
        self.asks_for_a_lab = bool(self._kinds.creation.match(self.received))
        self.parser.unreader.unread(bytes(self.received))
        self.received.clear()
        self.framing = Framing()


class Outbox:
    """Takes the place of a socket while a response to it is made.

    Attributes
    ----------
    sock
        The socket.
    rest
        What is still to be sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.rest = bytearray()

    def sendall(self, data: bytes) -> None:
        """Keep a part of the response."""
        self.rest += data

    def send(self, data: bytes) -> int:
        """Send no interim response: the whole request is there."""
        return len(data)

    def setblocking(self, flag: bool) -> None:
        """Never wait for the client, whatever gunicorn wants."""

    def flush(self) -> None:
        """Send the response, as far as the client takes it at once."""
        while self.rest:
            try:
                sent = self.sock.send(self.rest)
            except BlockingIOError:
                return
            del self.rest[:sent]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)
