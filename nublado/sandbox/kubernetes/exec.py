"""Commands in containers, as ``kubectl exec`` asks for them.

References
----------
https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
https://pkg.go.dev/k8s.io/apimachinery/pkg/util/remotecommand
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import bad_request
from nublado.sandbox.kubernetes.requests import flag

__all__ = ["Execute", "serve_exec"]

Execute = Callable[[JSON, str, list[str]], Awaitable[Process]]
"""Starts a command for a pod and one of its containers."""

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_CHUNK = 64 * 1024
_NOT_FOUND = 127


async def serve_exec(
    request: web.Request, pod: JSON, execute: Execute | None
) -> web.StreamResponse:
    """Run a command, whose streams are channels of a WebSocket.

    Raises
    ------
    ApiError
        Raised if nothing can be run in the container (400).
    """
    container, command = _asked_for(request, pod)
    if execute is None:
        raise bad_request(
            "the sandbox has no containers to run commands in; start it with --run-labs"
        )
    if request.method == "POST":
        raise bad_request("commands need WebSockets, which kubectl has from 1.31 on")
    socket = web.WebSocketResponse(protocols=_PROTOCOLS)
    await socket.prepare(request)
    try:
        process = await execute(pod, container, command)
    except OSError as e:
        text = f"exec: {command[0]}: {e.strerror}"
        await _end(socket, _NOT_FOUND, text)
        return socket
    await _converse(socket, process, with_input=flag(request.query, "stdin"))
    return socket


def _asked_for(request: web.Request, pod: JSON) -> tuple[str, list[str]]:
    """Read off in which container what is to run."""
    container = request.query.get("container") or pod["spec"]["containers"][0]["name"]
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    state = next((s["state"] for s in statuses if s["name"] == container), None)
    if state is None:
        name = pod["metadata"]["name"]
        raise bad_request(f"container {container} is not valid for pod {name}")
    if "running" not in state:
        raise bad_request(f"container {container} is not running")
    command = request.query.getall("command", [])
    if not command:
        raise bad_request("you must specify at least 1 command for the container")
    return container, command


async def _converse(
    socket: web.WebSocketResponse, process: Process, *, with_input: bool
) -> None:
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    assert process.stdin is not None  # noqa: S101
    if not with_input:
        process.stdin.close()
    reading = asyncio.create_task(_read_input(socket, process))
    try:
        await asyncio.gather(
            _pass_on(socket, _STDOUT, process.stdout),
            _pass_on(socket, _STDERR, process.stderr),
        )
        await _end(socket, await process.wait())
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _pass_on(
    socket: web.WebSocketResponse, channel: int, stream: asyncio.StreamReader
) -> None:
    while data := await stream.read(_CHUNK):
        with suppress(ConnectionError):
            await socket.send_bytes(bytes([channel]) + data)


async def _read_input(socket: web.WebSocketResponse, process: Process) -> None:
    """Give a command its input; a client that goes away ends it."""
    stdin = process.stdin
    assert stdin is not None  # noqa: S101
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == _STDIN and data:
            with suppress(ConnectionError):
                stdin.write(data)
                await stdin.drain()
        elif channel == _CLOSE and data == bytes([_STDIN]):
            stdin.close()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _end(socket: web.WebSocketResponse, code: int, text: str = "") -> None:
    """Tell how a command has ended."""
    status: JSON = {"metadata": {}, "status": "Success"}
    if code:
        message = text or "command terminated with non-zero exit code"
        status = {
            "metadata": {},
            "status": "Failure",
            "reason": "NonZeroExitCode",
            "message": message,
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }
    with suppress(ConnectionError):
        await socket.send_bytes(bytes([_ERROR]) + json.dumps(status).encode())
        await socket.close()
