"""Watches of the API server, and what can go wrong with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from kubernetes import client, watch

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.kubernetes.conftest import RunningApi

CONFIG_MAPS = "/api/v1/namespaces/lab/configmaps"


class OpenWatch:
    """A watch that is read line by line."""

    def __init__(self, api: RunningApi, query: str, path: str = CONFIG_MAPS) -> None:
        self.pool = urllib3.PoolManager()
        self.response = self.pool.request(
            "GET",
            f"{api.url}{path}?watch=1&{query}",
            preload_content=False,
            timeout=5,
            retries=False,
        )
        self.status = self.response.status
        self._lines = self._read()

    def next(self) -> JSON:
        event: JSON = json.loads(next(self._lines))
        return event

    def rest(self) -> list[JSON]:
        return [json.loads(line) for line in self._lines]

    def close(self) -> None:
        self.response.close()
        self.pool.clear()

    def _read(self) -> Iterator[bytes]:
        buffer = b""
        for chunk in self.response.stream(None):
            buffer += chunk
            *lines, buffer = buffer.split(b"\n")
            yield from lines


@pytest.fixture
def open_watch(api: RunningApi) -> Iterator[Any]:
    opened: list[OpenWatch] = []

    def start(query: str = "", path: str = CONFIG_MAPS) -> OpenWatch:
        opened.append(OpenWatch(api, query, path))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def label(api: RunningApi, name: str, **labels: str) -> None:
    def change(obj: JSON) -> None:
        obj["metadata"]["labels"] = labels

    api.do(lambda store: store.mutate("ConfigMap", "lab", name, change))


def what(event: JSON) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]


def test_official_client_sees_changes(api: RunningApi, core: client.CoreV1Api) -> None:
    api.create("ConfigMap", "old", "lab")
    version = core.list_namespaced_config_map("lab").metadata.resource_version
    api.create("ConfigMap", "new", "lab")
    api.do(lambda store: store.delete("ConfigMap", "lab", "new"))
    events = watch.Watch().stream(
        core.list_namespaced_config_map,
        "lab",
        resource_version=version,
        timeout_seconds=1,
    )
    seen = [(event["type"], event["object"].metadata.name) for event in events]
    assert seen == [("ADDED", "new"), ("DELETED", "new")]


@pytest.mark.parametrize("query", ["", "resourceVersion=0"])
def test_watch_without_version_begins_with_what_there_is(
    api: RunningApi, open_watch: Any, query: str
) -> None:
    api.create("ConfigMap", "old", "lab")
    opened = open_watch(query)
    assert what(opened.next()) == ("ADDED", "old")
    api.create("ConfigMap", "new", "lab")
    event = opened.next()
    assert what(event) == ("ADDED", "new")
    assert event["object"]["kind"] == "ConfigMap"


def test_other_namespaces_are_not_told_of(api: RunningApi, open_watch: Any) -> None:
    api.create("Namespace", "other")
    opened = open_watch()
    api.create("ConfigMap", "theirs", "other")
    api.create("ConfigMap", "ours", "lab")
    assert what(opened.next()) == ("ADDED", "ours")


def test_objects_enter_and_leave_a_selection(api: RunningApi, open_watch: Any) -> None:
    api.create("ConfigMap", "cm", "lab")
    opened = open_watch(f"labelSelector=a%3Db&resourceVersion={api.store.version}")
    label(api, "cm", a="b")
    assert what(opened.next()) == ("ADDED", "cm")
    label(api, "cm", a="b", c="d")
    assert what(opened.next()) == ("MODIFIED", "cm")
    label(api, "cm", a="x")
    left = opened.next()
    assert what(left) == ("DELETED", "cm")
    assert left["object"]["metadata"]["labels"] == {"a": "b", "c": "d"}
    assert left["object"]["metadata"]["resourceVersion"] == str(api.store.version)


def test_single_object_can_be_watched_by_its_own_url(
    api: RunningApi, open_watch: Any
) -> None:
    opened = open_watch(path="/api/v1/watch/namespaces/lab/configmaps/mine")
    api.create("ConfigMap", "other", "lab")
    api.create("ConfigMap", "mine", "lab")
    assert what(opened.next()) == ("ADDED", "mine")


def test_timeout_ends_the_watch_with_a_bookmark(
    api: RunningApi, open_watch: Any
) -> None:
    opened = open_watch("timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=1")
    *_, last = opened.rest()
    assert last["type"] == "BOOKMARK"
    metadata = last["object"]["metadata"]
    assert metadata["resourceVersion"] == str(api.store.version)


def test_bookmarks_come_regularly_if_wanted(api: RunningApi, open_watch: Any) -> None:
    api.faults.watch.bookmark_interval = 0.05
    query = f"timeoutSeconds=1&resourceVersion={api.store.version}"
    with_bookmarks = open_watch(f"{query}&allowWatchBookmarks=1")
    without = open_watch(query)
    assert [with_bookmarks.next()["type"] for _ in range(3)] == ["BOOKMARK"] * 3
    assert without.rest() == []


def test_initial_events_end_with_a_marked_bookmark(
    api: RunningApi, open_watch: Any
) -> None:
    api.create("ConfigMap", "old", "lab")
    opened = open_watch(
        "sendInitialEvents=true&allowWatchBookmarks=true"
        "&resourceVersionMatch=NotOlderThan"
    )
    assert what(opened.next()) == ("ADDED", "old")
    bookmark = opened.next()
    assert bookmark["type"] == "BOOKMARK"
    annotations = bookmark["object"]["metadata"]["annotations"]
    assert annotations == {"k8s.io/initial-events-end": "true"}


def test_expired_version_is_an_error_inside_the_stream(
    api: RunningApi, open_watch: Any
) -> None:
    api.do(lambda store: store.compact())
    opened = open_watch("resourceVersion=1")
    assert opened.status == 200
    (event,) = opened.rest()
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_version_of_the_future_is_refused(api: RunningApi, open_watch: Any) -> None:
    opened = open_watch("resourceVersion=99999")
    assert opened.status == 504
    assert opened.response.headers["Retry-After"] == "1"
    status = json.loads(opened.response.data)
    assert "Too large resource version" in status["message"]
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_tables_describe_their_columns_once(api: RunningApi) -> None:
    api.create("ConfigMap", "a", "lab")
    api.create("ConfigMap", "b", "lab")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    pool = urllib3.PoolManager(headers={"Accept": accept})
    url = f"{api.url}{CONFIG_MAPS}?watch=1&timeoutSeconds=1"
    lines = pool.request("GET", url).data.splitlines()
    tables = [json.loads(line)["object"] for line in lines]
    assert [table["rows"][0]["cells"][0] for table in tables] == ["a", "b"]
    assert tables[0]["columnDefinitions"]
    assert tables[1]["columnDefinitions"] is None


def test_slow_client_is_cut_off_and_holds_up_nobody(
    api: RunningApi, open_watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nublado.sandbox.kubernetes.watching._BACKLOG", 20)
    slow, quick = open_watch(), open_watch()
    big = {"metadata": {"name": "big"}, "data": {"k": "x" * 1_000_000}}
    api.do(lambda store: store.create("ConfigMap", big, "lab"))
    assert what(quick.next()) == ("ADDED", "big")
    for number in range(80):
        label(api, "big", n=str(number))
        assert what(quick.next()) == ("MODIFIED", "big")
    with pytest.raises(urllib3.exceptions.HTTPError):
        slow.rest()


def test_open_watches_are_counted(api: RunningApi, open_watch: Any) -> None:
    opened = [open_watch(), open_watch()]
    assert (api.stats.open_watches, api.stats.watches_peak) == (2, 2)
    for each in opened:
        each.close()
    deadline = time.monotonic() + 60
    while api.stats.open_watches and time.monotonic() < deadline:
        api.request("GET", "/version")
    assert api.stats.open_watches == 0
    assert api.stats.to_json()["watches"]["kinds"]["configmaps"]["peak"] == 2


def test_fault_drops_watches_again_and_again(api: RunningApi, open_watch: Any) -> None:
    opened = open_watch()
    api.faults.from_json({"watch": {"drop_after": 0.1}})
    assert opened.rest() == []
    assert open_watch().rest() == []
    assert api.stats.watches_peak == 1


def test_fault_expires_open_watches(api: RunningApi, open_watch: Any) -> None:
    opened = open_watch()
    api.faults.from_json({"watch": {"expire_after": 0.1, "kinds": ["configmaps"]}})
    (event,) = opened.rest()
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_faults_of_the_start(api: RunningApi, open_watch: Any) -> None:
    version = f"resourceVersion={api.store.version}"
    api.faults.from_json({"watch": {"expire_probability": 1}})
    (event,) = open_watch(version).rest()
    assert event["object"]["code"] == 410
    api.faults.from_json({"watch": {"too_large_probability": 1}})
    assert open_watch(version).status == 504
    api.faults.from_json({"watch": {"too_large_probability": 1, "kinds": ["pods"]}})
    assert open_watch(version).status == 200


def test_silent_watch_stays_open_and_says_nothing(
    api: RunningApi, open_watch: Any
) -> None:
    api.faults.watch.silent = True
    opened = open_watch("timeoutSeconds=1")
    api.create("ConfigMap", "cm", "lab")
    opened.response.connection.sock.settimeout(1.5)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        opened.next()
    api.faults.clear()
    assert what(open_watch().next()) == ("ADDED", "cm")


def test_fault_compacts_at_random(api: RunningApi) -> None:
    start = api.store.version
    api.faults.from_json({"watch": {"compact_every": 0.01}})
    deadline = time.monotonic() + 60
    number = 0
    while time.monotonic() < deadline:
        number += 1
        api.create("ConfigMap", f"cm-{number}", "lab")
        response = OpenWatch(api, f"resourceVersion={start}&timeoutSeconds=1")
        first = response.next()
        response.close()
        if first["type"] == "ERROR":
            return
    pytest.fail("never compacted")
