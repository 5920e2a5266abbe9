"""How the controller writes its log: one line per event, on standard output.

What libraries log by way of `logging` comes out in the same form. Whoever logs
uses ``structlog.get_logger(__name__)``; this module only sets the stage.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from nublado.config.model import Profile
from nublado.redaction import redact

__all__ = ["LogLevel", "configure_logging", "level_number", "log_uncaught_exceptions"]

_FIRST_KEYS = ("timestamp", "level", "event")
"""What is shown first, for those who read the raw lines."""

_QUIET_LOGGERS = ("apscheduler", "google", "kubernetes", "urllib3")
"""Libraries that log every request or job, some with the secrets therein."""

_FLUSH_SECONDS = 2.0
"""How long the end of the process waits for lines to be written."""

_GATHER_SECONDS = 0.01

_TOGGLE_SECONDS = 15 * 60.0

_GUNICORN_LOGGERS = ("gunicorn.access", "gunicorn.error")


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Writes to standard output, whatever that is at the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stdout


class _BackgroundHandler(logging.Handler):
    """Lets a thread of its own write, so that nobody waits to log.

    Rendering a line takes longer than most of what is logged; with hundreds of
    threads that log, all of them would queue for the one that writes.

    Parameters
    ----------
    handler
        Formats and writes lines.
    """

    def __init__(self, handler: _StdoutHandler) -> None:
        super().__init__()
        self._handler = handler
        self._queue: queue.SimpleQueue[logging.LogRecord | str | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def createLock(self) -> None:  # noqa: N802
        """Do without a lock: the queue has its own."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line; those of libraries are rendered where their context is."""
        is_ours = isinstance(record.msg, dict)
        self._queue.put(record if is_ours else self._handler.format(record))

    def close(self) -> None:
        """Write what is left, and end."""
        self._queue.put(None)
        self._thread.join(_FLUSH_SECONDS)
        super().close()

    def _write(self) -> None:
        while (item := self._next()) is not None:
            try:
                line = item if isinstance(item, str) else self._handler.format(item)
                self._handler.stream.write(line + "\n")
                if self._queue.empty():
                    self._handler.stream.flush()
            except Exception:  # noqa: BLE001
                traceback.print_exc(file=sys.stderr)
        self._handler.stream.flush()

    def _next(self) -> logging.LogRecord | str | None:
        """Take the next line; where there was none, let more come before it is written.

        To be woken for each line would cost its thread more than logging it.
        """
        is_idle = self._queue.empty()
        item = self._queue.get()
        if is_idle and item is not None:
            time.sleep(_GATHER_SECONDS)
        return item


def configure_logging(
    profile: Profile, level: str, *, background: bool = False
) -> None:
    """Set up logging for the whole process; may be called again.

    Parameters
    ----------
    profile
        ``production`` writes JSON, with a traceback as one field;
        ``development`` writes lines for people.
    level
        Least severe level that is written, such as ``INFO``.
    background
        Whether a thread of its own writes the lines.

    Notes
    -----
    Variables bound with `structlog.contextvars`, such as the request ID, are
    added to every line, also to those of libraries.
    """
    number = level_number(level)
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *processors,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _StdoutHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact_event,
                _renderer(profile),
            ],
        )
    )
    _install(_BackgroundHandler(handler) if background else handler, number)


def level_number(level: str) -> int:
    """Number of a level by its name, such as ``INFO``; `KeyError` for no level."""
    return logging.getLevelNamesMapping()[level.upper()]


class LogLevel:
    """How much is logged: what the configuration says, or something else for a time.

    Parameters
    ----------
    usual
        Level of the configuration.
    """

    def __init__(self, usual: str) -> None:
        self._usual = usual.upper()
        self._level = self._usual
        self._until: datetime | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    @property
    def current(self) -> tuple[str, datetime | None]:
        """The level, and when the usual one comes back; None if that is it."""
        with self._lock:
            return self._level, self._until

    def set(self, level: str, seconds: float, by: str) -> None:
        """Log on another level for a time.

        Parameters
        ----------
        level
            Least severe level that is written.
        seconds
            For how long.
        by
            Who wants that.
        """
        level = level.upper()
        timer = threading.Timer(seconds, self.reset, ("the end of its time",))
        timer.daemon = True
        with self._lock:
            self._change(level, timer)
            self._until = datetime.now(UTC) + timedelta(seconds=seconds)
        timer.start()
        self._tell(level, by, seconds)

    def reset(self, by: str) -> None:
        """Log on the usual level again."""
        with self._lock:
            changed = self._timer is not None
            self._change(self._usual, None)
            self._until = None
        if changed:
            self._tell(self._usual, by, None)

    def toggle(self, by: str) -> None:
        """Log all there is for 15 min, or end that."""
        if self.current[1] is None:
            self.set("DEBUG", _TOGGLE_SECONDS, by)
        else:
            self.reset(by)

    def _change(self, level: str, timer: threading.Timer | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._level = timer, level
        _set_level(level_number(level))

    def _tell(self, level: str, by: str, seconds: float | None) -> None:
        structlog.get_logger(__name__).warning(
            "Log level changed", to=level, by=by, seconds=seconds
        )


def log_uncaught_exceptions() -> None:
    """Log exceptions that nobody catches, in the form of all other lines.

    For the service's own process only: it replaces the hooks of the
    interpreter, which print a traceback as it is.
    """

    def log(
        kind: type[BaseException],
        error: BaseException | None,
        trace: TracebackType | None,
        thread: str,
    ) -> None:
        if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
            structlog.get_logger(__name__).critical(
                "Uncaught exception",
                thread=thread,
                exc_info=(kind, error, trace),
            )

    def log_in_main(
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
    ) -> None:
        log(kind, error, trace, "main")

    def log_in_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "unknown"
        log(args.exc_type, args.exc_value, args.exc_traceback, name)

    sys.excepthook = log_in_main
    threading.excepthook = log_in_thread


def _renderer(profile: Profile) -> Processor:
    if profile is Profile.PRODUCTION:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(),
        exception_formatter=structlog.dev.plain_traceback,
    )


def _redact_event(
    _logger: WrappedLogger, _method: str, event_dict: EventDict
) -> EventDict:
    """Remove secrets, last of all, so that nothing can add one afterwards."""
    first = {key: event_dict[key] for key in _FIRST_KEYS if key in event_dict}
    return {k: redact(v, k) for k, v in (first | dict(event_dict)).items()}


def _set_level(level: int) -> None:
    logging.getLogger().setLevel(level)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _install(handler: logging.Handler, level: int) -> None:
    """Make the handler the only one of ours, and all loggers use it."""
    root = logging.getLogger()
    for existing in list(root.handlers):
        if isinstance(existing, _StdoutHandler | _BackgroundHandler):
            root.removeHandler(existing)
            existing.close()
    root.addHandler(handler)
    _set_level(level)
    logging.captureWarnings(capture=True)
    for name in _GUNICORN_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
