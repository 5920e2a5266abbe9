from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import structlog
from structlog.testing import capture_logs

from nublado.exceptions import (
    FileserverCreationError,
    KubernetesError,
    MissingSecretError,
)
from nublado.services.alerts import Alerts
from nublado.storage.slack import SlackWebhook
from tests.scripted_server import Received, Reply, ScriptedServer

Eventually = Callable[[Callable[[], object]], None]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def alerts(outside: ScriptedServer, clock: Clock) -> Iterator[Alerts]:
    webhook = SlackWebhook(outside.url + "/services/T0/B0/xyz")
    alerts = Alerts("Nublado", webhook, interval=300, clock=clock)
    alerts.start()
    yield alerts
    alerts.stop()


def title_of(request: Received) -> str:
    return str(json.loads(request.body)["text"])


def text_of(request: Received) -> str:
    blocks = json.loads(request.body)["blocks"]
    texts = [b["text"]["text"] for b in blocks if "text" in b]
    texts += [f["text"] for b in blocks for f in b.get("fields", ())]
    return "\n".join(texts)


def pod_refused(username: str = "rachel") -> KubernetesError:
    return KubernetesError(
        "Error creating object",
        kind="Pod",
        namespace=f"userlabs-{username}",
        name=f"{username}-nb",
        status=400,
        body='{"reason": "BadRequest"}',
    )


def test_kubernetes_error_is_posted_with_all_that_is_known(
    outside: ScriptedServer, alerts: Alerts
) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        alerts.report(
            pod_refused(), event="Lab creation failed", user="rachel", node_name="n1"
        )
    (request,) = outside.wait_received(1)
    assert title_of(request) == "Nublado: Lab creation failed"
    text = text_of(request)
    assert "Error creating object" in text
    assert '```\n{"reason": "BadRequest"}\n```' in text
    for fact in (
        "*User*\nrachel",
        "*Exception type*\nKubernetesError",
        "*Kubernetes status*\n400",
        "*Object*\nPod userlabs-rachel/rachel-nb",
        "*Request*\nr-1",
        "*Node name*\nn1",
    ):
        assert fact in text
    assert re.search(r"\*Time\*\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)


def test_cause_in_kubernetes_is_shown(outside: ScriptedServer, alerts: Alerts) -> None:
    error = FileserverCreationError("no pod")
    error.__cause__ = pod_refused()
    alerts.report(error)
    (request,) = outside.wait_received(1)
    text = text_of(request)
    assert "Failed to create file server: no pod" in text
    assert "*Kubernetes status*\n400" in text
    assert "BadRequest" in text


def test_message_without_exception_is_posted(
    outside: ScriptedServer, alerts: Alerts
) -> None:
    alerts.report("Registry is unreachable")
    (request,) = outside.wait_received(1)
    assert title_of(request) == "Nublado: Registry is unreachable"
    assert "Exception type" not in text_of(request)


def test_storm_is_one_message_and_one_summary(
    outside: ScriptedServer, alerts: Alerts, clock: Clock
) -> None:
    alerts.report(pod_refused(), event="Lab failed", user="rachel")
    outside.wait_received(1)
    for number in range(500):
        username = f"user{number}"
        alerts.report(pod_refused(username), event="Lab failed", user=username)
    clock.now += 299
    alerts.report("Something else")
    outside.wait_received(2)
    clock.now += 1
    alerts.report("Yet something else")
    texts = {title_of(r): text_of(r) for r in outside.wait_received(4)}
    assert set(texts) == {
        "Nublado: Lab failed",
        "Nublado: Something else",
        "Nublado: Lab failed (500 times)",
        "Nublado: Yet something else",
    }
    summary = texts["Nublado: Lab failed (500 times)"]
    assert "*Users*\nuser0, user1, user2, user3, user4 and 495 more" in summary
    assert "*Object*\nPod userlabs-user499/user499-nb" in summary


def test_quiet_kind_is_posted_at_once_again(
    outside: ScriptedServer, alerts: Alerts, clock: Clock
) -> None:
    alerts.report("Registry is unreachable")
    outside.wait_received(1)
    clock.now += 300
    alerts.report("Registry is unreachable")
    # A window that is over and empty makes way when the next alert comes.
    alerts.report("Something else")
    titles = [title_of(request) for request in outside.wait_received(3)]
    assert titles.count("Nublado: Registry is unreachable") == 2


def test_different_problems_do_not_wait_for_each_other(
    outside: ScriptedServer, alerts: Alerts
) -> None:
    event = "Lab creation failed"
    alerts.report(pod_refused(), event=event)
    alerts.report(MissingSecretError("Secret nublado/x does not exist"), event=event)
    alerts.report(KubernetesError("Error reading object", kind="Pod"), event=event)
    assert len(outside.wait_received(3)) == 3


def test_same_kind_can_be_named(
    outside: ScriptedServer, alerts: Alerts, clock: Clock
) -> None:
    alerts.report("Refresh 1 failed", kind="refresh")
    outside.wait_received(1)
    alerts.report("Refresh 2 failed", kind="refresh")
    alerts.report("Something else")
    titles = [title_of(request) for request in outside.wait_received(2)]
    assert titles == ["Nublado: Refresh 1 failed", "Nublado: Something else"]


def test_kinds_without_end_are_summed_up(
    outside: ScriptedServer, alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nublado.services.alerts._MAX_KINDS", 2)
    for number in range(2):
        alerts.report(f"Problem {number}")
    outside.wait_received(2)
    alerts.report("Problem 2")
    outside.wait_received(3)
    for number in range(3, 50):
        alerts.report(f"Problem {number}")
    alerts.stop()
    *_, last = outside.received
    assert title_of(last) == "Nublado: Problem 49 (47 times)"


def test_secrets_are_not_posted(outside: ScriptedServer, alerts: Alerts) -> None:
    secret = "gt-abc.def"
    error = KubernetesError(
        f"Error {secret}", kind="Pod", name=secret, status=400, body=f"body {secret}"
    )
    alerts.report(error, event=f"Failed {secret}", access_token=secret, why=[secret])
    (request,) = outside.wait_received(1)
    assert secret.encode() not in request.body
    assert "*Access token*\n&lt;redacted&gt;" in text_of(request)


def test_hanging_webhook_delays_nobody_and_loses_no_log_line(
    outside: ScriptedServer, alerts: Alerts
) -> None:
    release = threading.Event()
    outside.replies = [Reply(after=release)]
    alerts.report("First")
    outside.wait_received(1)
    began = time.monotonic()
    with capture_logs() as log:
        for number in range(1000):
            alerts.report("Pod refused", user=f"user{number}")
    assert time.monotonic() - began < 2
    assert [line["user"] for line in log] == [f"user{n}" for n in range(1000)]
    release.set()
    assert title_of(outside.wait_received(2)[1]) == "Nublado: Pod refused (1000 times)"


def test_what_was_not_delivered_is_told_with_the_next_message(
    outside: ScriptedServer, alerts: Alerts, clock: Clock, eventually: Eventually
) -> None:
    outside.replies = [Reply(503, b"slack is down")]
    with capture_logs() as log:
        alerts.report("Pod refused", user="rachel")
        eventually(lambda: any("Cannot post alert" in str(line) for line in log))
    (failure,) = (line for line in log if line["event"] == "Cannot post alert")
    assert "slack is down" in failure["error"]
    assert "services" not in str(log)
    alerts.report("Pod refused", user="ribbon")
    clock.now += 300
    alerts.report("Something else")
    texts = {title_of(r): text_of(r) for r in outside.wait_received(3)}
    assert "*Users*\nrachel, ribbon" in texts["Nublado: Pod refused (2 times)"]


def test_stop_posts_what_is_left(outside: ScriptedServer, alerts: Alerts) -> None:
    alerts.report("Pod refused")
    outside.wait_received(1)
    alerts.report("Pod refused")
    alerts.report("Pod refused")
    alerts.stop()
    titles = [title_of(request) for request in outside.received]
    assert titles == ["Nublado: Pod refused", "Nublado: Pod refused (2 times)"]


def test_stop_gives_up_after_its_time(outside: ScriptedServer, alerts: Alerts) -> None:
    release = threading.Event()
    outside.replies = [Reply(after=release)]
    alerts.report("First")
    outside.wait_received(1)
    alerts.report("Second")
    with capture_logs() as log:
        alerts.stop(0.05)
    assert {
        "event": "Alerts were not posted",
        "count": 1,
        "log_level": "warning",
    } in log
    release.set()


def test_stop_with_a_dead_webhook_ends(outside: ScriptedServer, alerts: Alerts) -> None:
    outside.default = Reply(drop=True)
    alerts.report("First")
    with capture_logs() as log:
        alerts.stop(30)
    assert log[-1]["event"] == "Alerts were not posted"


def test_alerts_from_before_the_start_are_posted(outside: ScriptedServer) -> None:
    alerts = Alerts("Nublado", SlackWebhook(outside.url))
    alerts.report("Cannot start")
    alerts.start()
    outside.wait_received(1)
    alerts.stop()


def test_without_webhook_alerts_are_only_logged() -> None:
    threads = threading.active_count()
    alerts = Alerts("Nublado")
    alerts.start()
    unexpected = ZeroDivisionError("division by zero")
    with capture_logs() as log:
        alerts.report(pod_refused(), event="Lab creation failed", user="rachel")
        alerts.report("Registry is unreachable", registry="docker.io")
        alerts.report("refused", event="Cannot list tags")
        alerts.report(unexpected)
    assert threading.active_count() == threads
    alerts.stop()
    assert log == [
        {
            "event": "Lab creation failed",
            "error": str(pod_refused()),
            "user": "rachel",
            "log_level": "error",
        },
        {
            "event": "Registry is unreachable",
            "registry": "docker.io",
            "log_level": "error",
        },
        {"event": "Cannot list tags", "error": "refused", "log_level": "error"},
        {
            "event": "ZeroDivisionError",
            "exc_info": unexpected,
            "log_level": "error",
        },
    ]


def test_recovery_is_posted_and_is_no_failure(
    outside: ScriptedServer, alerts: Alerts
) -> None:
    with capture_logs() as log:
        alerts.recovered("Following cluster again", watches="watch-pods")
    (request,) = outside.wait_received(1)
    assert title_of(request) == "Nublado: Following cluster again"
    assert "watch-pods" in text_of(request)
    assert [line["log_level"] for line in log] == ["info"]
    assert alerts.recent() == ()


def test_identical_failures_are_counted_with_whom_they_hit() -> None:
    alerts = Alerts("test")
    for user in ("rachel", "ribbon", "rachel"):
        alerts.report("No node has room", event="Lab creation failed", user=user)
    alerts.report("Something else", event="Lab creation failed", user="rachel")
    other, counted = alerts.recent()
    assert (other.message, other.count, other.first) == ("Something else", 1, None)
    assert (counted.count, counted.users) == (3, ("ribbon", "rachel"))
    assert counted.first is not None
    assert counted.first <= counted.timestamp
