"""The ingress passes on whatever goes through it, over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from yarl import URL

from nublado.sandbox.cluster import Sandbox, SandboxOptions
from nublado.sandbox.launch import SandboxProcess
from nublado.sandbox.ports import free_port

USER = {"Authorization": "bearer gt-rachel"}
SECONDS = 60.0
MEGABYTE = 1024 * 1024

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Conversation = Callable[[Reader, Writer], Awaitable[None]]


@asynccontextmanager
async def ingress(
    *, hub: str | None = None, service: str | None = None
) -> AsyncIterator[str]:
    sandbox = Sandbox(SandboxOptions(hub_url=hub, service_url=service))
    endpoints = await sandbox.start()
    try:
        yield endpoints.ingress
    finally:
        await sandbox.stop()


@asynccontextmanager
async def hub_app(*routes: web.RouteDef) -> AsyncIterator[str]:
    app = web.Application(client_max_size=0)
    app.router.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(conversation: Conversation) -> AsyncIterator[str]:
    """Start a server that says what HTTP libraries would not."""

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            await conversation(reader, writer)
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"


async def read_request(reader: Reader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(SECONDS):
            await test()

    asyncio.run(limited())


# --- Who it is -----------------------------------------------------------


async def echo_request(request: web.Request) -> web.Response:
    headers = [[k, v] for k, v in request.headers.items()]
    body = (await request.read()).decode("latin-1")
    seen = {"path": request.raw_path, "headers": headers, "body": body}
    return web.json_response(seen | {"method": request.method})


def test_hub_learns_who_it_is_from_the_ingress_alone() -> None:
    async def test() -> None:
        async with (
            hub_app(web.route("*", "/nb/{path:.*}", echo_request)) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession() as client,
        ):
            forged = {
                "X-Auth-Request-User": "admin",
                "X-Auth-Request-Token": "gt-admin",
                "X-Auth-Request-Email": "admin@example.org",
                "X-Forwarded-For": "8.8.8.8",
                "Connection": "keep-alive, X-Secret",
                "X-Secret": "for the ingress",
            }
            path = "/nb/hub/a%2Fb?next=%2Fnb%2F&x=%20"
            target = URL(url + path, encoded=True)
            async with client.get(target, headers=USER | forged) as answer:
                seen = await answer.json()
            headers = {k.lower(): v for k, v in seen["headers"]}
            assert seen["path"] == path
            assert headers["x-auth-request-user"] == "rachel"
            assert re.fullmatch(r"gt-\w+\.\w+", headers["x-auth-request-token"])
            assert headers["x-forwarded-for"] == "127.0.0.1"
            assert headers["host"] == url.removeprefix("http://")
            absent = {"x-auth-request-email", "x-secret", "authorization", "cookie"}
            assert not absent & set(headers)
            names = [name.lower() for name, _ in seen["headers"]]
            assert names.count("x-auth-request-user") == 1

    run(test)


def test_cookies_and_tokens_of_the_hub_pass_those_of_the_ingress_do_not() -> None:
    async def test() -> None:
        async with (
            hub_app(web.route("*", "/nb/{path:.*}", echo_request)) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        ):
            login = await client.post(
                f"{url}/login", data={"username": "rachel"}, allow_redirects=False
            )
            session = login.cookies["sandbox-session"].value
            headers = {
                "Cookie": f'_xsrf="2|a; b"; sandbox-session={session}; sid=1',
                "Authorization": "token of-jupyterhub",
            }
            async with client.get(f"{url}/nb/hub/api", headers=headers) as answer:
                sent = dict((await answer.json())["headers"])
            assert session not in json.dumps(sent["Cookie"])
            assert sent["Cookie"] == '_xsrf="2|a; b"; sid=1'
            assert sent["Authorization"] == "token of-jupyterhub"
            assert sent["X-Auth-Request-User"] == "rachel"

    run(test)


def test_answers_of_the_hub_come_back_whole() -> None:
    async def moved(_: web.Request) -> web.Response:
        answer = web.Response(status=302, headers={"Location": "/nb/hub/home"})
        answer.set_cookie("one", "1", path="/nb/")
        answer.set_cookie("two", "2", path="/nb/")
        return answer

    async def test() -> None:
        async with (
            hub_app(web.get("/nb/hub/", moved)) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession() as client,
            client.get(f"{url}/nb/hub/", headers=USER, allow_redirects=False) as answer,
        ):
            assert (answer.status, answer.headers["Location"]) == (302, "/nb/hub/home")
            assert len(answer.headers.getall("Set-Cookie")) == 2

    run(test)


def test_strangers_log_in_first() -> None:
    async def test() -> None:
        async with (
            hub_app(web.route("*", "/nb/{path:.*}", echo_request)) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession() as client,
        ):
            page = {"Accept": "text/html,*/*"}
            target = f"{url}/nb/hub/spawn?a=b"
            browser = await client.get(target, headers=page, allow_redirects=False)
            assert browser.status == 302
            assert browser.headers["Location"] == "/?rd=%2Fnb%2Fhub%2Fspawn%3Fa%3Db"
            assert (await client.get(target)).status == 401
            no_lab = {"Authorization": "bearer gt-hub"}
            assert (await client.get(target, headers=no_lab)).status == 403
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(f"{url}/nb/ws")
            assert refused.value.status == 401

    run(test)


def test_without_a_hub_the_own_page_stands_in() -> None:
    async def test() -> None:
        async with ingress() as url, aiohttp.ClientSession() as client:
            answer = await client.get(f"{url}/nb/user/rachel/lab", headers=USER)
            assert "would be" in await answer.text()

    run(test)


def test_hub_is_named_while_the_sandbox_runs() -> None:
    async def test() -> None:
        sandbox = Sandbox(SandboxOptions())
        endpoints = await sandbox.start()
        try:
            async with (
                hub_app(web.route("*", "/nb/{path:.*}", echo_request)) as hub,
                aiohttp.ClientSession() as client,
            ):
                control = f"{endpoints.control}/hub"
                assert (await client.put(control, json={"url": hub})).status == 204
                target = f"{endpoints.ingress}/nb/user/rachel/lab"
                seen = await (await client.get(target, headers=USER)).json()
                assert seen["path"] == "/nb/user/rachel/lab"
                assert (await client.put(control, json={"url": None})).status == 204
                page = await client.get(target, headers=USER)
                assert "would be" in await page.text()
        finally:
            await sandbox.stop()

    run(test)


def test_nobody_behind_the_ingress_is_a_bad_gateway() -> None:
    async def test() -> None:
        nobody = f"http://127.0.0.1:{free_port()}"
        async with ingress(hub=nobody) as url, aiohttp.ClientSession() as client:
            assert (await client.get(f"{url}/nb/", headers=USER)).status == 502
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(f"{url}/nb/ws", headers=USER)
            assert refused.value.status == 502

    run(test)


# --- Bodies --------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_of_requests_arrive(method: str, *, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    async def test() -> None:
        async with (
            hub_app(web.route("*", "/nb/{path:.*}", echo_request)) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession() as client,
        ):
            data = pieces() if chunked else b"one two three"
            headers = USER | {"Expect": "100-continue"}
            async with client.request(
                method, f"{url}/nb/x", data=data, headers=headers
            ) as answer:
                seen = await answer.json()
            assert (seen["method"], seen["body"]) == (method, "one two three")
            names = {name for name, _ in seen["headers"]}
            framing = "Transfer-Encoding" if chunked else "Content-Length"
            assert names & {"Transfer-Encoding", "Content-Length"} == {framing}

    run(test)


def test_head_and_empty_answers() -> None:
    async def test() -> None:
        async def page(_: web.Request) -> web.Response:
            return web.Response(body=b"12345", headers={"ETag": '"a"'})

        async def unchanged(_: web.Request) -> web.Response:
            return web.Response(status=304, headers={"ETag": '"a"'})

        async def nothing(_: web.Request) -> web.Response:
            return web.Response(status=204)

        routes = [
            web.get("/nb/page", page),
            web.get("/nb/unchanged", unchanged),
            web.get("/nb/nothing", nothing),
        ]
        async with (
            hub_app(*routes) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(headers=USER) as client,
        ):
            head = await client.head(f"{url}/nb/page")
            assert (head.headers["Content-Length"], await head.read()) == ("5", b"")
            for path, status in (("unchanged", 304), ("nothing", 204)):
                answer = await client.get(f"{url}/nb/{path}")
                assert (answer.status, await answer.read()) == (status, b"")
            assert await (await client.get(f"{url}/nb/page")).read() == b"12345"

    run(test)


def test_events_come_as_they_are_sent() -> None:
    """The server sends an event only once the one before has been received."""
    received: asyncio.Queue[None] = asyncio.Queue()

    async def events(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for number in range(5):
            await answer.write(f"data: {number}\n\n".encode())
            await received.get()
        return answer

    async def test() -> None:
        async with (
            hub_app(web.get("/nb/progress", events)) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(headers=USER) as client,
            client.get(f"{url}/nb/progress") as answer,
        ):
            assert answer.headers["Content-Type"] == "text/event-stream"
            for number in range(5):
                assert await answer.content.readline() == f"data: {number}\n".encode()
                assert await answer.content.readline() == b"\n"
                received.put_nowait(None)
            assert await answer.content.read() == b""

    run(test)


def test_client_that_leaves_ends_what_it_asked_for() -> None:
    gone = asyncio.Event()

    async def stream(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"3\r\nabc\r\n")
        await reader.read()
        gone.set()

    async def test() -> None:
        async with (
            raw_server(stream) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(headers=USER) as client,
        ):
            answer = await client.get(f"{url}/nb/stream")
            assert await answer.content.read(3) == b"abc"
            answer.close()
            await gone.wait()

    run(test)


def test_upload_that_breaks_off_does_not_look_complete() -> None:
    begun = asyncio.Event()
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        body = await reader.readuntil(b"half")
        begun.set()
        try:
            while piece := await reader.read(MEGABYTE):
                body += piece
        except ConnectionError:
            pass
        seen.put_nowait(body)

    async def test() -> None:
        async with raw_server(receive) as hub, ingress(hub=hub) as url:
            host, port = url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"PUT /nb/file HTTP/1.1\r\nHost: x\r\nAuthorization: bearer gt-rachel"
                b"\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
            )
            await begun.wait()
            writer.transport.abort()
            assert b"0\r\n\r\n" not in await seen.get()

    run(test)


# --- A server that dies --------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"


async def everything(
    url: str, request: bytes, begun: asyncio.Event
) -> tuple[bytes, bool]:
    """Send a request; what comes back, and whether the connection was reset.

    Sets an event once a body has begun.
    """
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    received = b""
    try:
        while piece := await reader.read(65536):
            received += piece
            if b"hello" in received:
                begun.set()
    except ConnectionResetError:
        return received, True
    finally:
        writer.transport.abort()
    return received, False


@pytest.mark.parametrize("begun", [CHUNKED, WITH_LENGTH])
@pytest.mark.parametrize("path", ["/nb/x", "/nublado"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_dying_server_cuts_the_connection(
    begun: bytes, path: str, version: str
) -> None:
    die = asyncio.Event()

    async def dies(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(begun)
        await writer.drain()
        await die.wait()

    async def test() -> None:
        async with (
            raw_server(dies) as server,
            ingress(hub=server, service=server) as url,
        ):
            request = (
                f"GET {path} HTTP/{version}\r\nHost: x\r\n"
                "Authorization: bearer gt-rachel\r\n\r\n"
            )
            received, reset = await everything(url, request.encode(), die)
            assert received.count(b"HTTP/1.") == 1
            assert b" 200 " in received
            assert b"0\r\n\r\n" not in received
            assert b"bad gateway" not in received
            if version == "1.0" and begun == CHUNKED:
                assert reset, "only a reset tells an HTTP/1.0 client of the loss"

    run(test)


@pytest.mark.parametrize("begun", [CHUNKED, WITH_LENGTH])
def test_clients_take_a_cut_connection_for_a_failure(begun: bytes) -> None:
    async def dies(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(begun)
        await writer.drain()

    async def test() -> None:
        async with (
            raw_server(dies) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(headers=USER) as client,
        ):
            with pytest.raises(aiohttp.ClientError):
                async with client.get(f"{url}/nb/x") as answer:
                    await answer.read()

    run(test)


def test_server_that_dies_before_it_answers_is_a_bad_gateway() -> None:
    async def dies(reader: Reader, _: Writer) -> None:
        await read_request(reader)

    async def test() -> None:
        async with (
            raw_server(dies) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(headers=USER) as client,
        ):
            for method in ("GET", "POST"):
                answer = await client.request(method, f"{url}/nb/x", data=b"x")
                assert answer.status == 502

    run(test)


def test_body_is_not_risked_on_a_connection_that_the_server_closes() -> None:
    """A server may close an idle connection just as a request is sent on it."""

    async def once(reader: Reader, writer: Writer) -> None:
        head = await read_request(reader)
        if b"Content-Length" in head:
            await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        await reader.read(1)

    async def test() -> None:
        async with (
            raw_server(once) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(headers=USER) as client,
        ):
            for _ in range(5):
                assert (await client.get(f"{url}/nb/x")).status == 200
                answer = await client.post(f"{url}/nb/x", data=b"body")
                assert answer.status == 200

    run(test)


# --- WebSockets ----------------------------------------------------------


async def websocket_echo(request: web.Request) -> web.WebSocketResponse:
    """Echo messages; a message ``close CODE REASON`` closes."""
    protocols = ("v1.kernel.websocket.jupyter.org",)
    ws = web.WebSocketResponse(autoping=False, protocols=protocols, max_msg_size=0)
    await ws.prepare(request)
    await ws.send_json(dict(request.headers))
    async for message in ws:
        match message.type:
            case WSMsgType.TEXT if message.data.startswith("close "):
                _, code, reason = message.data.split(" ", 2)
                await ws.close(code=int(code), message=reason.encode())
            case WSMsgType.TEXT if message.data == "die":
                assert request.transport is not None
                request.transport.abort()
            case WSMsgType.PING:
                await ws.send_str(f"ping {message.data.decode()}")
                await ws.pong(message.data)
            case _:
                await ws.send_frame(
                    message.data.encode()
                    if isinstance(message.data, str)
                    else message.data,
                    message.type,
                )
    request.app[CLOSED].put_nowait(ws.close_code)
    return ws


CLOSED = web.AppKey("closed", asyncio.Queue[int | None])


@asynccontextmanager
async def websocket(
    *, autoping: bool = True
) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, asyncio.Queue[int | None]]]:
    app = web.Application()
    closed = app[CLOSED] = asyncio.Queue()
    app.router.add_get("/nb/user/rachel/ws", websocket_echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with (
        ingress(hub=f"http://{host}:{port}") as url,
        aiohttp.ClientSession(headers=USER) as client,
    ):
        ws = await client.ws_connect(
            f"{url}/nb/user/rachel/ws",
            protocols=["unknown", "v1.kernel.websocket.jupyter.org"],
            autoping=autoping,
            max_msg_size=0,
            compress=15,
        )
        yield ws, closed
    await runner.cleanup()


def test_websocket_messages_pass_both_ways() -> None:
    async def test() -> None:
        async with websocket() as (ws, _):
            assert ws.protocol == "v1.kernel.websocket.jupyter.org"
            headers = await ws.receive_json()
            assert headers["X-Auth-Request-User"] == "rachel"
            assert "Authorization" not in headers
            assert "X-Auth-Request-Token" not in headers, "a lab is not a hub"
            await ws.send_str("grüß dich")
            assert await ws.receive_str() == "grüß dich"
            await ws.send_bytes(bytes(range(256)))
            assert await ws.receive_bytes() == bytes(range(256))
            await ws.send_str("")
            assert await ws.receive_str() == ""
            large = bytes(17 * MEGABYTE)
            await ws.send_bytes(large)
            assert await ws.receive_bytes() == large

    run(test)


def test_websocket_pings_go_through_to_the_server() -> None:
    async def test() -> None:
        async with websocket(autoping=False) as (ws, _):
            await ws.receive_json()
            await ws.ping(b"are you there")
            assert await ws.receive_str() == "ping are you there"
            message = await ws.receive()
            assert (message.type, message.data) == (WSMsgType.PONG, b"are you there")

    run(test)


def test_websocket_is_closed_by_the_server_with_its_code_and_reason() -> None:
    async def test() -> None:
        async with websocket() as (ws, closed):
            await ws.receive_json()
            await ws.send_str("close 4003 kernel is gone")
            message = await ws.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 4003)
            assert message.extra == "kernel is gone"
            assert await closed.get() == 1000, "the client's answer has not arrived"

    run(test)


def test_websocket_is_closed_by_the_client_with_its_code() -> None:
    async def test() -> None:
        async with websocket() as (ws, closed):
            await ws.receive_json()
            await ws.close(code=4001, message=b"tab closed")
            assert await closed.get() == 4001
            assert ws.close_code == 1000, "the server's answer has not arrived"

    run(test)


def test_websocket_of_a_dying_server_ends_without_a_close() -> None:
    async def test() -> None:
        async with websocket() as (ws, _):
            await ws.receive_json()
            await ws.send_str("die")
            message = await ws.receive()
            assert message.type is WSMsgType.CLOSED
            assert ws.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE

    run(test)


def test_websocket_of_a_dying_client_ends_the_servers_without_a_close() -> None:
    async def test() -> None:
        async with websocket() as (ws, closed):
            await ws.receive_json()
            ws._response.close()
            assert await closed.get() in (None, 1006)

    run(test)


def test_refused_websocket_keeps_its_status() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=404)

    async def test() -> None:
        async with (
            hub_app(web.get("/nb/ws", refuse)) as hub,
            ingress(hub=hub) as url,
            aiohttp.ClientSession(headers=USER) as client,
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(f"{url}/nb/ws")
            assert refused.value.status == 404

    run(test)


# --- Size ----------------------------------------------------------------


def peak_kilobytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0])


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(MEGABYTE)


async def count_bytes(content: aiohttp.StreamReader) -> int:
    return sum([len(piece) async for piece in content.iter_any()])


async def upload(request: web.Request) -> web.Response:
    return web.Response(text=str(await count_bytes(request.content)))


async def download(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    if request.query:
        answer.content_length = SIZE
    await answer.prepare(request)
    async for piece in pieces(SIZE // MEGABYTE):
        await answer.write(piece)
    return answer


SIZE = 100 * MEGABYTE


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_large_bodies_take_no_memory() -> None:
    async def move(client: aiohttp.ClientSession, url: str) -> None:
        for headers in ({}, {"Content-Length": str(SIZE)}):
            data = pieces(SIZE // MEGABYTE)
            async with client.put(url, data=data, headers=headers) as sent:
                assert await sent.text() == str(SIZE)
        for query in ("", "?length=1"):
            async with client.get(url + query) as got:
                assert await count_bytes(got.content) == SIZE

    async def test() -> None:
        routes = [web.put("/nb/file", upload), web.get("/nb/file", download)]
        async with (
            hub_app(*routes) as hub,
            aiohttp.ClientSession(headers=USER) as client,
        ):
            sandbox = SandboxProcess("--hub-url", hub)
            endpoints = await asyncio.to_thread(sandbox.start)
            try:
                url = f"{endpoints.ingress}/nb/file"
                assert (await client.put(url, data=b"x")).status == 200
                before = peak_kilobytes(sandbox.pid)
                await move(client, url)
                assert peak_kilobytes(sandbox.pid) - before < 16 * 1024
            finally:
                await asyncio.to_thread(sandbox.stop)

    run(test)
