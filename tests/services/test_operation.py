"""How operations end, and what a pool does with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from nublado.exceptions import (
    KubernetesError,
    OperationTimeoutError,
    ServiceUnavailableError,
)
from nublado.models.domain.failure import Cause, Failure
from nublado.models.domain.history import HistoryKind, Result
from nublado.services.alerts import Alerts
from nublado.services.history import History
from nublado.services.operation import Operation, OperationKind, OperationPool
from tests.waiting import wait_for


class Work(Operation[str]):
    """Something that is done, as the test says."""

    kind = OperationKind.SPAWN
    noted_as = HistoryKind.SPAWN
    title = "Work"
    timed_as = "Work"
    epitaph = "Work failed"

    def __init__(
        self, perform: Callable[[Work], str], *, resumable: bool = True
    ) -> None:
        self.alerts = Alerts("test")
        self.history = History()
        super().__init__(
            "rachel",
            alerts=self.alerts,
            history=self.history,
            seconds=60,
            resumable=resumable,
        )
        self._perform = perform
        self.begun = threading.Event()
        self.calls: list[object] = []

    def perform(self) -> str:
        self.begun.set()
        return self._perform(self)

    def succeed(self, result: str) -> None:
        self.calls.append(result)
        self.events.complete("Done")

    def fail(self, failure: Failure) -> None:
        # Nobody has heard of the failure before it is on record.
        assert not self.events.closed
        self.calls.append(failure.cause)

    def give_up(self) -> None:
        self.calls.append("given up")

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.type.value, event.message) for event in self.events.all()]


def hang(work: Work) -> str:
    work.timeout.sleep(60)
    return "never"


def raising(error: Exception) -> Callable[[Work], str]:
    def perform(_: Work) -> str:
        raise error

    return perform


@pytest.fixture
def pool() -> Iterator[OperationPool]:
    pool = OperationPool("test")
    yield pool
    pool.close()
    pool.stop(time.monotonic())


def test_success(pool: OperationPool) -> None:
    work = Work(lambda _: "result")
    assert pool.submit(work)
    assert work.wait(60)
    assert (work.succeeded, work.failure, work.calls) == (True, None, ["result"])
    assert work.told == [("complete", "Done")]
    (entry,) = work.history.of("rachel")
    assert (entry.kind, entry.result) == (HistoryKind.SPAWN, Result.SUCCEEDED)
    assert [event.message for event in entry.events] == ["Done"]


def test_request_id_runs_through_the_operation(pool: OperationPool) -> None:
    def perform(_: Work) -> str:
        structlog.get_logger("test").info("At work")
        return "result"

    with structlog.contextvars.bound_contextvars(request_id="request-1"):
        work = Work(perform)
    with capture_logs([structlog.contextvars.merge_contextvars]) as log:
        pool.submit(work)
        assert work.wait(60)
    lines = {line["event"]: line for line in log}
    assert lines["At work"]["request_id"] == "request-1"
    assert lines["Work ended"]["request_id"] == "request-1"
    assert lines["Work ended"]["result"] == "succeeded"
    assert work.history.of("rachel")[0].request_id == "request-1"


@pytest.mark.parametrize(
    ("error", "cause", "text"),
    [
        (
            KubernetesError("Error creating object", kind="Pod", status=400),
            Cause.REFUSED,
            "Error creating object (Pod, status 400)",
        ),
        (
            OperationTimeoutError("Work", 60.0),
            Cause.TIMED_OUT,
            "Work timed out after 60.0",
        ),
        (ZeroDivisionError("gt-secret.token"), Cause.INTERNAL, "Internal error"),
    ],
)
def test_failure(
    pool: OperationPool, error: Exception, cause: Cause, text: str
) -> None:
    work = Work(raising(error))
    pool.submit(work)
    assert work.wait(60)
    assert not work.succeeded
    assert work.failure is not None
    assert (work.failure.cause, work.failure.error) == (cause, error)
    assert work.calls == [cause]
    assert work.told == [("error", text), ("failed", "Work failed")]
    (entry,) = work.history.of("rachel")
    assert (entry.result, entry.cause, entry.reason) == (
        Result.FAILED,
        cause.value,
        text,
    )
    (reported,) = work.alerts.recent()
    assert (reported.event, reported.user) == ("Work failed", "rachel")


def test_cancellation(pool: OperationPool) -> None:
    work = Work(hang)
    pool.submit(work)
    assert work.begun.wait(60)
    work.cancel()
    # Listeners hear of it at once, whatever the operation is waiting for.
    assert work.told == [("failed", "Operation cancelled")]
    assert work.wait(60)
    assert (work.succeeded, work.failure, work.calls) == (False, None, ["given up"])
    assert work.history.of("rachel")[0].result is Result.CANCELLED
    assert work.alerts.recent() == ()


def test_a_pool_that_closes_abandons_what_another_process_can_resume(
    pool: OperationPool,
) -> None:
    work = Work(hang)
    pool.submit(work)
    assert work.begun.wait(60)
    pool.close()
    assert work.wait(60)
    # Listeners get no last event, so that they reconnect.
    assert (work.abandoned, work.told, work.events.closed) == (True, [], True)
    assert work.calls == []
    with pytest.raises(ServiceUnavailableError):
        work.check_abandoned()


def test_a_pool_that_closes_lets_others_go_on_until_they_can_be_resumed(
    pool: OperationPool,
) -> None:
    go_on = threading.Event()

    def perform(work: Work) -> str:
        assert go_on.wait(60)
        work.mark_resumable()
        return hang(work)

    work = Work(perform, resumable=False)
    pool.submit(work)
    assert work.begun.wait(60)
    pool.close()
    assert not work.wait(0)
    go_on.set()
    assert work.wait(60)
    assert (work.abandoned, work.succeeded) == (True, False)


def test_a_closed_pool_takes_nothing(pool: OperationPool) -> None:
    pool.close()
    work = Work(lambda _: "result")
    assert not pool.submit(work)
    assert (work.wait(0), work.abandoned, work.calls) == (True, True, [])


def test_operations_wait_at_the_gate_until_it_ends() -> None:
    class Closed:
        over = threading.Event()
        asked = threading.Event()
        submitted = 0.0

        def wait(self, submitted: float) -> None:
            self.submitted = submitted
            self.asked.set()
            self.over.wait(60)

        def end(self) -> None:
            self.over.set()

    gate = Closed()
    pool = OperationPool("test", gate=gate)
    work = Work(lambda _: "result", resumable=False)
    began = time.monotonic()
    pool.submit(work)
    wait_for(gate.asked.is_set)
    assert began <= gate.submitted <= time.monotonic()
    assert not work.begun.is_set()
    pool.close()
    wait_for(work.begun.is_set)
    pool.stop(time.monotonic() + 60)
    assert work.succeeded
