"""What is wrong with the service, found in one place for all who tell of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from nublado.models.domain.problem import Finding, Problem, ProblemKind
from nublado.models.domain.runbook import Runbook
from nublado.services.alerts import Alerts

__all__ = ["Check", "Health"]

Check = Callable[[], Finding | None]
"""Looks for one kind of problem in what is in memory."""

_LOOK_SECONDS = 2.0
_SETTLED_SECONDS = 30.0
_STOP_SECONDS = 5.0

_TOLD_ELSEWHERE = frozenset({ProblemKind.STARTING, ProblemKind.JOB_FAILS})
"""Kinds whose beginning and end are alerts of those who cause them."""


@dataclass(slots=True)
class _Known:
    """A problem, when it was seen last, and whether it was reported."""

    problem: Problem
    seen: float
    reported: bool = False


class Health:
    """Runs all checks, and remembers since when each has found something.

    The end of a problem is reported once it has stayed away for half a minute;
    one that returns earlier has never ended.

    Parameters
    ----------
    checks
        What to look for, the gravest first.
    alerts
        Is told of the beginning and of the end of each problem.
    runbook
        Says what to do.
    settled
        How long a problem has to stay away (seconds).
    clock
        Clock that this is measured with (seconds).
    """

    def __init__(
        self,
        checks: Mapping[ProblemKind, Check],
        alerts: Alerts,
        runbook: Runbook,
        *,
        settled: float = _SETTLED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = dict(checks)
        self._alerts = alerts
        self._runbook = runbook
        self._settled = settled
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[ProblemKind, _Known] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._log = structlog.get_logger(__name__)

    def start(self) -> None:
        """Begin to report, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Report no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    @property
    def dead(self) -> bool:
        """Whether the thread that reports has ended although it should run."""
        started = self._thread.ident is not None
        return started and not self._stopping.is_set() and not self._thread.is_alive()

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong now, the gravest first."""
        found = {kind: self._look(kind) for kind in self._checks}
        with self._lock:
            return tuple(
                self._note(kind, finding)
                for kind, finding in found.items()
                if finding is not None
            )

    def report(self) -> None:
        """Look, and report what has begun and what has ended."""
        self.problems()
        now = self._clock()
        with self._lock:
            begun = [k for k in self._known.values() if not k.reported]
            over = [
                known
                for known in self._known.values()
                if now - known.seen >= self._settled
            ]
            for known in begun:
                known.reported = True
            for known in over:
                del self._known[known.problem.kind]
        for known in begun:
            self._report_beginning(known.problem)
        for known in over:
            self._report_end(known.problem)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                self.report()
            except Exception:  # noqa: BLE001
                # A picture that cannot be drawn once may be the next time.
                self._log.exception("Cannot report health")

    def _look(self, kind: ProblemKind) -> Finding | None:
        try:
            return self._checks[kind]()
        except Exception as e:  # noqa: BLE001
            # One check that fails must not hide what the others find.
            self._log.exception("Cannot check health", slug=kind.value)
            return Finding(f"the check failed, see log: {type(e).__name__}")

    def _note(self, kind: ProblemKind, finding: Finding) -> Problem:
        known = self._known.get(kind)
        earlier = known.problem.since if known else datetime.now(UTC)
        since = min(earlier, finding.since or earlier)
        problem = Problem(kind, since, finding.cause)
        if known is None:
            self._known[kind] = _Known(problem, self._clock())
        else:
            known.problem, known.seen = problem, self._clock()
        return problem

    def _report_beginning(self, problem: Problem) -> None:
        kind = problem.kind
        if kind in _TOLD_ELSEWHERE:
            self._log.warning(kind.headline, kind=kind.value, error=problem.cause)
            return
        self._alerts.report(
            problem.cause,
            event=kind.headline,
            slug=kind.value,
            since=f"{problem.since:%Y-%m-%d %H:%M:%S} UTC",
            impact=kind.impact,
            runbook=self._runbook.entry(kind),
        )

    def _report_end(self, problem: Problem) -> None:
        kind = problem.kind
        lasted = datetime.now(UTC) - problem.since
        facts = {"slug": kind.value, "seconds": round(lasted.total_seconds())}
        if kind in _TOLD_ELSEWHERE:
            self._log.info(f"Over: {kind.headline}", **facts)
        else:
            self._alerts.recovered(f"Over: {kind.headline}", **facts)
