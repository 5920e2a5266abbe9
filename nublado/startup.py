"""Brings the parts of the service up, each as soon as it can be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import structlog

from nublado.exceptions import NubladoError
from nublado.services.alerts import Alerts

__all__ = ["Part", "Startup"]

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_LONGEST_WANTED_PAUSE = 60.0
"""For how long at most a server that limits requests is left alone (seconds)."""

_ALERT_AFTER_SECONDS = 30.0
_EVENT = "Startup failed, retrying"
_RECOVERED = "Startup succeeded after failures"
_MEANWHILE = "what was known last is used meanwhile"

Step = Callable[[], None]


class Part(StrEnum):
    """Part of the service that can be used once it is up."""

    LABS = "labs"
    FILESERVERS = "file servers"
    IMAGES = "images"


_NOT_YET = {
    Part.LABS: "labs have not been read from Kubernetes yet",
    Part.FILESERVERS: "file servers have not been read from Kubernetes yet",
    Part.IMAGES: "images have not been read from the registry yet",
}


class Startup:
    """Runs the first steps of each part until they succeed.

    Labs come first, since their state is asked for before all else. The other
    parts follow, each in a thread of its own, since one may take long to fail.

    Parameters
    ----------
    alerts
        Is told of a part that does not come up, and when it does in the end.
    steps
        Steps of each part, in their order. A step that fails is repeated.
    on_up
        Called with each part whose steps have all succeeded.
    is_usable
        Whether a part can be used though it has steps left.
    """

    def __init__(
        self,
        alerts: Alerts,
        steps: Mapping[Part, Sequence[Step]],
        on_up: Callable[[Part], None],
        is_usable: Callable[[Part], bool] = lambda _: False,
    ) -> None:
        self._alerts = alerts
        self._steps = {part: list(steps[part]) for part in steps}
        self._on_up = on_up
        self._is_usable = is_usable
        self._usable = {part: threading.Event() for part in steps}
        self._up: set[Part] = set()
        self._problems: dict[Part, str] = {}
        self._failing_since: dict[Part, float] = {}
        self._wanted_pauses: dict[Part, float] = {}
        self._alerted: set[Part] = set()
        self._stopping = threading.Event()
        self._log = structlog.get_logger(__name__)

    def start(self) -> None:
        """Begin, in threads of its own."""
        self._start(self._run)

    def stop(self) -> None:
        """Stop after the current step."""
        self._stopping.set()

    def wait_up(self, part: Part, seconds: float) -> bool:
        """Wait until a part can be used; False if that takes longer.

        There is nothing to wait for in a part that is disabled.
        """
        return part not in self._usable or self._usable[part].wait(seconds)

    def is_up(self, part: Part) -> bool:
        """Whether a part can be used."""
        return self._usable[part].is_set()

    def problem(self, part: Part) -> str:
        """Why a part cannot be used yet, or not as it should."""
        problem = self._problems.get(part, _NOT_YET[part])
        return f"{problem}; {_MEANWHILE}" if self.is_up(part) else problem

    def problems(self) -> list[str]:
        """What is wrong with each part that has steps left."""
        return [self.problem(part) for part in self._steps if part not in self._up]

    def _run(self) -> None:
        self._bring_up(Part.LABS)
        for part in self._steps:
            if part is not Part.LABS:
                self._start(lambda part=part: self._bring_up(part))  # type: ignore[misc]

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="startup", daemon=True).start()

    def _bring_up(self, part: Part) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set() and not self._advance(part):
            self._stopping.wait(max(pause, self._wanted_pauses.pop(part, 0.0)))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _advance(self, part: Part) -> bool:
        """Run the steps of a part that are left; tell whether it is up."""
        steps = self._steps[part]
        while steps and not self._stopping.is_set():
            try:
                steps[0]()
            except Exception as e:  # noqa: BLE001
                self._note_failure(part, e)
                return False
            del steps[0]
            if steps and self._is_usable(part):
                self._usable[part].set()
        if steps:
            return False
        self._on_up(part)
        self._up.add(part)
        self._usable[part].set()
        self._note_success(part)
        return True

    def _note_failure(self, part: Part, error: Exception) -> None:
        """Log each failure, but alert only once, and not of a short outage."""
        now = time.monotonic()
        is_ours = isinstance(error, NubladoError)
        self._problems[part] = str(error) if is_ours else "internal error, see log"
        wanted = float(getattr(error, "retry_after", 0.0))
        self._wanted_pauses[part] = min(wanted, _LONGEST_WANTED_PAUSE)
        seconds = now - self._failing_since.setdefault(part, now)
        if not is_ours or (
            seconds >= _ALERT_AFTER_SECONDS and part not in self._alerted
        ):
            self._alerted.add(part)
            self._alerts.report(error, event=_EVENT, part=part.value)
        else:
            self._log.warning(_EVENT, part=part.value, error=str(error))

    def _note_success(self, part: Part) -> None:
        self._problems.pop(part, None)
        self._log.info("Ready", part=part.value)
        since = self._failing_since.get(part)
        if since is None:
            return
        facts = {"part": part.value, "seconds": round(time.monotonic() - since)}
        if part in self._alerted:
            self._alerts.recovered(_RECOVERED, **facts)
        else:
            self._log.info(_RECOVERED, **facts)
