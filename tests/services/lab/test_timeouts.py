"""A spawn that runs out of time says what was last heard, of which image and node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nublado.events import Event
from nublado.models.domain.failure import Cause
from tests.cluster import SPECIFICATION, Cluster, user
from tests.waiting import wait_for

_POD = "Pod userlabs-rachel/rachel-nb"
_IMAGE = "registry.example.org/sciplat/lab:recommended@sha256:"
_SECONDS = 8.0

Strike = Callable[[Cluster], object]


def settings(**changes: object) -> Strike:
    return lambda cluster: cluster.control.settings(**changes)


def no_nodes(cluster: Cluster) -> None:
    for number in range(1, 4):
        cluster.control("PATCH", f"/nodes/node-{number}", {"unschedulable": True})


@pytest.mark.parametrize(
    ("strike", "heard", "container", "has_node", "cause"),
    [
        (no_nodes, "FailedScheduling: 0/3 nodes are ", "", False, Cause.NO_NODE),
        (
            settings(scheduling_delay=600.0),
            _POD,
            "",
            False,
            Cause.TIMED_OUT_SCHEDULING,
        ),
        (
            settings(pull_rules={"sciplat/lab": 600.0}),
            "Pulling: Pulling image",
            "notebook",
            True,
            Cause.TIMED_OUT_PULLING,
        ),
        (
            settings(failing_pulls=["sciplat/lab"]),
            (
                "ImagePullBackOff: Back-off pulling image",
                "ErrImagePull: Failed to pull",
            ),
            "notebook",
            True,
            Cause.IMAGE_MISSING,
        ),
        (
            settings(init_seconds=600.0),
            "Started: Container started",
            "inithome",
            True,
            Cause.TIMED_OUT_PREPARING,
        ),
        (
            settings(exits={"inithome": 1}),
            "CrashLoopBackOff: back-off",
            "inithome",
            True,
            Cause.INIT_FAILED,
        ),
    ],
    ids=["no-room", "scheduler", "pull", "no-pull", "init", "init-crash"],
)
def test_last_words(
    strike: Strike,
    heard: str | tuple[str, ...],
    container: str,
    has_node: bool,
    cause: Cause,
) -> None:
    with Cluster(spawn_timeout=_SECONDS) as cluster:
        strike(cluster)
        service = cluster.service()
        words = service.spawn("rachel")[-2]
        wait_for(lambda: service.history.of("rachel"))
        (entry,) = service.history.of("rachel")
    assert words.startswith("Lab spawn timed out after 8.0: ")
    last_words = words.removeprefix("Lab spawn timed out after 8.0: ")
    assert last_words.startswith(heard)
    assert _POD in words
    assert _IMAGE in words
    assert ("node node-" in words) == has_node
    assert container in last_words
    assert (entry.cause, entry.reason) == (cause.value, words)


def test_last_words_of_a_lab_that_does_not_start() -> None:
    with Cluster(spawn_timeout=_SECONDS) as cluster:
        cluster.control.settings(pull_rules={"sciplat/lab": 2.0})
        service = cluster.service()
        service.labs.create(user("rachel"), SPECIFICATION)
        log = service.labs.operation("rachel").events
        wait_for(lambda: any(_is_pull_of_lab(event) for event in log.all()))
        cluster.control.settings(start_delay=600.0)
        words = service.messages("rachel")[-2]
    assert words.startswith(
        f"Lab spawn timed out after 8.0: Created: Container created ({_POD},"
        f" container notebook, image {_IMAGE}"
    )
    assert words.endswith(", node node-1)")


def _is_pull_of_lab(event: Event) -> bool:
    return event.container == "notebook" and event.message.startswith("Pulling ")
