"""Jobs that run at intervals, and what happens when one of them fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from nublado.exceptions import NubladoError
from nublado.models.domain.job import JobState
from nublado.services.alerts import Alerts

__all__ = ["Background"]


class Background:
    """Runs the jobs, each one instance at a time.

    A job that fails is reported and runs again at its next turn; one that
    takes longer than its interval skips the turns that it missed.

    Parameters
    ----------
    alerts
        Receives failures.
    """

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                "misfire_grace_time": None,
            },
            timezone=UTC,
        )
        self._jobs: dict[str, JobState] = {}
        self._log = structlog.get_logger(__name__)

    @property
    def alive(self) -> bool:
        """Whether the scheduler runs."""
        return bool(self._scheduler.running)

    @property
    def jobs(self) -> dict[str, JobState]:
        """How each job fares; all have succeeded once before they were added."""
        return dict(self._jobs)

    def start(self) -> None:
        """Begin to run the jobs."""
        self._scheduler.start()

    def add(
        self,
        name: str,
        work: Callable[[], None],
        seconds: float,
        *,
        quiet: bool = False,
    ) -> None:
        """Run a job at intervals.

        Parameters
        ----------
        name
            Its name, for operators.
        work
            What it does. It has just been done for the first time.
        seconds
            Interval, and time until the next run.
        quiet
            Whether successes are not worth a line in the log.
        """
        self._jobs[name] = JobState(datetime.now(UTC))
        self._scheduler.add_job(
            self._run,
            IntervalTrigger(seconds=max(1, int(seconds)), timezone=UTC),
            args=(name, work, quiet),
            id=name,
        )

    def run_now(self, name: str) -> None:
        """Begin to run a job now, unless it is running; `KeyError` for another."""
        if name not in self._jobs:
            raise KeyError(name)
        self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """Stop the scheduler; a job that runs is not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _run(self, name: str, work: Callable[[], None], quiet: bool) -> None:
        began = time.monotonic()
        before = self._jobs[name]
        try:
            work()
        except Exception as e:  # noqa: BLE001
            self._jobs[name] = replace(
                before,
                failures=before.failures + 1,
                failing_since=before.failing_since or datetime.now(UTC),
                error=_reason(e),
            )
            if before.failures:
                self._log.warning(
                    "Background job still failing", job=name, error=str(e)
                )
            else:
                self._alerts.report(e, event="Background job failed", job=name)
        else:
            self._jobs[name] = JobState(datetime.now(UTC))
            if before.failures:
                self._alerts.recovered("Background job recovered", job=name)
            if not quiet:
                seconds = round(time.monotonic() - began, 3)
                self._log.info("Background job finished", job=name, seconds=seconds)


def _reason(error: Exception) -> str:
    """Why, in words that may be shown."""
    return str(error) if isinstance(error, NubladoError) else "internal error, see log"
