"""Event streams: reconnecting, joining late, ending."""

from __future__ import annotations

from pathlib import Path

import requests

from nublado.sandbox.demonstration import server_sent_events
from nublado.sandbox.stack import Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for


def ids(response: requests.Response) -> list[str]:
    lines = response.text.splitlines()
    return [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]


def test_headers_and_format(user: User) -> None:
    user.spawn()
    response = user.stream()
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    retry, number, kind, data = response.text.split("\n\n")[0].split("\n")
    assert retry == "retry: 2000"
    assert number.endswith(":1")
    assert kind == "event: info"
    expected = f'{{"message": "Starting lab creation for {user.name}", "progress": 1}}'
    assert data == f"data: {expected}"


def test_reconnecting_brings_what_was_missed(user: User) -> None:
    user.spawn()
    everything = ids(user.stream())
    missed = user.stream(**{"Last-Event-ID": everything[2]})
    assert ids(missed) == everything[3:]
    assert user.stream(**{"Last-Event-ID": everything[-1]}).status_code == 204
    for stale in ("0123456789ab:3", "nonsense", ":", everything[0][:-1] + "²"):
        assert ids(user.stream(**{"Last-Event-ID": stale})) == everything


def test_an_id_of_an_earlier_operation_replays_all(user: User) -> None:
    user.spawn()
    earlier = ids(user.stream())[-1]
    user.delete()
    user.spawn()
    assert len(ids(user.stream(**{"Last-Event-ID": earlier}))) > 5


def test_all_listeners_get_everything(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["sciplat/lab"])
    assert user.create(image_tag="d_2026_11_04").status_code == 201
    early = [user.follow() for _ in range(3)]
    wait_for(lambda: all(any("Back-off" in m for m in e.messages) for e in early))
    stack.control.settings(failing_pulls=[])
    assert all(e.ended.wait(SECONDS) for e in early)
    late = user.follow()
    assert late.ended.wait(SECONDS)
    assert late.kinds[-1] == "complete"
    assert all(e.seen == late.seen for e in early)


def test_head_of_a_stream_does_not_wait(user: User) -> None:
    user.spawn()
    answer = requests.head(f"{user.lab}/events", headers=user.headers, timeout=SECONDS)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")


def test_through_the_ingress(user: User) -> None:
    lab = f"{user.stack.ingress_url}/spawner/v1/labs/{user.name}"
    as_user = {"Authorization": f"bearer gt-{user.name}"}
    forged = {**as_user, "X-Auth-Request-User": "somebody-else"}
    answer = requests.post(
        f"{lab}/create", json=user.specification(), headers=forged, timeout=SECONDS
    )
    assert answer.status_code == 201
    assert answer.headers["Location"] == lab
    stream = requests.get(
        f"{lab}/events", headers=as_user, stream=True, timeout=SECONDS
    )
    kinds = [kind for kind, _ in server_sent_events(stream)]
    assert kinds[-1] == "complete"
    assert requests.delete(lab, headers=as_user, timeout=SECONDS).status_code == 403


def test_streams_take_no_threads_and_each_user_has_a_share(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w+") as log,
        Stack(CONFIG, environ={"NUBLADO_THREADS": "16"}, log=log) as stack,
    ):
        stack.control.settings(failing_pulls=["sciplat/lab"])
        user, other = User(stack, "popular"), User(stack, "other")
        for somebody in (user, other):
            assert somebody.create().status_code == 201
        streams = [user.stream() for _ in range(16)]
        assert {stream.status_code for stream in streams} == {200}
        refused = user.stream()
        assert refused.status_code == 503
        assert refused.json()["detail"][0]["type"] == "unavailable"
        assert int(refused.headers["Retry-After"]) > 0
        others = other.stream()
        assert others.status_code == 200
        pages = [
            requests.get(
                f"{stack.api_url}/admin/v1/events", stream=True, timeout=SECONDS
            )
            for _ in range(20)
        ]
        assert {opened.status_code for opened in pages} == {200}
        assert open_streams(stack) == 37
        for opened in pages:
            opened.close()
        wait_for(lambda: open_streams(stack) == 17)
        others.close()
        assert user.delete().status_code == 204
        assert [ids(stream)[-1] for stream in streams]
        assert user.stream().status_code == 200
        metrics = requests.get(f"{stack.service.url}/metrics", timeout=SECONDS).text
        assert 'nublado_labs{status="running"} 0.0' in metrics
        assert 'nublado_operations{kind="spawn"} 1.0' in metrics
        assert 'nublado_job_failures{name="refresh-images"} 0.0' in metrics


def test_a_client_that_has_gone_is_noticed(stack: Stack, user: User) -> None:
    stack.control.settings(failing_pulls=["sciplat/lab"])
    assert user.create(image_tag="d_2026_11_03").status_code == 201
    before = open_streams(stack)
    streams = [user.stream() for _ in range(5)]
    assert open_streams(stack) == before + 5
    for stream in streams:
        stream.close()
    wait_for(lambda: open_streams(stack) == before)
    assert user.delete().status_code == 204


def open_streams(stack: Stack) -> int:
    metrics = requests.get(f"{stack.service.url}/metrics", timeout=SECONDS).text
    line = next(
        line
        for line in metrics.splitlines()
        if line.startswith("nublado_event_streams ")
    )
    return int(float(line.split()[1]))
