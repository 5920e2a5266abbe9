"""What is wrong, since when, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.models.domain.job import JobState
from nublado.models.domain.problem import Finding, ProblemKind
from nublado.models.domain.runbook import Runbook
from nublado.services.alerts import Alerts
from nublado.services.checks.systems import fails, is_slow, jobs_fail, nodes_lost
from nublado.services.checks.work import (
    labs_die,
    near_limit,
    prepulling_is_stuck,
    spawns_fail,
)
from nublado.services.health import Health
from nublado.services.history import History
from nublado.services.observed.lost_nodes import lost_node
from nublado.services.prepuller import StuckPull
from nublado.storage.traffic import Traffic

_RUNBOOK = Runbook("https://data.example.org/nublado/runbook")
_HEADLINE = ProblemKind.REGISTRY.headline


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Patient:
    """Something that is wrong, or not."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.finding: Finding | None = None
        self.alerts = Alerts("test")
        self.health = Health(
            {ProblemKind.REGISTRY: lambda: self.finding},
            self.alerts,
            _RUNBOOK,
            settled=30.0,
            clock=self.clock,
        )

    def events(self) -> list[str]:
        with capture_logs() as log:
            self.health.report()
        return [line["event"] for line in log]


def test_beginning_and_end_are_reported_once() -> None:
    patient = Patient()
    assert (patient.events(), patient.health.problems()) == ([], ())
    patient.finding = Finding("it is away")
    assert patient.events() == [_HEADLINE]
    assert patient.events() == []
    (problem,) = patient.health.problems()
    assert (problem.kind, problem.cause) == (ProblemKind.REGISTRY, "it is away")
    assert patient.alerts.recent()[0].event == _HEADLINE
    patient.finding = None
    # It is over at once for whoever looks, but told so only once that lasts.
    assert (patient.events(), patient.health.problems()) == ([], ())
    patient.clock.now += 31
    assert patient.events() == [f"Over: {_HEADLINE}"]
    assert patient.events() == []


def test_who_is_told_of_a_problem_is_told_what_to_do() -> None:
    patient = Patient()
    patient.finding = Finding("it is away")
    with capture_logs() as log:
        patient.health.report()
    assert log[0]["runbook"] == "https://data.example.org/nublado/runbook#registry"


def test_a_problem_that_returns_soon_has_never_ended() -> None:
    patient = Patient()
    patient.finding = Finding("it is away")
    patient.health.report()
    (before,) = patient.health.problems()
    patient.finding = None
    patient.clock.now += 20
    assert patient.events() == []
    patient.finding = Finding("it is away again")
    patient.clock.now += 20
    assert patient.events() == []
    (after,) = patient.health.problems()
    assert after.since == before.since
    assert after.cause == "it is away again"


def test_a_check_may_know_since_when() -> None:
    patient = Patient()
    since = datetime.now(UTC) - timedelta(hours=1)
    patient.finding = Finding("it is away", since)
    (problem,) = patient.health.problems()
    assert problem.since == since
    assert f"{since:%H:%M:%S} UTC: it is away" in str(problem)


def test_a_check_that_fails_is_a_problem_and_hides_no_other() -> None:
    def broken() -> Finding | None:
        raise ZeroDivisionError

    health = Health(
        {
            ProblemKind.STREAMS: broken,
            ProblemKind.REGISTRY: lambda: Finding("it is away"),
        },
        Alerts("test"),
        _RUNBOOK,
    )
    streams, registry = health.problems()
    assert "ZeroDivisionError" in streams.cause
    assert registry.cause == "it is away"


def test_what_others_alert_of_is_only_logged() -> None:
    alerts = Alerts("test")
    checks = {ProblemKind.JOB_FAILS: lambda: Finding("refresh")}
    health = Health(checks, alerts, _RUNBOOK)
    with capture_logs() as log:
        health.report()
    assert [line["event"] for line in log] == [ProblemKind.JOB_FAILS.headline]
    assert alerts.recent() == ()


# --- Outside systems -----------------------------------------------------


def test_requests_fail_after_three_failures_in_a_row() -> None:
    traffic = Traffic()
    check = fails(traffic)
    traffic.note_failure("create Pod", "status 500")
    traffic.note_failure("create Pod", "status 500")
    assert check() is None
    traffic.note_failure("create Pod", "status 500")
    for _ in range(3):
        traffic.note_failure("list Pod", "status 500")
    finding = check()
    assert finding is not None
    assert finding.cause == (
        "3 requests in a row failed (create Pod),"
        " 3 requests in a row failed (list Pod): status 500"
    )
    traffic.note_success("create Pod", 0.1)
    traffic.note_success("list Pod")
    assert check() is None


def test_two_failures_that_take_long_are_enough() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.note_failure("get Namespace", "no response in time")
    clock.now = 30.0
    assert traffic.streaks() == []
    traffic.note_failure("get Namespace", "no response in time")
    (streak,) = traffic.streaks()
    assert (streak.count, streak.what) == (2, "get Namespace")
    clock.now = 700.0
    assert traffic.streaks() == []


def test_slowness_is_that_of_most_requests_of_now() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    check = is_slow(traffic)
    for seconds in (3.0, 3.0):
        traffic.note_success("get Pod", seconds)
    assert check() is None
    traffic.note_success("get Pod", 3.2)
    finding = check()
    assert finding is not None
    assert finding.cause == "half of its responses take 3.0 s or more"
    for _ in range(4):
        traffic.note_success("get Pod", 0.01)
    assert check() is None
    clock.now = 100.0
    assert traffic.median_seconds(1) is None
    assert traffic.idle_seconds() == 100.0


def test_jobs_that_fail_are_named_with_their_error() -> None:
    moment = datetime.now(UTC)
    jobs = {
        "refresh-images": JobState(moment, 2, moment, "registry is away"),
        "reconcile-labs": JobState(moment),
    }
    finding = jobs_fail(lambda: jobs)()
    assert finding == Finding(
        "refresh-images has failed 2 times: registry is away", moment
    )
    assert jobs_fail(dict)() is None


def test_lost_nodes_are_named_since_when_they_are_lost() -> None:
    def node(name: str, status: str) -> dict[str, object]:
        condition = {
            "type": "Ready",
            "status": status,
            "lastTransitionTime": "2026-01-01T10:00:00Z",
            "message": "Kubelet stopped posting node status.",
        }
        return {"metadata": {"name": name}, "status": {"conditions": [condition]}}

    lost = [lost_node(node("node-1", "Unknown")), lost_node(node("node-2", "False"))]
    assert lost_node(node("node-3", "True")) is None
    finding = nodes_lost(lambda: [n for n in lost if n])()
    assert finding is not None
    assert finding.cause == "node-1, node-2: Kubelet stopped posting node status."
    assert finding.since == datetime(2026, 1, 1, 10, tzinfo=UTC)


# --- Work ----------------------------------------------------------------


def noted(history: History, kind: HistoryKind, *causes: str | None) -> None:
    for number, cause in enumerate(causes):
        history.note(
            HistoryEntry(
                kind=kind,
                username=f"user{number}",
                ended=datetime.now(UTC),
                result=Result.FAILED if cause else Result.SUCCEEDED,
                cause=cause,
                reason=cause and f"{cause} of user{number}",
            )
        )


def test_failed_spawns_are_counted_by_cause() -> None:
    history = History()
    check = spawns_fail(history)
    noted(history, HistoryKind.SPAWN, "quota exceeded")
    assert check() is None
    noted(history, HistoryKind.SPAWN, None, "timed out", "quota exceeded")
    finding = check()
    assert finding is not None
    assert finding.cause == (
        "3 of 4 spawns failed in the last 15 minutes:"
        " quota exceeded, 2 (user2, user0): quota exceeded of user2;"
        " timed out, 1 (user1): timed out of user1"
    )
    noted(history, HistoryKind.SPAWN, None, None, None)
    assert check() is None


def test_few_failures_among_many_spawns_are_no_problem() -> None:
    history = History()
    noted(history, HistoryKind.SPAWN, *[None] * 20, "timed out", "a", "b")
    assert spawns_fail(history)() is None


def test_all_of_two_spawns_is_enough() -> None:
    history = History()
    noted(history, HistoryKind.SPAWN, "timed out", "timed out")
    assert spawns_fail(history)() is not None


def test_labs_die_when_three_have() -> None:
    history = History()
    noted(history, HistoryKind.LAB_RESTARTED, "out-of-memory", "out-of-memory")
    assert labs_die(history)() is None
    noted(history, HistoryKind.LAB_ENDED, "evicted")
    finding = labs_die(history)()
    assert finding is not None
    assert finding.cause.startswith(
        "3 times in the last 15 minutes: out-of-memory, 2 (user1, user0):"
    )


def test_stuck_pulls_are_grouped() -> None:
    moment = datetime(2026, 1, 1, 10, 30, tzinfo=UTC)
    pulls = [
        StuckPull("lab:w_1", "node-1", moment, "not found"),
        StuckPull("lab:w_1", "node-2", moment, "not found"),
    ]
    finding = prepulling_is_stuck(lambda: pulls)()
    assert finding == Finding(
        "lab:w_1 on node-1, node-2 since 10:30 UTC: not found", moment
    )
    assert prepulling_is_stuck(list)() is None


def test_limits_are_near_from_nine_tenths_on() -> None:
    check: Callable[[int], Finding | None] = lambda used: near_limit(  # noqa: E731
        "threads are busy", lambda: used, 64
    )()
    assert check(57) is None
    assert check(58) == Finding("58 of 64 threads are busy")
