"""Event streams as JupyterHub's spawner and browsers decode them."""

from __future__ import annotations

import json
import threading
from typing import Any

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


class Decoder:
    """Decodes a stream, straight from the service or as the ingress passes it on.

    It is open once this has been made.
    """

    def __init__(self, user: User, *, by_ingress: bool, **headers: str) -> None:
        stack = user.stack
        base = stack.ingress_url if by_ingress else stack.api_url
        own = (
            {"Authorization": f"Bearer gt-{user.name}"} if by_ingress else user.headers
        )
        self.decoded: list[ServerSentEvent] = []
        self._url = f"{base}/spawner/v1/labs/{user.name}/events"
        self._headers = {**own, **headers}
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._decode, daemon=True)
        self._thread.start()
        assert self._opened.wait(SECONDS)

    def events(self) -> list[tuple[str, Any]]:
        """Wait for the end of the stream; return what was in it."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        return [(event.event, event.json()) for event in self.decoded]

    def _decode(self) -> None:
        with (
            httpx.Client(timeout=SECONDS) as client,
            connect_sse(client, "GET", self._url, headers=self._headers) as source,
        ):
            self._opened.set()
            self.decoded.extend(source.iter_sse())


@pytest.mark.parametrize("by_ingress", [False, True])
def test_httpx_sse_decodes_exactly_the_events(user: User, *, by_ingress: bool) -> None:
    expected = user.spawn().seen
    decoder = Decoder(user, by_ingress=by_ingress)
    assert decoder.events() == expected
    assert decoder.decoded[0].retry == 2000


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
    resumed = Decoder(user, by_ingress=by_ingress, **{"Last-Event-ID": newest})
    whole = Decoder(user, by_ingress=by_ingress)
    # One comes at once, for there is nothing else; whoever has listened for longer
    # has been sent one before the next.
    with user.stream(**{"Last-Event-ID": newest}) as raw:
        lines = raw.iter_lines()
        for _ in range(2):
            assert next(lines).startswith(b":")
    stack.control.settings(failing_pulls=[])
    assert waiting.ended.wait(SECONDS)
    assert resumed.events() == waiting.seen[number:]
    assert resumed.decoded[0].retry == 2000
    assert whole.events() == waiting.seen


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
