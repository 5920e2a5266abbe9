"""Which labs the status page shows where scripts do not run."""

from __future__ import annotations

import pytest

from nublado.handlers.lab_filter import LabFilter

LAB = {
    "username": "rachel",
    "status": "failed",
    "size": "small",
    "image": "registry.example.org/sciplat/lab:w_2026_45@sha256:0a",
    "node": "node-3",
    "reason": "Evicted: The node was low on resource",
}
NOWHERE = {**LAB, "node": None, "reason": None}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "RACH"},
        {"q": " w_2026 "},
        {"state": "failed", "node": "NODE", "image": "lab:w", "reason": "evicted"},
        {"unknown": "x"},
    ],
)
def test_lab_is_found(query: dict[str, str]) -> None:
    assert LabFilter.of(query).matches(LAB)


@pytest.mark.parametrize(
    "query",
    [
        {"q": "ann"},
        {"state": "fail"},
        {"state": "running"},
        {"node": "node-4"},
        {"image": "rachel"},
        {"reason": "OOM"},
        {"q": "rachel", "state": "running"},
    ],
)
def test_other_labs_are_not(query: dict[str, str]) -> None:
    assert not LabFilter.of(query).matches(LAB)


def test_lab_that_is_nowhere_is_on_no_node() -> None:
    assert LabFilter.of({"q": "rachel"}).matches(NOWHERE)
    assert not LabFilter.of({"node": "node"}).matches(NOWHERE)
    assert not LabFilter.of({"reason": "evicted"}).matches(NOWHERE)
