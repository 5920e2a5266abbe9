from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from nublado.config.model import Profile
from nublado.logging import LogLevel, configure_logging, log_uncaught_exceptions
from tests.waiting import wait_for

Capture = pytest.CaptureFixture[str]

LIBRARIES = ("apscheduler", "google", "kubernetes", "urllib3", "gunicorn.error")


@pytest.fixture(autouse=True)
def _restore_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, library_level in levels.items():
        logging.getLogger(name).setLevel(library_level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def logged(capsys: Capture) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def fail(message: str) -> None:
    raise ValueError(message)


def test_production_writes_one_json_object_per_event(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    structlog.get_logger("nublado.lab").info("Lab started", user="rachel", size="small")
    (line,) = logged(capsys)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    age = datetime.now(UTC) - datetime.fromisoformat(str(line.pop("timestamp")))
    assert abs(age.total_seconds()) < 60
    assert line == {
        "level": "info",
        "event": "Lab started",
        "user": "rachel",
        "size": "small",
        "logger": "nublado.lab",
    }


def test_development_writes_lines_for_people(capsys: Capture) -> None:
    configure_logging(Profile.DEVELOPMENT, "INFO")
    log = structlog.get_logger()
    try:
        fail("gt-key.secret is wrong")
    except ValueError:
        log.exception("Lab failed", user="rachel")
    text = capsys.readouterr().out
    assert "Lab failed" in text
    assert "user=rachel" in text
    assert "\nValueError: <redacted> is wrong" in text


def test_libraries_write_the_same_form(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    structlog.contextvars.bind_contextvars(request_id="r-1")
    logging.getLogger("some.library").warning("%d of %s", 3, "four")
    (line,) = logged(capsys)
    del line["timestamp"]
    assert line == {
        "level": "warning",
        "event": "3 of four",
        "logger": "some.library",
        "request_id": "r-1",
    }


def test_gunicorn_writes_the_same_form_once(capsys: Capture) -> None:
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.addHandler(logging.StreamHandler(sys.stdout))
    gunicorn.propagate = False
    configure_logging(Profile.PRODUCTION, "INFO")
    gunicorn.info("Booting worker")
    assert [line["event"] for line in logged(capsys)] == ["Booting worker"]


def test_traceback_is_one_field(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    for log in (structlog.get_logger(), logging.getLogger("some.library")):
        try:
            fail("cannot use token=abc")
        except ValueError:
            log.exception("Lab failed")
    for line in logged(capsys):
        traceback = str(line["exception"])
        assert traceback.startswith("Traceback (most recent call last):\n")
        assert traceback.endswith("\nValueError: cannot use token=<redacted>")


def test_secrets_are_never_written(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    structlog.contextvars.bind_contextvars(token="gt-a.b")
    structlog.get_logger().info(
        "Bearer gt-a.b", headers={"Authorization": "x"}, error=ValueError("gt-a.b")
    )
    logging.getLogger("some.library").info("sent %s", "gt-a.b")
    text = capsys.readouterr().out
    assert "gt-a.b" not in text
    assert '"Authorization": "<redacted>"' in text


def test_less_severe_events_are_left_out(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "warning")
    structlog.get_logger().info("no")
    logging.getLogger("some.library").info("no")
    structlog.get_logger().warning("yes")
    assert [line["event"] for line in logged(capsys)] == ["yes"]


def test_chatty_libraries_stay_quiet_when_debugging(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "DEBUG")
    logging.getLogger("urllib3.connectionpool").debug("POST /services/T0/B0/xyz")
    logging.getLogger("kubernetes.client.rest").debug("response body: c2VjcmV0")
    structlog.get_logger().debug("yes")
    assert [line["event"] for line in logged(capsys)] == ["yes"]


def test_configuring_again_replaces_the_earlier_form(capsys: Capture) -> None:
    configure_logging(Profile.DEVELOPMENT, "DEBUG")
    configure_logging(Profile.PRODUCTION, "INFO")
    structlog.get_logger().info("once")
    assert [line["event"] for line in logged(capsys)] == ["once"]


def test_warnings_are_logged(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old spelling", stacklevel=1)
    logging.captureWarnings(capture=False)
    (line,) = logged(capsys)
    assert "old spelling" in str(line["event"])


def test_uncaught_exceptions_are_logged(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    log_uncaught_exceptions()
    thread = threading.Thread(target=fail, args=("in thread",), name="watch-pods")
    thread.start()
    thread.join()
    try:
        fail("in main")
    except ValueError as e:
        sys.excepthook(type(e), e, e.__traceback__)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    in_thread, in_main = logged(capsys)
    assert in_thread["thread"] == "watch-pods"
    assert in_main["thread"] == "main"
    assert str(in_thread["exception"]).endswith("ValueError: in thread")
    assert in_main["level"] == "critical"


def test_level_changes_also_for_loggers_in_use(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    level, log = LogLevel("INFO"), structlog.get_logger("nublado.lab")
    log.info("first")
    log.debug("hidden")
    level.set("DEBUG", 3600, "ann")
    log.debug("shown")
    assert level.current[0] == "DEBUG"
    level.set("ERROR", 3600, "ann")
    log.warning("hidden")
    level.reset("bob")
    log.info("last")
    log.debug("hidden")
    assert level.current == ("INFO", None)
    lines = [line for line in logged(capsys) if line["logger"] == "nublado.lab"]
    assert [line["event"] for line in lines] == ["first", "shown", "last"]


def test_change_of_level_is_logged_with_who_did_it(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "INFO")
    level = LogLevel("INFO")
    level.reset("nobody")
    level.toggle("SIGUSR2")
    level.toggle("SIGUSR2")
    lines = logged(capsys)
    assert [(line["to"], line["by"]) for line in lines] == [
        ("DEBUG", "SIGUSR2"),
        ("INFO", "SIGUSR2"),
    ]


def test_usual_level_comes_back(capsys: Capture) -> None:
    configure_logging(Profile.PRODUCTION, "WARNING")
    level = LogLevel("WARNING")
    level.set("DEBUG", 0.05, "ann")
    wait_for(lambda: level.current == ("WARNING", None))
    structlog.get_logger("nublado").info("hidden")
    assert "hidden" not in capsys.readouterr().out
