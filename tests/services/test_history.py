"""What is kept of operations that are over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from nublado.events import EventLog, Step
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.history import (
    HistoryEntry,
    HistoryKind,
    Result,
    SpawnPhase,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabOptions, LabState, LabStatus
from nublado.models.domain.resources import LabResources, Resources
from nublado.models.v1.history import dump_history
from nublado.services.history import History
from nublado.services.observed.phases import bytes_pulled, past_spawn, phases


def entry(username: str, image: str = "", age: float = 0.0) -> HistoryEntry:
    return HistoryEntry(
        kind=HistoryKind.SPAWN,
        username=username,
        ended=datetime.now(UTC) - timedelta(seconds=age),
        result=Result.SUCCEEDED,
        image=image,
    )


def test_newest_come_first_and_the_oldest_go() -> None:
    history = History(most_of_user=2)
    for image in "abc":
        history.note(entry("rachel", image))
    history.note(entry("ribbon", "d"))
    assert [e.image for e in history.of("rachel")] == ["c", "b"]
    assert [e.image for e in history.since(60)] == ["d", "c", "b"]
    assert history.of("nobody") == ()


def test_users_of_long_ago_are_forgotten_where_there_are_many() -> None:
    history = History(most=2)
    for username in ("one", "two", "three"):
        history.note(entry(username))
    assert history.of("one") == ()
    assert [e.username for e in history.since(60)] == ["three", "two"]


def test_good_spawns_of_all_users_are_kept_the_newest_first() -> None:
    history = History()
    history.note(entry("rachel", "b", age=20))
    history.note(replace(entry("rachel", "bad", age=10), result=Result.FAILED))
    history.note(replace(entry("rachel", "no"), kind=HistoryKind.DELETION))
    history.note(entry("ribbon", "c", age=5))
    history.recall(entry("mary", "a", age=9999))
    assert [e.image for e in history.spawns()] == ["c", "b", "a"]


def test_since_leaves_out_what_is_older() -> None:
    history = History()
    history.note(entry("rachel", "old", age=61))
    history.note(entry("rachel", "new"))
    assert [e.image for e in history.since(60)] == ["new"]


def test_what_an_earlier_process_did_is_recalled_once() -> None:
    history = History()
    history.recall(entry("rachel", "recalled", age=9999))
    history.recall(entry("rachel", "again", age=9999))
    history.note(entry("rachel", "new"))
    assert [e.image for e in history.of("rachel")] == ["new", "recalled"]


def spawn_log() -> EventLog:
    events = EventLog()
    events.info("Starting", 1, step=Step.ACCEPTED)
    events.info("Created", 30, step=Step.CREATED)
    events.info("Assigned", 40, step=Step.SCHEDULED, reason="Scheduled")
    events.info(
        'Successfully pulled image "lab" in 2s (2s including waiting).'
        " Image size: 4096 bytes.",
        50,
        step=Step.PULLED,
        reason="Pulled",
        container="notebook",
    )
    events.info(
        "Started", 70, step=Step.STARTING, reason="Started", container="notebook"
    )
    events.complete("Done")
    return events


def test_phases_add_up_to_the_whole() -> None:
    events = spawn_log().all()
    first, last = events[0].timestamp, events[-1].timestamp
    found = phases(events, accepted=first - 2, began=first - 1.5, ended=last + 1)
    assert list(found) == [p for p in SpawnPhase if p is not SpawnPhase.CLEARED]
    assert found[SpawnPhase.ACCEPTED] == 0.5
    assert found[SpawnPhase.STARTED] >= 1
    assert abs(sum(found.values()) - (last + 1 - first + 2)) < 0.01
    assert bytes_pulled(events) == 4096


def test_time_until_a_failure_belongs_to_the_phase_that_failed() -> None:
    events = EventLog()
    events.info("Starting", 1, step=Step.ACCEPTED)
    events.info("Created", 30, step=Step.CREATED)
    events.error("No room")
    events.failed("Lab creation failed")
    log = events.all()
    began = log[0].timestamp
    found = phases(log, accepted=began, began=began, ended=log[-1].timestamp + 600)
    assert set(found) == {
        SpawnPhase.ACCEPTED,
        SpawnPhase.CREATED,
        SpawnPhase.SCHEDULED,
    }
    assert 600 <= found[SpawnPhase.SCHEDULED] < 601
    assert bytes_pulled(log) is None


def test_a_spawn_that_never_began_was_accepted_all_the_time() -> None:
    assert phases([], accepted=1.0, began=None, ended=4.0) == {SpawnPhase.ACCEPTED: 3.0}


def test_history_is_shown_with_events_but_without_internals() -> None:
    log = spawn_log().all()
    shown = dump_history(
        "rachel",
        [
            HistoryEntry(
                kind=HistoryKind.SPAWN,
                username="rachel",
                ended=datetime.now(UTC),
                result=Result.SUCCEEDED,
                seconds={SpawnPhase.PULLED: 2.0},
                events=log,
            )
        ],
    )
    (spawn,) = shown["history"]
    assert spawn["seconds"] == {"pulled": 2.0}
    assert spawn["events"][-1]["type"] == "complete"
    assert spawn["events"][2]["reason"] == "Scheduled"


def test_a_spawn_of_the_past_is_told_from_its_pod() -> None:
    user = UserInfo("rachel", 1000, 1000)
    state = LabState(
        user=user,
        options=LabOptions(image="lab:w_1", size="small"),
        status=LabStatus.RUNNING,
        internal_url=None,
        resources=LabResources(Resources(1, 1), Resources(1, 1)),
    )
    pod: JSON = {
        "metadata": {"name": "nb", "creationTimestamp": "2026-01-01T10:00:00Z"},
        "spec": {"nodeName": "node-1"},
        "status": {
            "conditions": [
                {"type": "PodScheduled", "lastTransitionTime": "2026-01-01T10:00:05Z"}
            ],
            "initContainerStatuses": [
                {
                    "name": "inithome",
                    "state": {"terminated": {"finishedAt": "2026-01-01T10:00:15Z"}},
                }
            ],
            "containerStatuses": [
                {
                    "name": "notebook",
                    "state": {"running": {"startedAt": "2026-01-01T10:00:35Z"}},
                }
            ],
        },
    }
    spawn = past_spawn(state, pod)
    assert spawn is not None
    assert spawn.seconds == {
        SpawnPhase.SCHEDULED: 5.0,
        SpawnPhase.PREPARED: 10.0,
        SpawnPhase.STARTED: 20.0,
    }
    assert spawn.fetched is None
    assert (spawn.image, spawn.size, spawn.node) == ("lab:w_1", "small", "node-1")
    assert spawn.total_seconds == 35.0
    pod["status"]["containerStatuses"][0]["state"] = {}
    assert past_spawn(state, pod) is None
