"""Names of labs such as ``lab.userlabs-rachel``, for JupyterHub.

In a real cluster its DNS resolves them. Here the sandbox knows them, and tells
JupyterHub by this resolver, and the proxy by ``data/lab-names.cjs``.
"""

from __future__ import annotations

import socket
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["LabNames"]

_SECONDS = 10.0


class LabNames(AbstractResolver):
    """Resolves the names of services of the sandbox, and all others as usual.

    Parameters
    ----------
    control_url
        Control API of the sandbox.
    """

    def __init__(self, control_url: str) -> None:
        self._control_url = control_url

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> list[ResolveResult]:
        """Find the address of a host."""
        address = await self._address(host)
        return await aiohttp.ThreadedResolver().resolve(address or host, port, family)

    async def close(self) -> None:
        """Keep nothing open."""

    async def _address(self, host: str) -> str | None:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{self._control_url}/hosts/{host}") as answer,
        ):
            if answer.status != HTTPStatus.OK:
                return None
            return str((await answer.json())["address"])
