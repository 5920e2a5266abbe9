"""Pass on what Kubernetes says of the pod of a spawn."""

from __future__ import annotations

from nublado.events import EventLog, Step
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.notices import is_start_of_lab, step_of, supersedes

__all__ = ["PodReporter"]

_PROGRESS_FIRST_EVENT = 35
_PROGRESS_STARTED = 75


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
    """

    def __init__(self, events: EventLog) -> None:
        self.last: PodNotice | None = None
        self._events = events
        self._reported: set[PodNotice] = set()
        self._step: Step | None = None
        self._progress = _PROGRESS_FIRST_EVENT

    @property
    def is_complete(self) -> bool:
        """Whether the last event of a spawn that succeeds has been reported."""
        return any(map(is_start_of_lab, self._reported))

    def report(self, notice: PodNotice, text: str | None = None) -> None:
        """Report an event."""
        self._remember(notice)
        if notice in self._reported:
            return
        self._reported.add(notice)
        step = step_of(notice)
        self._step = step or self._step
        self._events.info(
            text or notice.message,
            self._progress,
            step=step,
            reason=notice.reason,
            container=notice.container,
        )
        self._progress += (_PROGRESS_STARTED - self._progress) // 3

    def report_waiting(self, notice: PodNotice) -> None:
        """Report why the pod waits, unless an event has said so.

        What events mean may be clear only from the reason to wait.
        """
        said = str(notice)
        is_known = any(n.message and n.message in said for n in self._reported)
        if is_known and step_of(notice) in (None, self._step):
            self._remember(notice)
        elif notice.container is None:
            self.report(notice, said)
        else:
            self.report(notice, f"Container {notice.container}: {said}")

    def _remember(self, notice: PodNotice) -> None:
        """Remember a notice as the last reason, if it is one."""
        if supersedes(notice, self.last):
            self.last = notice
