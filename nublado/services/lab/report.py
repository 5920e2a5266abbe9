"""Pass on what Kubernetes says of the pod of a spawn."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nublado.events import EventLog, Step
from nublado.models.domain.failure import Cause
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.notices import (
    cause_of,
    is_start_of_lab,
    says_why_pull_fails,
    step_of,
    supersedes,
    why_pull_fails,
)

__all__ = ["PodReporter"]

_PROGRESS_FIRST_EVENT = 35
_PROGRESS_STARTED = 75
_FAILING_STARTS = (Step.INIT_FAILING, Step.START_FAILING)
_ATTEMPTS = (Step.PULLING, Step.PULLED, Step.PREPARING, Step.STARTING)


class PodReporter:
    """Reports each thing once, and remembers the last reason.

    Parameters
    ----------
    events
        Where it is reported.

    Attributes
    ----------
    last
        The last reason that Kubernetes gave; None if it gave none.
    trouble_since
        Since when that has been the cause of a failure (seconds since the epoch);
        None if it is none.
    """

    def __init__(self, events: EventLog) -> None:
        self.last: PodNotice | None = None
        self.trouble_since: float | None = None
        self._events = events
        self._reported: set[PodNotice] = set()
        self._step: Step | None = None
        self._trouble: PodNotice | None = None
        self._pull_failure: PodNotice | None = None
        self._restarted: set[str | None] = set()
        self._progress = _PROGRESS_FIRST_EVENT

    @property
    def is_complete(self) -> bool:
        """Whether the last event of a spawn that succeeds has been reported."""
        return any(map(is_start_of_lab, self._reported))

    @property
    def cause(self) -> Cause | None:
        """Which cause of a failure the last reason is; None if it is none.

        Why an image cannot be pulled may have been said before.
        """
        cause = cause_of(self.last) if self.last is not None else None
        if cause is Cause.IMAGE and self._pull_failure is not None:
            return why_pull_fails(self._pull_failure)
        return cause

    def report(self, notice: PodNotice, text: str | None = None) -> None:
        """Report an event."""
        self._remember(notice)
        if notice in self._reported:
            return
        self._reported.add(notice)
        step = self._current_step(notice)
        self._step = step or self._step
        self._events.info(
            text or notice.message,
            self._progress,
            step=step,
            reason=notice.reason,
            container=notice.container,
        )
        self._progress += (_PROGRESS_STARTED - self._progress) // 3

    def report_state(self, waiting: Sequence[PodNotice]) -> None:
        """Report why the pod waits now, unless events have said so.

        What events mean may be clear only from the reason to wait.
        """
        self._trouble = next(filter(cause_of, waiting), None)
        for notice in waiting:
            self._report_waiting(notice)

    def _report_waiting(self, notice: PodNotice) -> None:
        said = str(notice)
        is_known = any(n.message and n.message in said for n in self._reported)
        if is_known and step_of(notice) in (None, self._step):
            self._remember(notice)
        elif notice.container is None:
            self.report(notice, said)
        else:
            self.report(notice, f"Container {notice.container}: {said}")

    def _current_step(self, notice: PodNotice) -> Step | None:
        """What a notice means now: events come later than the state of the pod.

        While that says that a container is in trouble, only news of it count.
        """
        trouble = self._trouble
        if trouble is not None:
            is_same = notice.container == trouble.container
            if not is_same or not supersedes(notice, trouble):
                return None
            self._trouble = notice if cause_of(notice) else None
        return self._step_after_restarts(notice)

    def _step_after_restarts(self, notice: PodNotice) -> Step | None:
        """What a notice means, unless it is one more attempt of what has failed."""
        step, container = step_of(notice), notice.container
        if container in self._restarted and step in _ATTEMPTS:
            return None
        if step in _FAILING_STARTS:
            self._restarted.add(container)
        return step

    def _remember(self, notice: PodNotice) -> None:
        """Remember a notice as the last reason, if it is one."""
        if says_why_pull_fails(notice):
            self._pull_failure = notice
        if supersedes(notice, self.last):
            is_trouble = cause_of(notice) is not None
            was_trouble = self.trouble_since is not None
            if is_trouble != was_trouble:
                self.trouble_since = time.time() if is_trouble else None
            self.last = notice
