"""Report problems to operators: in the log always, in Slack if configured.

Alerts of one kind go to Slack at once when they are the first, and as one
summary per interval after that, so that an outage which hits 500 users is one
message and not 500.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from nublado.exceptions import KubernetesError, NubladoError
from nublado.metrics import ALERTS
from nublado.models.domain.failure import Failure
from nublado.models.domain.status import FailureLine
from nublado.redaction import redact, redact_text
from nublado.storage.slack import SlackError, SlackMessage, SlackWebhook

__all__ = ["Alerts"]

_INTERVAL_SECONDS = 300.0
_STOP_SECONDS = 3.0
_MAX_KINDS = 500
_MAX_USERS_NAMED = 5
_OTHER_KINDS = "other"
_MOST_RECENT = 50
_MAX_RECENT_TEXT = 500


Problem = BaseException | Failure | str


@dataclass(frozen=True, slots=True)
class _Alert:
    """One alert, as text without secrets."""

    title: str
    text: str
    fields: tuple[tuple[str, str], ...]
    code: str
    user: str | None


@dataclass(slots=True)
class _Window:
    """Alerts of one kind since the last message about them."""

    due: float
    count: int = 0
    latest: _Alert | None = None
    users: dict[str, None] = field(default_factory=dict)

    def add(self, alert: _Alert) -> None:
        self.count += 1
        self.latest = alert
        if alert.user is not None:
            self.users[alert.user] = None

    def put_back(self, earlier: _Window) -> None:
        """Take over what was not delivered, for the next message."""
        self.count += earlier.count
        self.latest = self.latest or earlier.latest
        self.users = earlier.users | self.users


class Alerts:
    """Takes alerts from any thread, without ever making it wait.

    Parameters
    ----------
    name
        Name of the application, which messages begin with.
    webhook
        Where messages are posted; None to log only.
    interval
        How often one kind of alert may be posted (seconds).
    clock
        Clock that intervals are measured with (seconds).
    """

    def __init__(
        self,
        name: str,
        webhook: SlackWebhook | None = None,
        *,
        interval: float = _INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._webhook = webhook
        self._interval = interval
        self._clock = clock
        self._changed = threading.Condition()
        self._windows: dict[str, _Window] = {}
        self._recent: deque[FailureLine] = deque(maxlen=_MOST_RECENT)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._log = structlog.get_logger(__name__)

    def start(self) -> None:
        """Begin to post messages, also those of alerts from before."""
        if self._webhook is not None:
            self._thread.start()

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """Post what is left, and end; gives up after so many seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)
        with self._changed:
            left = sum(window.count for window in self._windows.values())
        if left:
            self._log.warning("Alerts were not posted", count=left)
        if self._webhook is not None:
            self._webhook.close()

    @property
    def waiting(self) -> int:
        """How many alerts wait to be posted."""
        with self._changed:
            return sum(window.count for window in self._windows.values())

    def recent(self) -> tuple[FailureLine, ...]:
        """What was reported lately, the newest first."""
        return tuple(reversed(list(self._recent)))

    def report(
        self,
        problem: Problem,
        *,
        event: str | None = None,
        user: str | None = None,
        kind: str | None = None,
        **facts: object,
    ) -> None:
        """Log a problem, and have operators notified.

        Parameters
        ----------
        problem
            What went wrong. The traceback of an exception that the controller
            does not raise itself is logged.
        event
            What could not be done because of it, such as ``Lab creation
            failed``; by default the problem itself.
        user
            Whose request it was.
        kind
            Alerts of the same kind are summed up; by default all of one event
            and type of exception.
        **facts
            More to log and to show, such as ``pod``.
        """
        title = event or _subject(problem)
        if isinstance(problem, Failure):
            facts = {**problem.facts, **facts}
        self._write(title, problem, user, facts)
        text = redact_text(_reason(problem))[:_MAX_RECENT_TEXT]
        ALERTS.labels(title).inc()
        self._remember(_line(title, text, user))
        if self._webhook is None:
            return
        alert = _make_alert(title, problem, user, facts)
        self._queue(kind or f"{title}: {_distinction(problem)}", alert)

    def warn(self, event: str, *, user: str, **facts: object) -> None:
        """Log what is no failure but of concern, and have operators notified.

        Parameters
        ----------
        event
            What happens.
        user
            Who has asked for it.
        **facts
            More to log and to show.
        """
        self._log.warning(event, user=user, **facts)
        if self._webhook is not None:
            self._queue(event, _make_alert(event, event, user, facts))

    def recovered(self, event: str, **facts: object) -> None:
        """Log that a problem is over, and have operators notified.

        Parameters
        ----------
        event
            What works again, such as ``Following cluster again``.
        **facts
            More to log and to show.
        """
        self.announce(event, **facts)

    def announce(self, event: str, **facts: object) -> None:
        """Log what is no problem, and have operators notified.

        Parameters
        ----------
        event
            What has been done, such as ``Labs can be started again``.
        **facts
            More to log and to show, such as who did it.
        """
        self._log.info(event, **facts)
        if self._webhook is not None:
            self._queue(event, _make_alert(event, event, None, facts))

    def _remember(self, line: FailureLine) -> None:
        """Count what is the same, whoever it hit; the newest comes last."""
        with self._changed:
            same = next((r for r in self._recent if _is_same(r, line)), None)
            if same is not None:
                self._recent.remove(same)
                others = (user for user in same.users if user not in line.users)
                line = replace(
                    line,
                    first=same.first or same.timestamp,
                    count=same.count + 1,
                    users=(*others, *line.users)[-_MAX_USERS_NAMED:],
                )
            self._recent.append(line)

    def _queue(self, kind: str, alert: _Alert) -> None:
        with self._changed:
            if kind not in self._windows and len(self._windows) >= _MAX_KINDS:
                kind = _OTHER_KINDS
            if kind not in self._windows:
                self._windows[kind] = _Window(due=self._clock())
                self._changed.notify()
            self._windows[kind].add(alert)

    def _write(
        self,
        title: str,
        problem: Problem,
        user: str | None,
        facts: dict[str, object],
    ) -> None:
        values = dict(facts)
        if user is not None:
            values["user"] = user
        error = _error_of(problem)
        if error is not None and not isinstance(error, NubladoError):
            values["exc_info"] = error
        elif _text(problem) != title:
            values["error"] = _text(problem)
        self._log.error(title, **values)

    # --- Posting, in a thread of its own ---------------------------------

    def _run(self) -> None:
        while (due := self._next_due()) is not None:
            kind, window = due
            try:
                self._post(window)
            except Exception as e:  # noqa: BLE001
                # Alerting must go on. The text of an error that is not ours
                # may hold the URL of the webhook.
                reason = str(e) if isinstance(e, SlackError) else type(e).__name__
                self._log.warning("Cannot post alert", error=reason)
                with self._changed:
                    self._windows[kind].put_back(window)
                    if self._stopping:
                        return

    def _next_due(self) -> tuple[str, _Window] | None:
        """Wait for alerts that may be posted; None when it is time to end.

        A new window of the same kind takes the place of what is returned.
        """
        with self._changed:
            while True:
                now = self._clock()
                for kind, window in list(self._windows.items()):
                    if window.due > now and not self._stopping:
                        continue
                    del self._windows[kind]
                    if window.count:
                        self._windows[kind] = _Window(now + self._interval)
                        return kind, window
                if self._stopping:
                    return None
                soonest = min((w.due for w in self._windows.values()), default=None)
                self._changed.wait(None if soonest is None else soonest - now)

    def _post(self, window: _Window) -> None:
        alert = window.latest
        if self._webhook is None or alert is None:
            return
        title = f"{self._name}: {alert.title}"
        fields = alert.fields
        if window.count > 1:
            title += f" ({window.count} times)"
            users = list(window.users)
            named = ", ".join(users[:_MAX_USERS_NAMED])
            if len(users) > _MAX_USERS_NAMED:
                named += f" and {len(users) - _MAX_USERS_NAMED} more"
            if users:
                others = tuple(f for f in fields if f[0] != "User")
                fields = (("Users", named), *others)
        self._webhook.post(SlackMessage(title, alert.text, fields, alert.code))


def _line(event: str, message: str, user: str | None) -> FailureLine:
    users = () if user is None else (user,)
    return FailureLine(datetime.now(UTC), event, message, user, users=users)


def _is_same(line: FailureLine, other: FailureLine) -> bool:
    return (line.event, line.message) == (other.event, other.message)


def _error_of(problem: Problem) -> BaseException | None:
    if isinstance(problem, Failure):
        return problem.error
    return problem if isinstance(problem, BaseException) else None


def _text(problem: Problem) -> str:
    return problem.text if isinstance(problem, Failure) else str(problem)


def _subject(problem: Problem) -> str:
    error = _error_of(problem)
    return str(problem) if error is None else type(error).__name__


def _reason(problem: Problem) -> str:
    """Summarise a problem; what others raise may contain anything."""
    error = _error_of(problem)
    is_ours = error is None or isinstance(error, NubladoError)
    return _text(problem) if is_ours else _subject(problem)


def _distinction(problem: Problem) -> str:
    """Distinguish problems that have the same title."""
    error = _error_of(problem)
    if error is None:
        return ""
    if isinstance(error, KubernetesError):
        return f"{error.message} {error.kind} {error.status}"
    cause = problem.cause if isinstance(problem, Failure) else ""
    return f"{type(error).__name__} {cause}"


def _make_alert(
    title: str,
    problem: Problem,
    user: str | None,
    facts: dict[str, object],
) -> _Alert:
    now = datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    values: dict[str, object] = {"Time": now, "User": user}
    text, code = _text(problem), None
    error = _error_of(problem)
    if error is not None:
        values["Exception type"] = type(error).__name__
        kubernetes = _kubernetes_error(error)
        if kubernetes is not None:
            values["Kubernetes status"] = kubernetes.status
            values["Object"] = kubernetes.object_name
            code = kubernetes.body
        if isinstance(error, KubernetesError):
            text = error.message
    values["Request"] = structlog.contextvars.get_contextvars().get("request_id")
    for name, value in facts.items():
        values[name.replace("_", " ").capitalize()] = redact(value, name)
    return _Alert(
        title=redact_text(title),
        text="" if text == title else redact_text(text),
        fields=tuple(
            (name, redact_text(str(value)))
            for name, value in values.items()
            if value is not None
        ),
        code=redact_text(code or ""),
        user=user,
    )


def _kubernetes_error(problem: BaseException) -> KubernetesError | None:
    """Find the error of Kubernetes that led to a problem."""
    error: BaseException | None = problem
    while error is not None and not isinstance(error, KubernetesError):
        error = error.__cause__ or error.__context__
    return error
