"""Event streams as JupyterHub's spawner and browsers decode them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from nublado.sandbox.stack import Stack
from tests.e2e.browser import start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_LISTEN = """
const [url, kinds] = arguments;
window.received = [];
const source = new EventSource(url);
const note = (event) => window.received.push([event.type, event.data]);
for (const kind of [...kinds, "message"]) source.addEventListener(kind, note);
for (const kind of ["complete", "failed"])
  source.addEventListener(kind, () => source.close());
"""
_KINDS = ["info", "complete", "failed"]


def decode(
    user: User,
    note: Callable[[ServerSentEvent], None],
    *,
    by_ingress: bool = False,
    opened: threading.Event | None = None,
    **headers: str,
) -> None:
    """Decode a stream, straight from the service or as the ingress passes it on."""
    base, own = user.stack.api_url, user.headers
    if by_ingress:
        base = user.stack.ingress_url
        own = {"Authorization": f"Bearer gt-{user.name}"}
    with (
        httpx.Client(timeout=SECONDS) as client,
        connect_sse(
            client,
            "GET",
            f"{base}/spawner/v1/labs/{user.name}/events",
            headers={**own, **headers},
        ) as source,
    ):
        if opened is not None:
            opened.set()
        for event in source.iter_sse():
            note(event)


@pytest.mark.parametrize("by_ingress", [False, True])
def test_httpx_sse_decodes_exactly_the_events(user: User, *, by_ingress: bool) -> None:
    expected = user.spawn().seen
    decoded: list[ServerSentEvent] = []
    decode(user, decoded.append, by_ingress=by_ingress)
    assert [(event.event, event.json()) for event in decoded] == expected
    assert decoded[0].retry == 2000


@pytest.mark.parametrize("by_ingress", [False, True])
def test_httpx_sse_decodes_heartbeats_as_nothing(
    stack: Stack, user: User, *, by_ingress: bool
) -> None:
    stack.control.settings(failing_pulls=["sciplat/lab"])
    assert user.create(image_tag="d_2026_11_02").status_code == 201
    waiting = user.follow()
    wait_for(lambda: any("Back-off" in message for message in waiting.messages))
    number = len(waiting.seen)
    with user.stream() as first:
        ids = (line for line in first.iter_lines() if line.startswith(b"id: "))
        newest = [next(ids) for _ in range(number)][-1].decode().removeprefix("id: ")
    decoded: list[ServerSentEvent] = []
    opened = threading.Event()
    resumed = threading.Thread(
        target=decode,
        args=(user, decoded.append),
        kwargs={
            "by_ingress": by_ingress,
            "opened": opened,
            "Last-Event-ID": newest,
        },
    )
    resumed.start()
    assert opened.wait(SECONDS)
    # Whoever has listened for longer has been sent a heartbeat before.
    with user.stream(**{"Last-Event-ID": newest}) as raw:
        assert next(raw.iter_lines()).startswith(b":")
    stack.control.settings(failing_pulls=[])
    resumed.join(SECONDS)
    assert waiting.ended.wait(SECONDS)
    assert [(e.event, e.json()) for e in decoded] == waiting.seen[number:]
    assert decoded[0].retry == 2000


def test_browsers_decode_exactly_the_events(stack: Stack, user: User) -> None:
    expected = user.spawn().seen
    ingress, prefix = stack.endpoints.ingress, stack.config.path_prefix
    with start_browser() as browser:
        browser.log_in(ingress, user.name, f"{prefix}/docs")
        url = f"{prefix}/spawner/v1/labs/{user.name}/events"
        browser.driver.get(f"{ingress}/")
        browser.driver.execute_script(_LISTEN, url, _KINDS)
        received = "return window.received"
        wait_for(lambda: len(browser.driver.execute_script(received)) >= len(expected))
        decoded = browser.driver.execute_script(received)
    assert [(kind, json.loads(data)) for kind, data in decoded] == expected
