"""What the events of a job say about a pod that it lacks."""

from __future__ import annotations

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.services.observed.fileserver import refusal_of_pod

EARLIER, LATER = "2026-11-25T12:00:00Z", "2026-11-25T12:00:10Z"


def event(reason: str, message: str | None, **fields: JSON | str | None) -> JSON:
    metadata = {"creationTimestamp": EARLIER}
    return {"metadata": metadata, "reason": reason, "message": message, **fields}


@pytest.mark.parametrize(
    ("events", "refusal"),
    [
        ([], None),
        ([event("SuccessfulCreate", "Created pod: rachel-fs-x")], None),
        ([event("FailedCreate", None)], "FailedCreate"),
        (
            [
                event("FailedCreate", "second", lastTimestamp=LATER),
                event("FailedCreate", "first", lastTimestamp=EARLIER),
            ],
            "second",
        ),
        # Clients of the newer API leave the older fields empty.
        (
            [
                event("FailedCreate", "first", lastTimestamp=None),
                event("FailedCreate", "second", lastTimestamp=None, eventTime=LATER),
            ],
            "second",
        ),
    ],
)
def test_the_newest_refusal_counts(events: list[JSON], refusal: str | None) -> None:
    assert refusal_of_pod(events) == refusal
