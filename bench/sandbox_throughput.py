"""Measure how many simple requests per second the sandbox's API server answers.

The server runs in a process of its own, and so on one core; requests come from
this one, over 32 connections. Run it with ``python bench/sandbox_throughput.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import aiohttp
from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.faults import Faults
from nublado.sandbox.kubernetes.server import make_app
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.stats import Stats

CONNECTIONS = 32
NAMESPACE = "bench"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"

Send = Callable[[aiohttp.ClientSession, int], Awaitable[None]]


def main() -> None:
    """Print a line for each sort of request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000, help="of each sort")
    parser.add_argument("--watches", type=int, default=8, help="open meanwhile")
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(there,), daemon=True)
    server.start()
    try:
        asyncio.run(_measure(here.recv(), arguments.requests, arguments.watches))
    finally:
        server.terminate()
        server.join()


def _serve(pipe: Connection) -> None:
    asyncio.run(_serve_forever(pipe))


async def _serve_forever(pipe: Connection) -> None:
    store = Store()
    store.create("Namespace", {"metadata": {"name": NAMESPACE}})
    store.create("ServiceAccount", {"metadata": {"name": "default"}}, NAMESPACE)
    runner = web.AppRunner(make_app(store, Faults(), Stats()), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await asyncio.Event().wait()


async def _measure(url: str, requests: int, watches: int) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        watchers = [asyncio.create_task(_watch(session)) for _ in range(watches)]
        for name, send in (
            ("create pod", _create),
            ("get pod", _get),
            ("patch pod", _patch),
            ("delete pod", _delete),
        ):
            rate = await _rate(session, requests, send)
            print(f"{name:12} {rate:7.0f} requests/s, {watches} watches open")
        for watcher in watchers:
            watcher.cancel()


async def _rate(session: aiohttp.ClientSession, requests: int, send: Send) -> float:
    numbers = iter(range(requests))

    async def work() -> None:
        for number in numbers:
            await send(session, number)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return requests / (time.perf_counter() - start)


async def _create(session: aiohttp.ClientSession, number: int) -> None:
    limits = {"cpu": "1", "memory": "1Gi"}
    container = {"name": "c", "image": "x:1", "resources": {"limits": limits}}
    pod: JSON = {
        "metadata": {"name": f"pod-{number}", "labels": {"app": "bench"}},
        "spec": {"containers": [container]},
    }
    await _send(session, "POST", PODS, pod)


async def _get(session: aiohttp.ClientSession, number: int) -> None:
    await _send(session, "GET", f"{PODS}/pod-{number}")


async def _patch(session: aiohttp.ClientSession, number: int) -> None:
    patch: JSON = {"metadata": {"annotations": {"number": str(number)}}}
    await _send(session, "PATCH", f"{PODS}/pod-{number}", patch)


async def _delete(session: aiohttp.ClientSession, number: int) -> None:
    await _send(session, "DELETE", f"{PODS}/pod-{number}")


async def _send(
    session: aiohttp.ClientSession, method: str, path: str, body: JSON | None = None
) -> None:
    headers = {}
    if method == "PATCH":
        headers["Content-Type"] = "application/merge-patch+json"
    async with session.request(method, path, json=body, headers=headers) as response:
        response.raise_for_status()
        await response.read()


async def _watch(session: aiohttp.ClientSession) -> None:
    query = {"watch": "1", "labelSelector": "app=bench"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get("/api/v1/pods", params=query, timeout=timeout) as response:
        async for _ in response.content.iter_any():
            pass


if __name__ == "__main__":
    main()
