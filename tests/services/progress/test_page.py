"""What users are told of operations, in their own words, as these really go."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from nublado.exceptions import LabDeletionError
from nublado.models.domain.history import Asker, HistoryKind
from nublado.services.observed.steps import Mark
from nublado.services.progress.page import Progress
from nublado.services.progress.words import Phase
from tests.cluster import SPECIFICATION, Cluster, Service, user
from tests.waiting import wait_for

NAMESPACE, NAME = "userlabs-rachel", "rachel-nb"
POD = f"{NAMESPACE}/{NAME}"
QUOTA = {
    "kind": "Status",
    "reason": "Forbidden",
    "message": 'pods "rachel-nb" is forbidden: exceeded quota: rachel-nb',
    "code": 403,
}

Strike = Callable[[Cluster], object]


def page(service: Service) -> Progress:
    return service.progress.describe("rachel")


def begin(service: Service) -> None:
    service.labs.create(user("rachel"), SPECIFICATION)


def now(service: Service) -> str:
    """What is being done now, and what keeps it waiting."""
    shown = page(service)
    return f"{shown.step}. {shown.waits_for}"


def marks(shown: Progress) -> list[str]:
    return [f"{step.mark}: {step.text}" for step in shown.steps]


def told(shown: Progress) -> str:
    """What has gone wrong, and what to do."""
    assert shown.phase is Phase.FAILED, shown.phase
    assert shown.advice is not None
    return f"{shown.advice.happened} {shown.advice.remedy}"


def stuck_spawn(cluster: Cluster) -> Service:
    """Begin a spawn that hangs because its image cannot be pulled."""
    cluster.control.settings(failing_pulls=["sciplat/lab"], pull_failure="unavailable")
    service = cluster.service()
    begin(service)
    wait_for(lambda: "The image cannot be fetched yet" in now(service))
    return service


# --- From its beginning to its end -----------------------------------------


def test_a_spawn_from_its_beginning_to_its_end(cluster: Cluster) -> None:
    service = stuck_spawn(cluster)
    progress = page(service)
    assert (progress.phase, progress.is_followed) == (Phase.STARTING, True)
    assert (progress.ended, progress.can_cancel) == (None, True)
    assert 35 <= progress.percent < 75
    assert progress.lab_path is None
    assert marks(progress) == [
        "done: Request accepted",
        "done: Lab set up",
        "done: Room found on a machine",
        "done: Home directory ready",
        "now: Fetching the image",
        "ahead: Start JupyterLab",
    ]
    assert (progress.node or "").startswith("node-")
    assert progress.image.name.startswith("Recommended")
    cluster.control.settings(failing_pulls=[])
    service.messages("rachel")
    wait_for(lambda: page(service).phase is Phase.RUNNING)
    progress = page(service)
    assert (progress.percent, progress.step, progress.can_cancel) == (100, None, False)
    assert (progress.lab_path, progress.advice) == ("/nb/user/x/", None)
    assert marks(progress)[-2:] == ["done: Image fetched", "done: JupyterLab started"]
    assert all(step.seconds is not None for step in progress.steps)


def test_steps_add_up_to_the_whole(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    progress = page(service)
    spent = sum(step.seconds or 0.0 for step in progress.steps)
    assert spent == pytest.approx(progress.seconds, abs=0.01)


def test_what_is_left_of_the_last_lab_is_cleared_away_first(cluster: Cluster) -> None:
    cluster.control.faults({"method": "POST", "path": "/pods$", "status": 422})
    service = cluster.service()
    service.spawn("rachel")
    cluster.control("DELETE", "/faults")
    service.spawn("rachel")
    assert marks(page(service))[:3] == [
        "done: Request accepted",
        "done: Last lab cleared away",
        "done: Lab set up",
    ]


def test_an_image_that_was_there_was_not_fetched(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    service.labs.delete("rachel")
    for node in ("node-1", "node-2", "node-3"):
        state = service.labs.table.get_or_add("rachel").last_state
        assert state is not None
        image = {"image": state.options.image}
        cluster.control("PUT", f"/nodes/{node}/images", image)
    service.spawn("rachel")
    assert "done: Image was on the machine already" in marks(page(service))


def test_a_deletion_from_its_beginning_to_its_end(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    asked_for = page(service).asked_for
    service.labs.delete("rachel")
    progress = page(service)
    assert asked_for is not None
    assert progress.asked_for is not None
    assert abs((progress.asked_for - asked_for).total_seconds()) < 0.1
    assert (progress.phase, str(progress.title)) == (
        Phase.STOPPED,
        "Your lab is not running",
    )
    assert marks(progress) == [
        "done: JupyterLab shut down",
        "done: What belonged to your lab is cleared away",
    ]
    assert "JupyterHub has stopped it" in str(progress.stopped_by)
    # Though the lab is forgotten, its user is led back to the form.
    assert progress.hub_path == "/nb/hub/spawn"
    assert progress.lab is not None


def test_a_deletion_in_progress(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control("POST", f"/namespaces/{NAMESPACE}/hold", {})
    with ThreadPoolExecutor(1) as thread:
        deletion = thread.submit(service.labs.delete, "rachel", Asker.OPERATOR)
        wait_for(lambda: "Clearing away" in now(service))
        progress = page(service)
        assert progress.phase is Phase.STOPPING
        assert "An operator of this platform" in str(progress.stopped_by)
        assert marks(progress) == [
            "done: JupyterLab shut down",
            "now: Clearing away what belonged to your lab",
        ]
        cluster.control("POST", f"/namespaces/{NAMESPACE}/release", {})
        deletion.result()


def test_who_stopped_a_lab_is_told(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    service.labs.delete("rachel", Asker.OPERATOR)
    assert "An operator of this platform" in str(page(service).stopped_by)
    deletion = service.history.of("rachel")[0]
    assert (deletion.kind, deletion.asker) == (HistoryKind.DELETION, Asker.OPERATOR)


# --- Cancelled --------------------------------------------------------------


def test_a_spawn_that_its_user_cancels(cluster: Cluster) -> None:
    service = stuck_spawn(cluster)
    assert service.labs.cancel("rachel", page(service).operation)
    assert page(service).phase is Phase.CANCELLED
    service.messages("rachel")
    progress = page(service)
    assert (progress.phase, progress.is_followed) == (Phase.CANCELLED, False)
    assert service.labs.table.state("rachel") is None


def test_who_else_cancels_a_spawn_is_told(cluster: Cluster) -> None:
    service = stuck_spawn(cluster)
    service.labs.delete("rachel", Asker.OPERATOR)
    progress = page(service)
    assert progress.phase is Phase.CANCELLED
    assert "An operator of this platform" in str(progress.stopped_by)


def test_an_old_page_cancels_nothing(cluster: Cluster) -> None:
    service = cluster.service()
    assert not service.labs.cancel("rachel", "")
    service.spawn("rachel")
    operation = page(service).operation
    assert not service.labs.cancel("rachel", operation)
    service.labs.delete("rachel")
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    begin(service)
    assert not service.labs.cancel("rachel", operation)
    assert page(service).phase is Phase.STARTING


def test_a_deletion_that_failed(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"method": "DELETE", "path": "/pods/", "status": 400})
    with pytest.raises(LabDeletionError):
        service.labs.delete("rachel")
    progress = page(service)
    assert str(progress.title) == "Your lab could not be shut down"
    assert "keeps your lab from being removed" in told(progress)
    assert marks(progress)[0] == "failed: Shut JupyterLab down"


# --- Right words, right advice ----------------------------------------------


def _no_secret(cluster: Cluster) -> None:
    cluster.call(lambda s: s.store.delete("Secret", "nublado", "nublado-lab-secret"))


def _no_key(cluster: Cluster) -> None:
    cluster.call(
        lambda s: s.store.mutate(
            "Secret", "nublado", "nublado-lab-secret", lambda obj: obj["data"].clear()
        )
    )


def _refuse(status: int, body: object) -> Strike:
    rule = {"method": "POST", "path": "/pods$", "status": status, "body": body}
    return lambda cluster: cluster.control.faults(rule)


@pytest.mark.parametrize(
    ("strike", "happened"),
    [
        (_no_secret, "not set up completely"),
        (_no_key, "not set up completely"),
        (_refuse(422, "oops"), "has refused something"),
        (_refuse(403, QUOTA), "more than you may use. Ask the operators"),
        (_refuse(403, {**QUOTA, "message": "no"}), "has refused something"),
    ],
)
def test_what_fails_before_the_pod_is_explained(
    cluster: Cluster, strike: Strike, happened: str
) -> None:
    strike(cluster)
    service = cluster.service()
    service.spawn("rachel")
    progress = page(service)
    assert str(progress.title) == "Your lab could not be started"
    assert happened in told(progress)
    assert marks(progress)[1] == "failed: Set up your lab"
    assert progress.hub_path == "/nb/hub/spawn"


def _finish(**options: object) -> Strike:
    return lambda cluster: cluster.control("POST", f"/pods/{POD}/finish", options)


def _vanish(cluster: Cluster) -> None:
    cluster.call(lambda s: s.store.delete("Pod", NAMESPACE, NAME, grace_seconds=0))


def _lose_its_node(cluster: Cluster) -> None:
    pod = cluster.call(lambda s: s.store.get("Pod", NAMESPACE, NAME))
    cluster.control("DELETE", f"/nodes/{pod['spec']['nodeName']}")


def _silence_its_node(cluster: Cluster) -> None:
    cluster.control.settings(eviction_seconds=0)
    pod = cluster.call(lambda s: s.store.get("Pod", NAMESPACE, NAME))
    cluster.control("POST", f"/nodes/{pod['spec']['nodeName']}/silence")


@pytest.mark.parametrize(
    ("strike", "happened"),
    [
        (
            _finish(exit_code=137, reason="OOMKilled"),
            "needed more than 3 GB of memory while it was starting. Choose Large, which"
            " has 64 GB.",
        ),
        (_finish(exit_code=1), "JupyterLab ended while it was starting"),
        (_finish(exit_code=0), "JupyterLab ended while it was starting"),
        (lambda cluster: cluster.control("POST", f"/pods/{POD}/evict"), "ran short"),
        (_vanish, "Somebody removed your lab"),
        (_lose_its_node, "The machine on which your lab was starting has failed"),
        (_silence_its_node, "The machine on which your lab was starting has failed"),
    ],
)
def test_what_becomes_of_the_pod_is_explained(
    cluster: Cluster, strike: Strike, happened: str
) -> None:
    service = stuck_spawn(cluster)
    strike(cluster)
    service.messages("rachel")
    assert happened in told(page(service))
    assert "smaller" not in told(page(service))


def _lose_nodes(cluster: Cluster) -> None:
    for node in ("node-1", "node-2", "node-3"):
        cluster.control("DELETE", f"/nodes/{node}")


def _fill_nodes(cluster: Cluster) -> None:
    def fill(sandbox: Any) -> None:
        for node in sandbox.store.list("Node"):
            sandbox.store.mutate(
                "Node",
                None,
                node["metadata"]["name"],
                lambda obj: obj["status"]["allocatable"].update(cpu="10m"),
            )

    cluster.call(fill)


def _fail_pulls(why: str) -> Strike:
    return lambda cluster: cluster.control.settings(
        failing_pulls=["sciplat/lab"], pull_failure=why
    )


def _settings(**settings: object) -> Strike:
    return lambda cluster: cluster.control.settings(**settings)


@pytest.mark.parametrize(
    ("strike", "while_waiting", "happened"),
    [
        (
            _fail_pulls("not-found"),
            "Fetching the image. The image does not seem to exist any more",
            "does not exist any more. Choose another image",
        ),
        (
            _fail_pulls("denied"),
            "Fetching the image. The image is not given out",
            "may not fetch the image",
        ),
        (
            _fail_pulls("unavailable"),
            "Fetching the image. The image cannot be fetched yet",
            "could not be fetched",
        ),
        (
            _lose_nodes,
            "Looking for a machine with enough room. No machine can take your lab yet",
            "No machine could take your lab",
        ),
        (
            _fill_nodes,
            "Looking for a machine with enough room. No machine has room",
            "No machine had room for a lab of this size",
        ),
        (
            _settings(pull_rules={"sciplat/lab": 60.0}),
            "Fetching the image. None",
            "Fetching the image that you chose took too long",
        ),
        (
            _settings(exits={"inithome": 1}),
            "Getting your home directory ready. That has failed, and is tried again. It"
            " has nothing to do with the image or the size",
            "has nothing to do with the image or the size that you chose. Tell",
        ),
        (
            _settings(init_seconds=60),
            "Getting your home directory ready. None",
            "Getting your home directory ready took too long",
        ),
        (
            _settings(scheduling_delay=60),
            "Looking for a machine with enough room. None",
            "No machine was found for your lab in time",
        ),
        (
            _settings(service_account_delay=60),
            "Setting up your lab. None",
            "took too long to set yours up",
        ),
    ],
)
def test_what_takes_too_long_is_explained(
    strike: Strike, while_waiting: str, happened: str
) -> None:
    with Cluster(spawn_timeout=4.0) as cluster:
        strike(cluster)
        service = cluster.service()
        begin(service)
        wait_for(lambda: while_waiting in now(service))
        reason = service.messages("rachel")[-2]
        assert reason.startswith("Lab spawn timed out after 4.0: ")
        assert happened in told(page(service))
        # The size is to blame only where room is; there is no smaller one.
        assert "smaller" not in told(page(service))


def test_a_lab_that_does_not_start_in_time() -> None:
    with Cluster(spawn_timeout=4.0) as cluster:
        # The init container has the image already, and starts at once.
        cluster.control.settings(pull_rules={"sciplat/lab": 0.5})
        service = cluster.service()
        begin(service)
        wait_for(lambda: "Fetching the image" in now(service))
        cluster.control.settings(start_delay=60)
        service.messages("rachel")
        assert "took too long to start JupyterLab" in told(page(service))
        assert marks(page(service))[-1] == "failed: Start JupyterLab"


def test_a_crash_loop_never_reads_as_if_all_were_well(cluster: Cluster) -> None:
    cluster.control.settings(exits={"inithome": 1}, pull_backoff=0.05)
    service = cluster.service()
    begin(service)
    operation = service.labs.operation("rachel")

    def attempts() -> int:
        events = operation.events.all()
        return sum(e.reason == "BackOff" for e in events)

    wait_for(lambda: "has failed" in now(service))
    wait_for(lambda: attempts() >= 1)
    assert "now: Getting your home directory ready" in marks(page(service))
    assert "ahead: Fetch the image" in marks(page(service))
    cluster.control.settings(exits={})
    service.messages("rachel")
    assert page(service).phase is Phase.RUNNING


def test_kubernetes_that_does_not_answer_is_no_refusal() -> None:
    with Cluster(spawn_timeout=60.0) as cluster:
        rule = {"method": "POST", "path": "/pods$", "status": 500, "body": "oops"}
        cluster.control.faults(rule)
        service = cluster.service()
        service.spawn("rachel")
        assert "did not answer" in told(page(service))


# --- It never lies ----------------------------------------------------------


@pytest.mark.parametrize(
    ("strike", "happened"),
    [
        (
            _finish(exit_code=137, reason="OOMKilled"),
            "needed more than 3 GB. What was not saved is lost. For this work, choose"
            " Large, which has 64 GB.",
        ),
        (_finish(exit_code=1), "JupyterLab has ended with an error"),
        (_finish(exit_code=0), "JupyterLab has ended, without an error"),
        (
            lambda cluster: cluster.control("POST", f"/pods/{POD}/evict"),
            "ran short of something and had to end it",
        ),
        (_vanish, "Somebody has removed your lab"),
        (_lose_its_node, "The machine that your lab ran on has failed"),
    ],
)
def test_what_becomes_of_a_lab_that_runs_is_told(
    cluster: Cluster, strike: Strike, happened: str
) -> None:
    service = cluster.service()
    service.spawn("rachel")
    before = page(service)
    strike(cluster)
    wait_for(lambda: page(service).phase is Phase.ENDED)
    wait_for(lambda: page(service).ends)
    ended = page(service)
    (end,) = ended.ends
    assert happened in f"{end.happened} {end.remedy}"
    assert ended.version != before.version
    assert ended.lab_path is None
    # JupyterHub finds it gone, and deletes what is left: that explains nothing.
    service.labs.delete("rachel")
    assert page(service).phase is Phase.ENDED
    assert page(service).ends == (end,)
    # The next lab is another matter.
    service.spawn("rachel")
    assert page(service).ends == ()


def test_a_restart_of_the_container_is_told(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control("POST", f"/pods/{POD}/kill", {"reason": "OOMKilled"})
    wait_for(lambda: page(service).ends)
    progress = page(service)
    assert progress.phase is Phase.RUNNING
    (end,) = progress.ends
    assert end.was_restarted
    assert "more than 3 GB of memory, and was started again" in str(end.happened)


def test_why_it_failed_is_not_hidden_by_clearing_away(cluster: Cluster) -> None:
    cluster.control.faults({"method": "POST", "path": "/pods$", "status": 422})
    service = cluster.service()
    service.spawn("rachel")
    failed = page(service)
    cluster.control("DELETE", "/faults")
    # JupyterHub does so after each start that fails.
    service.labs.delete("rachel")
    progress = page(service)
    assert told(progress) == told(failed)
    assert marks(progress)[-1] == marks(failed)[-1]
    assert [event.message for event in progress.events] == [
        event.message for event in failed.events
    ]
    # An operator who deletes a lab that failed does hide it.
    service.spawn("rachel")
    service.labs.delete("rachel", Asker.OPERATOR)
    assert page(service).phase is Phase.STOPPED


def test_what_has_happened_is_told_in_its_order(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    _finish(exit_code=3)(cluster)
    wait_for(lambda: page(service).ends)
    service.labs.delete("rachel")
    progress = page(service)
    moments = [event.moment for event in progress.events]
    assert moments == sorted(moments)
    assert progress.events[0].message == progress.ends[0].details
    assert progress.events[-1].message == "Lab for rachel deleted"


def test_reconciliation_does_not_hide_it_either(cluster: Cluster) -> None:
    cluster.control.faults({"method": "POST", "path": "/pods$", "status": 422})
    service = cluster.service()
    service.spawn("rachel")
    failed = page(service)
    cluster.control("DELETE", "/faults")
    service.reconciler.reconcile()
    wait_for(lambda: service.labs.table.state("rachel") is None)
    assert told(page(service)) == told(failed)


def test_what_may_be_out_of_date_says_so(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    before = page(service)
    assert not before.is_blind
    cluster.control("POST", "/restart", {"away": 3})
    wait_for(lambda: page(service).is_blind)
    assert page(service).version != before.version
    wait_for(lambda: page(service).version == before.version)


# --- After a restart of the service ------------------------------------------


def test_a_lab_that_ended_while_nobody_looked_is_told(cluster: Cluster) -> None:
    earlier = cluster.service()
    earlier.spawn("rachel")
    earlier.stop()
    cluster.control(
        "POST", f"/pods/{POD}/finish", {"exit_code": 137, "reason": "OOMKilled"}
    )
    service = cluster.service()
    service.reconciler.reconcile()
    wait_for(lambda: service.labs.table.state("rachel") is None)
    progress = page(service)
    assert progress.phase is Phase.ENDED
    (end,) = progress.ends
    assert "needed more than 3 GB" in str(end.happened)


def test_a_lab_that_runs_is_told_with_its_own_times(cluster: Cluster) -> None:
    earlier = cluster.service()
    earlier.spawn("rachel")
    before = page(earlier)
    earlier.stop()
    service = cluster.service()
    service.reconciler.reconcile()
    progress = page(service)
    assert progress.phase is Phase.RUNNING
    assert (progress.node, progress.image) == (before.node, before.image)
    assert {step.mark for step in progress.steps} == {Mark.DONE}
    # Kubernetes counts whole seconds.
    assert progress.seconds <= before.seconds + 2
    seconds = [step.seconds for step in progress.steps if step.seconds is not None]
    assert sum(seconds) == pytest.approx(progress.seconds, abs=0.01)


def test_a_spawn_that_is_resumed_knows_what_has_happened(cluster: Cluster) -> None:
    cluster.control.settings(pull_rules={"sciplat/lab": 600.0})
    earlier = cluster.service()
    begin(earlier)
    wait_for(lambda: "Fetching the image" in now(earlier))
    earlier.stop()
    service = cluster.service()
    # Events are watched for somebody else already, and come only once.
    service.labs.create(user("mary"), SPECIFICATION)
    log = service.labs.operation("mary").events
    wait_for(lambda: any(event.reason == "Pulling" for event in log.all()))
    service.reconciler.reconcile()
    wait_for(lambda: "Fetching the image" in now(service))
    assert "done: Home directory ready" in marks(page(service))


def test_places_that_are_not_known_are_not_linked(cluster: Cluster) -> None:
    service = cluster.service()
    service.labs.create(user("rachel"), replace(SPECIFICATION, env={}))
    service.messages("rachel")
    assert (page(service).lab_path, page(service).hub_path) == (None, None)


# --- Estimates --------------------------------------------------------------


def test_the_first_spawns_are_not_estimated_and_later_ones_are(
    cluster: Cluster,
) -> None:
    service = cluster.service()
    for username in ("one", "two", "three"):
        service.spawn(username)
    cluster.control.settings(pull_rules={"sciplat/lab": 60})
    for node in ("node-1", "node-2", "node-3"):
        image = service.labs.state("one").options.image
        cluster.control("DELETE", f"/nodes/{node}/images", {"image": image})
    begin(service)
    wait_for(lambda: "Fetching the image" in now(service))
    estimate = page(service).estimate
    assert estimate is not None
    assert estimate.fetched
    assert 0 < estimate.seconds < 30
    assert not page(service).is_late


def test_the_support_text_has_what_helps_and_no_digest_cut(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    progress = page(service)
    operation = service.labs.operation("rachel")
    assert f"(request {operation.request_id})" in progress.support
    assert "User: rachel" in progress.support
    assert re.search(r"Image: \S+@sha256:[0-9a-f]{64}$", progress.support, re.MULTILINE)
    assert re.search(r"Node: node-[123]$", progress.support, re.MULTILINE)
    assert "complete: Lab Kubernetes pod started" in progress.support
