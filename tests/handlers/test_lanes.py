"""Which threads serve which request."""

from __future__ import annotations

import pytest

from nublado.handlers.lanes import Lane, lane_of

LABS = "/nublado/spawner/v1/labs"


@pytest.mark.parametrize(
    ("request_line", "lane"),
    [
        ("GET /healthz", Lane.STATE),
        ("GET /readyz?verbose", Lane.STATE),
        (f"GET {LABS}", Lane.STATE),
        (f"GET {LABS}/rachel", Lane.STATE),
        ("GET /nublado/spawner/v1/user-status", Lane.STATE),
        ("GET /spawner/v1/labs/rachel", Lane.STATE),
        (f"POST {LABS}/rachel/create", Lane.SPAWNS),
        (f"GET {LABS}/rachel/events", Lane.SPAWNS),
        (f"DELETE {LABS}/rachel", Lane.OTHERS),
        (f"GET {LABS}/rachel/progress", Lane.OTHERS),
        (f"GET {LABS}/rachel/create", Lane.OTHERS),
        ("GET /nublado/spawner/v1/images", Lane.OTHERS),
        ("GET /nublado/", Lane.OTHERS),
        ("GET /files", Lane.OTHERS),
    ],
)
def test_lane_follows_from_first_line(request_line: str, lane: Lane) -> None:
    assert lane_of(f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) is lane


@pytest.mark.parametrize("request_", [b"", b"\xff\xfe", b"GET", b"GET  /healthz x"])
def test_what_is_no_request_goes_with_others(request_: bytes) -> None:
    assert lane_of(request_) is Lane.OTHERS
