"""The spawner's conversation with a controller that answers as a test wants it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from nublado.jupyterhub.controller import (
    Controller,
    LabStatus,
    RefusedError,
    UnavailableError,
    make_http_client,
)
from nublado.jupyterhub.progress import ProgressLog
from nublado.jupyterhub.spawning import LabFailedError, LabSpawn, delete_lab
from tests.scripted_server import Reply, ScriptedServer

T = TypeVar("T")

_LAB = "/nublado/spawner/v1/labs/rachel"
_URL = "http://lab.userlabs-rachel:8888/nb/user/rachel/"
_OPTIONS = {"image_class": ["recommended"], "size": ["small"]}
_ENV = {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/"}

CREATED = Reply(201, b"null")
GONE = Reply(
    404, b'{"detail": [{"type": "unknown_user", "msg": "Unknown user rachel"}]}'
)
STARTING = Reply(503, b"", {"Retry-After": "0"})
NO_MORE = Reply(204)


def state(status: str) -> Reply:
    url = _URL if status == "running" else None
    return Reply(200, json.dumps({"status": status, "internal_url": url}).encode())


def events(*kinds: str, operation: str = "a", first: int = 1) -> Reply:
    """A stream, which ends as a stopping controller ends it, or with its last event.

    A heartbeat and ``retry`` are in blocks of their own, as some servers write them.
    """
    blocks = ["retry: 2000\n\n", ": still here\n\n"]
    for number, text in enumerate(kinds, first):
        kind, _, message = text.partition(" ")
        data = json.dumps({"message": message or kind, "progress": 10 * number})
        blocks.append(f"id: {operation}:{number}\nevent: {kind}\ndata: {data}\n\n")
    headers = {"Content-Type": "text/event-stream; charset=utf-8"}
    return Reply(200, "".join(blocks).encode(), headers)


def problem(status: int, kind: str, message: str) -> Reply:
    detail = [{"type": kind, "msg": message, "loc": ["body", "options", "size"]}]
    return Reply(status, json.dumps({"detail": detail}).encode())


class Conversation:
    """One spawn against a controller with prepared answers."""

    def __init__(self, outside: ScriptedServer) -> None:
        self.outside = outside
        self.progress = ProgressLog()

    def run(self, *answers: Reply) -> str:
        self.outside.replies.extend(answers)
        return self.talk(self._spawn)

    def talk(self, talk: Callable[[Controller], Awaitable[T]]) -> T:
        async def run() -> T:
            async with make_http_client() as http, asyncio.timeout(60):
                url = f"{self.outside.url}/nublado"
                return await talk(Controller(url, lambda: "hub-token", http))

        return asyncio.run(run())

    def requests(self) -> list[str]:
        return [
            f"{request.method} {request.path.removeprefix(_LAB)}".strip()
            for request in self.outside.received
        ]

    def messages(self) -> list[str]:
        self.progress.close()

        async def collect() -> list[str]:
            return [str(step["message"]) async for step in self.progress.follow()]

        return asyncio.run(collect())

    def _spawn(self, controller: Controller) -> Awaitable[str]:
        log = logging.getLogger("test")
        spawn = LabSpawn(controller, "rachel", "user-token", self.progress, log)
        return spawn.run(_OPTIONS, _ENV)


@pytest.fixture
def spawn(outside: ScriptedServer) -> Conversation:
    return Conversation(outside)


def test_spawn(spawn: Conversation) -> None:
    url = spawn.run(CREATED, events("info", "complete ready"), state("running"))
    assert url == _URL
    assert spawn.requests() == ["POST /create", "GET /events", "GET"]
    create, stream, asked = spawn.outside.received
    assert json.loads(create.body) == {"options": _OPTIONS, "env": _ENV}
    assert create.headers["authorization"] == "Bearer user-token"
    assert stream.headers["authorization"] == "Bearer user-token"
    assert asked.headers["authorization"] == "Bearer hub-token"
    assert spawn.messages() == ["info", "ready"]


def test_broken_stream_is_resumed(spawn: Conversation) -> None:
    spawn.run(
        CREATED,
        events("info one", "info two"),
        state("pending"),
        Reply(drop=True),
        state("pending"),
        events("info three", "complete ready", first=3),
        state("running"),
    )
    streams = [r for r in spawn.outside.received if r.path.endswith("/events")]
    last_ids = [stream.headers.get("last-event-id") for stream in streams]
    assert last_ids == [None, "a:2", "a:2"]
    expected = ["one", "two", "Waiting for the lab controller", "three", "ready"]
    assert spawn.messages() == expected


def test_another_operation_takes_the_spawn_over(spawn: Conversation) -> None:
    spawn.run(
        CREATED,
        events("info one", "info two"),
        STARTING,
        state("pending"),
        events("info monitoring", "complete ready", operation="b"),
        state("running"),
    )
    assert spawn.messages()[-2:] == ["monitoring", "ready"]


def test_digests_are_left_out_of_messages(spawn: Conversation) -> None:
    """They are longer than the page is wide."""
    text = f'Pulling image "example.org/lab:w_2026_46@sha256:{"0123abcd" * 8}"'
    spawn.run(CREATED, events(f"info {text}", "complete ready"), state("running"))
    assert spawn.messages()[0] == 'Pulling image "example.org/lab:w_2026_46"'


def test_percentage_never_goes_back(spawn: Conversation) -> None:
    spawn.run(
        CREATED,
        events("info", "info", "info"),
        state("pending"),
        events("info", "complete", operation="b"),
        state("running"),
    )
    spawn.progress.close()

    async def collect() -> list[int]:
        return [int(step["progress"]) async for step in spawn.progress.follow()]

    assert asyncio.run(collect()) == [10, 20, 30, 30, 90]


def test_completed_deletion_is_not_a_started_lab(spawn: Conversation) -> None:
    """After a crash the controller removes what cannot be completed."""
    url = spawn.run(
        CREATED,
        events("info one"),
        state("terminating"),
        events("info Shutting down", "complete deleted", operation="b"),
        GONE,
        CREATED,
        events("complete ready", operation="c"),
        state("running"),
    )
    assert url == _URL
    assert spawn.requests().count("POST /create") == 2


def test_lost_spawn_is_asked_for_once_more(spawn: Conversation) -> None:
    url = spawn.run(
        CREATED,
        Reply(drop=True),
        GONE,
        CREATED,
        events("complete ready"),
        state("running"),
    )
    assert url == _URL
    asked_again = "The lab controller was interrupted; asking once more"
    assert asked_again in spawn.messages()


def test_failed_lab_says_why(spawn: Conversation) -> None:
    stream = events("info one", "error no such image", "failed Lab spawn failed")
    with pytest.raises(LabFailedError, match=r"^no such image$"):
        spawn.run(CREATED, stream, state("failed"))


def test_cancelled_lab_is_not_asked_for_again(spawn: Conversation) -> None:
    stream = events("info one", "failed Operation cancelled")
    with pytest.raises(LabFailedError, match="Operation cancelled"):
        spawn.run(CREATED, stream, GONE)


def test_failure_after_an_interruption_is_final_the_second_time(
    spawn: Conversation,
) -> None:
    failure = ("error broken", "failed Lab spawn failed")
    with pytest.raises(LabFailedError, match="broken"):
        spawn.run(
            CREATED,
            events("info one"),
            state("pending"),
            events(*failure, operation="b"),
            state("failed"),
            CREATED,
            events(*failure, operation="c"),
            state("failed"),
        )


def test_stream_that_has_ended_is_followed_by_state(spawn: Conversation) -> None:
    """The watch of pods may be a moment behind the events."""
    url = spawn.run(
        CREATED, events("complete"), state("pending"), NO_MORE, state("running")
    )
    assert url == _URL


@pytest.mark.parametrize(
    "outage",
    [STARTING, Reply(502, b"<html>"), Reply(504), Reply(drop=True)],
    ids=["starting", "bad-gateway", "gateway-timeout", "dropped"],
)
def test_create_is_repeated_in_an_outage(spawn: Conversation, outage: Reply) -> None:
    answers = (outage, outage, CREATED, events("complete"), state("running"))
    assert spawn.run(*answers) == _URL
    assert spawn.requests().count("POST /create") == 3
    assert spawn.messages().count("Waiting for the lab controller") == 1


def test_state_is_asked_for_until_it_is_known(spawn: Conversation) -> None:
    answers = (STARTING, Reply(200, b"<html>"), Reply(404, b"no backend"))
    with pytest.raises(RefusedError, match="answered 404"):
        spawn.run(CREATED, events("complete"), *answers)


@pytest.mark.parametrize("kind", ["lab_exists", "operation_in_progress"])
def test_earlier_lab_is_replaced(spawn: Conversation, kind: str) -> None:
    url = spawn.run(
        problem(409, kind, "Lab already exists for rachel"),
        problem(500, "delete_failed", "Failed to delete lab"),
        Reply(204),
        CREATED,
        events("complete"),
        state("running"),
    )
    assert url == _URL
    expected = ["POST /create", "DELETE", "DELETE", "POST /create"]
    assert spawn.requests()[:4] == expected
    assert spawn.outside.received[1].headers["authorization"] == "Bearer hub-token"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            problem(403, "insufficient_quota", "Insufficient quota"),
            "Insufficient quota",
        ),
        (problem(422, "invalid_lab_size", "Invalid lab size"), "Invalid lab size"),
        (problem(401, "invalid_token", "User token is invalid"), "login has expired"),
        (problem(503, "maintenance", "Back at noon."), "Back at noon"),
        (Reply(403, b"exec:notebook is needed"), "answered 403"),
        (Reply(302, b"", {"Location": "/login"}), "answered 302"),
    ],
    ids=["quota", "size", "token", "maintenance", "scope", "redirect"],
)
def test_refusal_becomes_words(spawn: Conversation, answer: Reply, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        spawn.run(answer)
    assert spawn.requests() == ["POST /create"]


def test_nothing_can_be_made_of_a_stream(spawn: Conversation) -> None:
    """A login page or a broken event is an outage, not the end of a spawn."""
    headers = {"Content-Type": "text/event-stream"}
    url = spawn.run(
        CREATED,
        Reply(200, b"<html>", {"Content-Type": "text/html"}),
        state("pending"),
        Reply(200, b"id: a:1\nevent: info\ndata: nonsense\n\n", headers),
        state("running"),
    )
    assert url == _URL


@pytest.mark.parametrize("status", list(LabStatus))
def test_states(spawn: Conversation, status: LabStatus) -> None:
    spawn.outside.replies.append(state(status))
    lab = spawn.talk(lambda controller: controller.state("rachel"))
    assert lab is not None
    assert lab.status is status


@pytest.mark.parametrize(
    "answer",
    [Reply(503), Reply(drop=True), Reply(200, b"{}"), Reply(200, b"[]")],
    ids=["unavailable", "dropped", "no-state", "no-object"],
)
def test_state_that_is_not_known(spawn: Conversation, answer: Reply) -> None:
    spawn.outside.replies.append(answer)
    with pytest.raises(UnavailableError):
        spawn.talk(lambda controller: controller.state("rachel"))


def test_no_lab(spawn: Conversation) -> None:
    spawn.outside.replies.extend((GONE, GONE))
    assert spawn.talk(lambda controller: controller.state("rachel")) is None
    spawn.talk(lambda controller: delete_lab(controller, "rachel"))


def test_missing_route_is_not_a_missing_lab(spawn: Conversation) -> None:
    """What stands before the controller may answer 404 as well."""
    spawn.outside.default = Reply(404, b"default backend - 404")
    with pytest.raises(RefusedError):
        spawn.talk(lambda controller: controller.state("rachel"))


def test_deletion_is_repeated_until_it_works(spawn: Conversation) -> None:
    conflict = problem(409, "operation_in_progress", "Conflicting operation")
    answers = (Reply(drop=True), STARTING, conflict, Reply(204))
    spawn.outside.replies.extend(answers)
    spawn.talk(lambda controller: delete_lab(controller, "rachel"))
    assert spawn.requests() == ["DELETE"] * 4


def test_cancelled_request_is_not_forgotten(spawn: Conversation) -> None:
    """A lab may come of it, which has to be deleted then."""
    spawn.outside.default = CREATED

    async def cancel(controller: Controller) -> list[bool]:
        log = logging.getLogger("test")
        lab = LabSpawn(controller, "rachel", "token", spawn.progress, log)
        starting = asyncio.ensure_future(lab.run(_OPTIONS, _ENV))
        while not lab.is_being_requested:
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        was_requested = lab.is_being_requested
        await lab.requested()
        return [was_requested, lab.is_being_requested]

    assert spawn.talk(cancel) == [True, False]
    assert spawn.requests() == ["POST /create"]


def test_listeners_of_progress() -> None:
    """Each is told everything, as it comes, whenever it began to listen."""

    async def listen() -> list[list[str]]:
        progress = ProgressLog()

        async def collect() -> list[str]:
            return [str(step["message"]) async for step in progress.follow()]

        progress.add("one", 10)
        early = asyncio.ensure_future(collect())
        await asyncio.sleep(0)
        progress.add("two")
        late = asyncio.ensure_future(collect())
        await asyncio.sleep(0)
        progress.add("three", 20)
        progress.close()
        return [*await asyncio.gather(early, late), await collect()]

    assert asyncio.run(listen()) == [["one", "two", "three"]] * 3


def test_form_is_asked_for_as_its_reader_needs_it(spawn: Conversation) -> None:
    spawn.outside.default = Reply(200, b"<p>form</p>")
    form = spawn.talk(
        lambda controller: controller.lab_form(
            "rachel", "user-token", languages="fr, en;q=0.5", nonce="PLpN3YqVQw0Bz9J0d"
        )
    )
    assert form == "<p>form</p>"
    (request,) = spawn.outside.received
    assert request.path == "/nublado/spawner/v1/lab-form/rachel"
    assert request.headers["authorization"] == "Bearer user-token"
    assert request.headers["accept-language"] == "fr, en;q=0.5"
    assert request.headers["x-csp-nonce"] == "PLpN3YqVQw0Bz9J0d"


def test_form_needs_neither_nonce_nor_languages(spawn: Conversation) -> None:
    spawn.outside.default = Reply(200, b"<p>form</p>")
    spawn.talk(lambda controller: controller.lab_form("rachel", "user-token"))
    (request,) = spawn.outside.received
    assert request.path == "/nublado/spawner/v1/lab-form/rachel"
    assert "x-csp-nonce" not in request.headers
    assert "accept-language" not in request.headers


@pytest.mark.parametrize(
    ("options", "query"),
    [
        (
            {"image_dropdown": ["example.org/lab:w_2026_47"], "size": ["small"]},
            "?image_dropdown=example.org%2Flab%3Aw_2026_47&size=small",
        ),
        ({"size": "large", "enable_debug": "true"}, "?size=large&enable_debug=true"),
        ({"size": ["small", "large"], "secret": "xyzzy", "enable_debug": True}, ""),
    ],
)
def test_form_is_told_what_was_chosen_last(
    spawn: Conversation, options: dict[str, object], query: str
) -> None:
    spawn.outside.default = Reply(200, b"<p>form</p>")
    spawn.talk(
        lambda controller: controller.lab_form(
            "rachel", "user-token", last_choice=options
        )
    )
    (request,) = spawn.outside.received
    assert request.path == f"/nublado/spawner/v1/lab-form/rachel{query}"
