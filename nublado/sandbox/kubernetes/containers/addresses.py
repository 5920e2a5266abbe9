"""Addresses of this machine, one for each pod that runs."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Sequence

__all__ = ["LoopbackAddresses"]

_NETWORK = ipaddress.ip_network("127.64.0.0/10")
_TRIES = 1000


class LoopbackAddresses:
    """Gives out loopback addresses on which nobody listens.

    They are drawn at random, so that sandboxes beside each other, and pods
    after each other, do not get the same ones. All of 127.0.0.0/8 is this
    machine on Linux.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, ports: Sequence[int]) -> str:
        """Take an address on which ports can be bound.

        Raises
        ------
        OSError
            Raised if there is none, as on systems where only 127.0.0.1 is
            loopback.
        """
        for _ in range(_TRIES):
            number = secrets.randbelow(_NETWORK.num_addresses)
            address = str(_NETWORK[number])
            if address not in self._taken and _is_free(address, ports):
                self._taken.add(address)
                return address
        raise OSError(f"No address of {_NETWORK} can be bound on this machine")

    def give_back(self, address: str) -> None:
        """Let an address be taken again."""
        self._taken.discard(address)


def _is_free(address: str, ports: Sequence[int]) -> bool:
    for port in ports or (0,):
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
