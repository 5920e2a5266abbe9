"""Which failed requests are sent again, when, and as what."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import urllib3

from nublado.storage.kubernetes.retry import (
    Attempt,
    backoff,
    decide,
    is_fate_unknown,
)
from nublado.storage.kubernetes.said import Said

RBAC = (
    'namespaces is forbidden: User "system:serviceaccount:nublado:nublado" cannot'
    ' create resource "namespaces" in API group "" at the cluster scope'
)
ACCOUNT = (
    'pods "rachel-nb" is forbidden: error looking up service account'
    ' userlabs-rachel/default: serviceaccount "default" not found'
)
WEBHOOK = 'Internal error occurred: failed calling webhook "policy.example.org"'
NOT_READY = 'pods "rachel-nb" is forbidden: not yet ready to handle request'
QUOTA = 'pods "rachel-nb" is forbidden: status unknown for quota: rachel-nb'


def after(
    status: int,
    method: str = "POST",
    reason: str = "",
    message: str = "",
    *,
    number: int = 1,
    retry_after: str = "",
    in_grace: bool = False,
) -> Attempt:
    body = json.dumps({"kind": "Status", "reason": reason, "message": message})
    headers = {"retry-after": retry_after} if retry_after else {}
    attempt = Attempt.of_response(method, number, status, headers, body.encode())
    return replace(attempt, in_grace=in_grace)


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
        (403, "POST", "Forbidden", NOT_READY, "admission is not ready", False),
    ],
)
def test_what_passes_is_sent_again(
    status: int, method: str, reason: str, message: str, why: str, fate_unknown: bool
) -> None:
    attempt = after(status, method, reason, message)
    retry = decide(attempt)
    assert retry is not None
    assert (retry.reason, is_fate_unknown(attempt)) == (why, fate_unknown)


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
    assert decide(after(status, method, reason, message)) is None


@pytest.mark.parametrize(
    ("status", "message"), [(401, "Unauthorized"), (403, RBAC)], ids=["401", "403"]
)
def test_a_refusal_that_may_pass_is_waited_for_by_seconds(
    status: int, message: str
) -> None:
    refused = after(status, "POST", "Forbidden", message, number=100, in_grace=True)
    assert refused.is_refusal
    retry = decide(refused)
    assert retry is not None
    assert retry.reason == "permissions are not loaded"
    assert decide(replace(refused, in_grace=False)) is None


@pytest.mark.parametrize(
    "message",
    ["exceeded quota: rachel-nb", 'webhook "x" denied the request: pods cannot be big'],
)
def test_what_is_not_about_rights_is_no_refusal_of_one(message: str) -> None:
    assert not after(403, "POST", "Forbidden", message).is_refusal


def test_a_server_that_cannot_be_reached_is_tried_until_the_deadline() -> None:
    error = urllib3.exceptions.ConnectTimeoutError("no route")
    attempt = Attempt("POST", 100, error=error)
    retry = decide(attempt)
    assert retry is not None
    assert retry.reason == "no connection"
    assert attempt.is_unreachable
    assert not is_fate_unknown(attempt)


def test_a_connection_that_breaks_leaves_the_fate_unknown_and_is_given_up() -> None:
    error = urllib3.exceptions.ProtocolError("reset")
    retry = decide(Attempt("POST", 7, error=error))
    assert retry is not None
    assert retry.reason == "connection lost"
    last = Attempt("POST", 8, error=error)
    assert decide(last) is None
    assert is_fate_unknown(last)


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
        ("Mon, 01 Jan 0001 00:00:00 -0000", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 10.0),
    ],
)
def test_retry_after_is_obeyed_within_reason(text: str, seconds: float) -> None:
    retry = decide(after(503, retry_after=text))
    assert retry is not None
    assert math.isfinite(retry.delay)
    # At the first attempt the pause of its own is at most 0.2 s.
    assert seconds <= retry.delay <= max(seconds, 0.2)


def test_pauses_grow_to_ten_seconds() -> None:
    assert 0.1 <= backoff(1) <= 0.2
    assert 5.0 <= backoff(50) <= 10.0


@pytest.mark.parametrize(
    ("body", "message", "reason"),
    [
        ('{"kind": "Status", "message": "no", "reason": "Gone"}', "no", "Gone"),
        ('{"secret": "x"}', "", ""),
        ("[1]", "", ""),
        ("null", "", ""),
        ("too many requests\n", "too many requests", ""),
        ("<html><head><title>502 Bad\nGateway</title></head>", "502 Bad Gateway", ""),
        ("<!DOCTYPE html><h1 class=x> Gone </h1>", "Gone", ""),
        ("<html><body>?</body></html>", "", ""),
        ("[" * 100_000, "", ""),
        ('{"message": {"a": 1}, "reason": "no word"}', "", ""),
        ('{"kind": "Status", "message": "cut o', "", ""),
        ("", "", ""),
    ],
)
def test_of_a_body_only_the_message_is_told(
    body: str, message: str, reason: str
) -> None:
    assert Said.read(body.encode()) == Said(message, reason)


def test_who_lacks_a_permission_is_told_which() -> None:
    assert Said(RBAC).remedy == (
        "grant the controller the verb create on namespaces, as the chart's RBAC does"
    )
    jobs = 'User "x" cannot list resource "jobs" in API group "batch" in the namespace'
    assert Said(jobs).remedy == (
        "grant the controller the verb list on jobs of batch, as the chart's RBAC does"
    )
    assert Said(QUOTA).remedy is None
