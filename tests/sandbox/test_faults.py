"""Faults and counts of the sandbox's servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.faults import Faults
from nublado.sandbox.stats import Stats


@asynccontextmanager
async def serving(
    faults: Faults, stats: Stats, hits: list[str]
) -> AsyncIterator[aiohttp.ClientSession]:
    async def handle(request: web.Request) -> web.Response:
        hits.append(request.path_qs)
        return web.Response(text="fine")

    middlewares = (stats.middleware("registry"), faults.middleware("registry"))
    app = web.Application(middlewares=middlewares)
    app.router.add_route("*", "/v2/{name}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession(url) as session:
            yield session
    finally:
        await runner.cleanup()


def outcomes(rules: list[JSON], *requests: tuple[str, str]) -> tuple[list[Any], int]:
    """Status of each request, or None where the connection was closed."""
    faults, hits = Faults(), list[str]()
    faults.from_json({"rules": rules})

    async def send() -> list[Any]:
        seen: list[Any] = []
        async with serving(faults, Stats(), hits) as session:
            for method, path in requests:
                try:
                    async with session.request(method, path) as response:
                        seen.append(response.status)
                except aiohttp.ClientError:
                    seen.append(None)
        return seen

    return asyncio.run(send()), len(hits)


def test_rule_strikes_what_it_matches() -> None:
    rule = {"target": "registry", "method": "GET", "path": "/b.*x=1", "status": 503}
    seen, served = outcomes(
        [rule],
        ("GET", "/v2/a"),
        ("GET", "/v2/b?x=1"),
        ("POST", "/v2/b?x=1"),
        ("GET", "/v2/b"),
    )
    assert seen == [200, 503, 200, 200]
    assert served == 3


def test_rule_for_another_server_does_not_strike() -> None:
    seen, _ = outcomes([{"target": "kubernetes", "status": 500}], ("GET", "/v2/a"))
    assert seen == [200]


def test_rule_strikes_so_often() -> None:
    rule = {"target": "registry", "status": 500, "count": 2}
    seen, _ = outcomes([rule], *[("GET", "/v2/a")] * 4)
    assert seen == [500, 500, 200, 200]


def test_rule_strikes_by_chance() -> None:
    rule = {"target": "registry", "status": 500, "probability": 0.5}
    seen, _ = outcomes([rule], *[("GET", "/v2/a")] * 40)
    assert {200, 500} == set(seen)


def test_connection_is_closed_before_or_after() -> None:
    before = {"target": "registry", "drop": "before", "path": "before"}
    after = {"target": "registry", "drop": "after", "path": "after"}
    # POST, because a client may send GET again by itself.
    seen, served = outcomes(
        [before, after], ("POST", "/v2/before"), ("POST", "/v2/after")
    )
    assert seen == [None, None]
    assert served == 1


def test_answer_of_a_rule() -> None:
    async def send(rule: JSON) -> tuple[Any, str, JSON]:
        faults = Faults()
        faults.from_json({"rules": [{"target": "registry"} | rule]})
        async with (
            serving(faults, Stats(), []) as session,
            session.get("/v2/a") as response,
        ):
            return (
                response.status,
                response.headers.get("Retry-After", ""),
                (await response.json()),
            )

    status, retry, body = asyncio.run(send({"status": 429, "retry_after": 7}))
    assert (status, retry) == (429, "7")
    assert (body["kind"], body["reason"]) == ("Status", "TooManyRequests")
    *_, body = asyncio.run(send({"status": 500, "body": {"errors": []}}))
    assert body == {"errors": []}


def test_delay() -> None:
    start = time.monotonic()
    seen, _ = outcomes([{"target": "registry", "delay": 0.2}], ("GET", "/v2/a"))
    assert seen == [200]
    assert time.monotonic() - start >= 0.2


def test_faults_survive_json() -> None:
    faults = Faults()
    rule = {"target": "ingress", "status": 502, "body": "text", "count": 3}
    faults.from_json({"rules": [rule], "watch": {"silent": True, "kinds": ["pods"]}})
    again = Faults()
    again.from_json(faults.to_json())
    assert again.to_json() == faults.to_json()
    assert again.rules[0].count == 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rule": []}, "Unknown key rule. Did you mean rules?"),
        ([], "faults must be a JSON object"),
        ({"rules": {}}, "rules must be a list of objects, not {}"),
        ({"seed": []}, "seed must be a whole number or null"),
        (
            {"rules": [{"status": "x"}]},
            r'rules\[0\]: status must be a whole .* not "x"',
        ),
        ({"rules": [{"status": 20}]}, r"rules\[0\]: status must be from 200 to 599"),
        ({"rules": [{"probability": 2}]}, "probability must be from 0 to 1, not 2"),
        ({"rules": [{"delay": -1}]}, "delay must be from 0 to 86400, not -1"),
        ({"rules": [{"count": -1}]}, "count must be from 0"),
        ({"rules": [{"answer": "42"}]}, "answer must be one of leader-changed"),
        ({"rules": [{"answer": "found", "status": 302}]}, "leave status out"),
        ({"rules": [{"target": "moon"}]}, r"rules\[0\]: target must be one of"),
        ({"rules": [{"path": "("}]}, r"rules\[0\]: path: \( is no regular expression"),
        (
            {"rules": [{"drop": "now"}]},
            "drop must be before or after or within or null",
        ),
        ({"watch": {"silent": 1}}, "watch: silent must be true or false, not 1"),
        ({"watch": []}, "watch must be an object, not"),
        ({"watch": {"compact_every": 0}}, "compact_every must be from 0.001"),
        ({"watch": {"expire_probability": -1}}, "must be from 0 to 1, not -1"),
        ({"watch": {"drop_after": -1}}, "drop_after must be from 0"),
        (
            {"watch": {"loud": True}},
            "watch: Unknown key loud. Known are: bookmark_interval",
        ),
    ],
)
def test_faults_that_make_no_sense_change_nothing(data: object, message: str) -> None:
    faults = Faults()
    faults.from_json({"rules": [{"status": 500}]})
    before = faults.to_json()
    with pytest.raises(ValueError, match=message):
        faults.from_json(data)
    assert faults.to_json() == before


def test_requests_and_connections_are_counted() -> None:
    async def send() -> Stats:
        stats = Stats()
        async with serving(Faults(), stats, []) as session:
            agent = {"User-Agent": "nublado/1.0 (test)"}
            for _ in range(3):
                await (await session.get("/v2/a", headers=agent)).read()
            await (await session.delete("/v2/b")).read()
            assert stats.open_connections("registry") == 1
        return stats

    stats = asyncio.run(send())
    assert stats.total("registry", agent="nublado") == 3
    assert stats.total() == 4
    assert stats.connections_peak("registry") == 1
    first = stats.to_json()["requests"][0]
    assert first == {
        "target": "registry",
        "method": "GET",
        "route": "/v2/{name}",
        "agent": "nublado/1.0",
        "count": 3,
    }
    stats.reset()
    assert stats.total() == 0
