"""Which failed requests are sent again, when, and as what."""

from __future__ import annotations

import json
import math

import pytest
import urllib3

from nublado.storage.kubernetes.retry import Attempt, Retry, backoff, decide

RBAC = (
    'namespaces is forbidden: User "system:serviceaccount:nublado:nublado" cannot'
    ' create resource "namespaces" in API group "" at the cluster scope'
)
ACCOUNT = (
    'pods "rachel-nb" is forbidden: error looking up service account'
    ' userlabs-rachel/default: serviceaccount "default" not found'
)
WEBHOOK = 'Internal error occurred: failed calling webhook "policy.example.org"'
QUOTA = 'pods "rachel-nb" is forbidden: status unknown for quota: rachel-nb'


def after(
    status: int,
    method: str = "POST",
    reason: str = "",
    message: str = "",
    *,
    number: int = 1,
    retry_after: str = "",
    allowed_before: bool = False,
) -> Retry | None:
    body = json.dumps({"kind": "Status", "reason": reason, "message": message})
    headers = {"Retry-After": retry_after} if retry_after else {}
    return decide(
        Attempt.of_response(
            method,
            number,
            status,
            headers,
            body.encode(),
            allowed_before=allowed_before,
        )
    )


@pytest.mark.parametrize(
    ("status", "method", "reason", "message", "why", "fate_unknown"),
    [
        (429, "GET", "TooManyRequests", "", "overloaded", False),
        (503, "DELETE", "ServiceUnavailable", "", "overloaded", False),
        (504, "POST", "Timeout", "", "gateway timed out", True),
        (502, "POST", "", "", "bad gateway", True),
        (408, "POST", "", "", "request timed out", True),
        (302, "DELETE", "", "", "redirected", False),
        (409, "POST", "Conflict", "", "quota changed", False),
        (
            500,
            "POST",
            "InternalError",
            "etcdserver: leader changed",
            "etcd is electing or slow",
            True,
        ),
        (
            500,
            "POST",
            "",
            "etcdserver: request timed out",
            "etcd is electing or slow",
            True,
        ),
        (500, "POST", "InternalError", WEBHOOK, "webhook failed", False),
        (403, "POST", "Forbidden", QUOTA, "quota is not known yet", False),
        (403, "POST", "Forbidden", ACCOUNT, "service account is missing", False),
    ],
)
def test_what_passes_is_sent_again(
    status: int, method: str, reason: str, message: str, why: str, fate_unknown: bool
) -> None:
    retry = after(status, method, reason, message)
    assert retry is not None
    assert (retry.reason, retry.fate_unknown) == (why, fate_unknown)


@pytest.mark.parametrize(
    ("status", "method", "reason", "message"),
    [
        (400, "POST", "BadRequest", ""),
        (401, "GET", "Unauthorized", ""),
        (403, "POST", "Forbidden", "exceeded quota: rachel-nb"),
        (403, "POST", "Forbidden", RBAC),
        (404, "GET", "NotFound", ""),
        (409, "POST", "AlreadyExists", ""),
        (409, "DELETE", "Conflict", ""),
        (422, "POST", "Invalid", ""),
        (500, "POST", "InternalError", ""),
        (501, "GET", "", ""),
    ],
)
def test_what_stays_is_a_failure_at_once(
    status: int, method: str, reason: str, message: str
) -> None:
    assert after(status, method, reason, message) is None


def test_a_right_that_was_granted_before_is_waited_for() -> None:
    retry = after(403, "POST", "Forbidden", RBAC, allowed_before=True)
    assert retry is not None
    assert retry.reason == "permissions are not loaded"
    assert after(403, "POST", "Forbidden", RBAC, allowed_before=True, number=8) is None
    quota = "exceeded quota: rachel-nb"
    assert after(403, "POST", "Forbidden", quota, allowed_before=True) is None


def test_a_server_that_cannot_be_reached_is_tried_until_the_deadline() -> None:
    error = urllib3.exceptions.ConnectTimeoutError("no route")
    retry = decide(Attempt("POST", 100, error=error))
    assert retry is not None
    assert (retry.reason, retry.fate_unknown) == ("no connection", False)


def test_a_connection_that_breaks_leaves_the_fate_unknown_and_is_given_up() -> None:
    error = urllib3.exceptions.ProtocolError("reset")
    retry = decide(Attempt("POST", 7, error=error))
    assert retry is not None
    assert (retry.reason, retry.fate_unknown) == ("connection lost", True)
    assert decide(Attempt("POST", 8, error=error)) is None


def test_bodies_that_are_no_status_do_not_matter() -> None:
    for body in (b"", b"<html>", b"[]", b"\xff", b"null"):
        attempt = Attempt.of_response("GET", 1, 503, {}, body)
        assert decide(attempt) is not None
        assert decide(Attempt.of_response("GET", 1, 500, {}, body)) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("2.5", 2.5),
        ("3600", 10.0),
        ("inf", 10.0),
        ("nan", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 10.0),
    ],
)
def test_retry_after_is_obeyed_within_reason(text: str, seconds: float) -> None:
    retry = after(503, retry_after=text)
    assert retry is not None
    assert math.isfinite(retry.delay)
    # At the first attempt the pause of its own is at most 0.2 s.
    assert seconds <= retry.delay <= max(seconds, 0.2)


def test_pauses_grow_to_ten_seconds() -> None:
    assert 0.1 <= backoff(1) <= 0.2
    assert 5.0 <= backoff(50) <= 10.0
