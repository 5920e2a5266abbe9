"""Requests to Kubernetes: errors, overload, lost connections and answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kubernetes import client as kubernetes
from structlog.testing import capture_logs

from nublado.exceptions import (
    KubernetesConflictError,
    KubernetesError,
    LabDeletionError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.cluster import Sandbox
from nublado.storage.kubernetes.client import KubernetesClient, Target
from nublado.storage.kubernetes.cluster import Cluster as Objects
from nublado.storage.kubernetes.resource import CONFIG_MAP, NAMESPACE, POD, SECRET
from nublado.timeout import Timeout
from tests.cluster import Cluster, timeout
from tests.scripted_server import Reply, ScriptedServer
from tests.waiting import wait_for


def config_map(name: str = "colours", **data: str) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data or {"sky": "blue"},
    }


@pytest.fixture
def objects(cluster: Cluster) -> Objects:
    return Objects(cluster.client())


def test_requests_carry_the_credentials_of_the_kubeconfig(
    outside: ScriptedServer, tmp_path: Path
) -> None:
    kubeconfig = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": {"server": outside.url}}],
        "users": [{"name": "me", "user": {"token": "open sesame"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(kubeconfig))
    outside.default = Reply(body=b"{}")
    client = KubernetesClient.connect(str(file))
    try:
        query: dict[str, str | int] = {"labelSelector": "app=lab,tier!=x y"}
        query["limit"] = 5
        client.request("GET", "/api/v1/pods", Target("", "Pod"), timeout(), query=query)
        watch = client.watch("/api/v1/pods", Target("", "Pod"), {"watch": "true"}, 9.0)
        assert watch.read() == b"{}"
    finally:
        client.close()
    listed, watched = outside.wait_received(2)
    assert listed.path == (
        "/api/v1/pods?labelSelector=app%3Dlab%2Ctier%21%3Dx+y&limit=5"
    )
    assert watched.path == "/api/v1/pods?watch=true"
    for request in (listed, watched):
        assert request.headers["authorization"] == "Bearer open sesame"
        assert request.headers["user-agent"].startswith("nublado/")
        assert request.headers["accept"] == "application/json"


def test_create_read_list_delete(objects: Objects) -> None:
    for number in range(3):
        objects.create(config_map(f"map{number}"), timeout())
    found = objects.read(CONFIG_MAP.at("default", "map1"), timeout())
    assert found is not None
    assert found["data"] == {"sky": "blue"}
    assert objects.read(CONFIG_MAP.at("default", "none"), timeout()) is None
    listed = objects.list(
        CONFIG_MAP, timeout(), namespace="default", fields="metadata.name=map2"
    )
    assert [obj["metadata"]["name"] for obj in listed] == ["map2"]
    uid = found["metadata"]["uid"]
    objects.remove(CONFIG_MAP.at("default", "map1"), timeout(), uid="another")
    assert objects.read(CONFIG_MAP.at("default", "map1"), timeout())
    objects.remove(CONFIG_MAP.at("default", "map1"), timeout(), uid=uid)
    assert objects.read(CONFIG_MAP.at("default", "map1"), timeout()) is None
    objects.remove(CONFIG_MAP.at("default", "map1"), timeout())


def test_errors_say_what_was_attempted(cluster: Cluster, objects: Objects) -> None:
    objects.create(config_map(), timeout())
    with pytest.raises(KubernetesConflictError) as conflict:
        objects.create(config_map(), timeout())
    start = "Error creating object (ConfigMap default/colours, status 409): "
    assert str(conflict.value).startswith(start)
    cluster.control.faults({"method": "GET", "status": 400, "body": "nonsense"})
    with pytest.raises(KubernetesError) as failure:
        objects.read(POD.at("default", "x"), timeout())
    expected = "Error reading object (Pod default/x, status 400): nonsense"
    assert str(failure.value) == expected
    with pytest.raises(KubernetesError) as failure:
        list(objects.list(NAMESPACE, timeout()))
    expected = "Error listing namespaces (Namespace, status 400): nonsense"
    assert str(failure.value) == expected


def test_errors_about_secrets_do_not_quote_them(
    cluster: Cluster, objects: Objects
) -> None:
    cluster.control.faults({"status": 422, "body": "invalid value: hunter2"})
    secret = {**config_map(), "kind": "Secret"}
    with pytest.raises(KubernetesError) as failure:
        objects.create(secret, timeout())
    expected = "Error creating object (Secret default/colours, status 422)"
    assert str(failure.value) == expected


@pytest.mark.parametrize("status", [429, 503])
def test_overload_is_waited_for(
    cluster: Cluster, objects: Objects, status: int
) -> None:
    rule = {"method": "POST", "status": status, "retry_after": 1, "count": 1}
    cluster.control.faults(rule)
    began = time.monotonic()
    objects.create(config_map(), timeout())
    assert time.monotonic() - began >= 1.0


def test_creates_that_collide_over_a_quota_are_repeated(
    cluster: Cluster, objects: Objects
) -> None:
    # Nothing was created then; "AlreadyExists" is the other 409.
    cluster.control.faults({"method": "POST", "status": 409, "count": 3})
    objects.ensure(config_map(), timeout())
    assert objects.read(CONFIG_MAP.at("default", "colours"), timeout())


def test_connections_that_break_several_times(
    cluster: Cluster, objects: Objects
) -> None:
    cluster.control.faults({"method": "POST", "drop": "before", "count": 4})
    objects.create(config_map(), timeout())
    assert objects.read(CONFIG_MAP.at("default", "colours"), timeout())


def test_deletions_that_collide_are_repeated(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"method": "DELETE", "status": 409, "count": 6})
    service.labs.delete("rachel")
    assert not cluster.namespaces()


def test_overload_beyond_the_deadline_is_an_error(
    cluster: Cluster, objects: Objects
) -> None:
    cluster.control.faults({"status": 503, "retry_after": 10})
    with pytest.raises(KubernetesError, match="status 503"):
        objects.create(config_map(), timeout(2.0))


def test_other_errors_are_not_repeated(cluster: Cluster, objects: Objects) -> None:
    cluster.control.faults({"method": "POST", "status": 500})
    before = cluster.requests()
    with pytest.raises(KubernetesError, match="status 500"):
        objects.create(config_map(), timeout())
    assert cluster.requests() - before <= 1


def test_a_lost_answer_to_a_create_is_no_failure(
    cluster: Cluster, objects: Objects
) -> None:
    cluster.control.faults({"method": "POST", "drop": "after", "count": 1})
    created = objects.create(config_map(), timeout())
    assert created["metadata"]["uid"]
    cluster.control.faults({"method": "POST", "drop": "after", "count": 1})
    secret = {**config_map("secret"), "kind": "Secret", "data": {}}
    objects.create(secret, timeout())
    assert objects.read(SECRET.at("default", "secret"), timeout()) is not None


def test_an_object_of_other_content_is_a_conflict(
    cluster: Cluster, objects: Objects
) -> None:
    objects.create(config_map(sky="grey"), timeout())
    cluster.control.faults({"method": "POST", "drop": "before", "count": 1})
    with pytest.raises(KubernetesConflictError):
        objects.create(config_map(sky="blue"), timeout())


def test_cancellation_ends_a_wait_between_attempts(
    cluster: Cluster, objects: Objects
) -> None:
    cluster.control.faults({"status": 503, "retry_after": 8})
    limit = timeout(60)
    threading.Timer(0.2, limit.cancellation.cancel).start()
    began = time.monotonic()
    with pytest.raises(OperationCancelledError):
        objects.create(config_map(), limit)
    assert time.monotonic() - began < 5


def test_no_request_is_made_after_the_deadline(objects: Objects) -> None:
    expired = Timeout("Lab spawn", 600.0, elapsed=600.0)
    with pytest.raises(OperationTimeoutError) as failure:
        objects.create(config_map(), expired)
    assert str(failure.value) == "Lab spawn timed out after 600.0"


def test_connections_are_bounded(cluster: Cluster, objects: Objects) -> None:
    cluster.control.faults({"path": "configmaps", "delay": 0.05})

    def read(_: int) -> None:
        objects.read(CONFIG_MAP.at("default", "none"), timeout())

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(read, range(200)))
    assert cluster.control.stats()["connections"]["kubernetes"]["peak"] <= 16


def test_deletion_waits_for_this_very_object(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults(silent=True)
    pod = POD.at("userlabs-rachel", "rachel-nb")
    service.cluster.remove(pod, timeout(), grace_seconds=1)
    service.cluster.remove(pod, timeout())
    assert service.cluster.read(pod, timeout()) is None


def test_deletion_of_a_namespace_that_is_going_already(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.settings(namespace_delay=0.3)

    def remove(sandbox: Sandbox) -> None:
        sandbox.store.delete("Namespace", None, "userlabs-rachel")

    cluster.call(remove)
    service.cluster.remove(NAMESPACE.at(None, "userlabs-rachel"), timeout())
    assert cluster.namespaces() == set()


def test_deletion_that_is_refused(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"method": "DELETE", "path": "/pods/", "status": 400})
    with pytest.raises(LabDeletionError):
        service.labs.delete("rachel")
    messages = service.messages("rachel")
    assert (
        "Error deleting object (Pod userlabs-rachel/rachel-nb, status 400)"
        in (messages[-2])
    )
    assert messages[-1] == "Lab delete failed"
    assert service.status("rachel") == "failed"


def test_a_redirect_is_never_taken_for_success(
    cluster: Cluster, objects: Objects
) -> None:
    objects.create(config_map(), timeout())
    cluster.control.faults({"method": "DELETE", "status": 302, "count": 2})
    objects.remove(CONFIG_MAP.at("default", "colours"), timeout())
    assert objects.read(CONFIG_MAP.at("default", "colours"), timeout()) is None
    cluster.control.faults({"method": "GET", "status": 302})
    with pytest.raises(KubernetesError, match="status 302"):
        objects.read(CONFIG_MAP.at("default", "colours"), timeout(20.0))


def test_retries_are_logged_with_reason_attempt_and_delay(
    cluster: Cluster, objects: Objects
) -> None:
    cluster.control.faults({"method": "POST", "status": 409, "count": 2})
    with capture_logs() as log:
        objects.create(config_map(), timeout())
    retries = [line for line in log if line["event"] == "Retrying Kubernetes request"]
    assert [(r["reason"], r["attempt"]) for r in retries] == [
        ("quota changed", 1),
        ("quota changed", 2),
    ]
    assert all(0 < r["delay"] <= 0.4 for r in retries)


def test_a_right_that_was_granted_is_waited_for(
    cluster: Cluster, objects: Objects
) -> None:
    body = {
        "kind": "Status",
        "reason": "Forbidden",
        "message": 'configmaps is forbidden: User "x" cannot create resource',
    }
    rule = {"method": "POST", "status": 403, "body": body}
    cluster.control.faults(rule)
    with pytest.raises(KubernetesError, match="status 403"):
        objects.create(config_map("first"), timeout())
    assert cluster.control("GET", "/faults")["rules"][0]["hits"] == 1
    cluster.control("DELETE", "/faults")
    objects.create(config_map("second"), timeout())
    cluster.control.faults({**rule, "count": 3})
    objects.create(config_map("third"), timeout())


def test_a_first_deletion_over_a_restart_of_the_api_server(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control("POST", "/restart", {"away": 0.5, "forbidden": 3})
    service.labs.delete("rachel")
    assert cluster.namespaces() == set()


def test_a_permission_that_is_missing_is_named_at_once(
    cluster: Cluster, objects: Objects
) -> None:
    message = (
        'configmaps is forbidden: User "x" cannot create resource "configmaps"'
        ' in API group "" in the namespace "default"'
    )
    body = {"kind": "Status", "reason": "Forbidden", "message": message}
    cluster.control.faults({"method": "POST", "status": 403, "body": body})
    with pytest.raises(KubernetesError) as failure:
        objects.create(config_map(), timeout())
    assert str(failure.value) == (
        f"Error creating object (ConfigMap default/colours, status 403): {message};"
        " grant the controller the verb create on configmaps, as the chart's RBAC does"
    )
    assert cluster.control("GET", "/faults")["rules"][0]["hits"] == 1


@pytest.fixture
def scripted(outside: ScriptedServer) -> Iterator[Objects]:
    configuration = kubernetes.Configuration()
    configuration.host = outside.url
    objects = Objects(KubernetesClient(configuration))
    yield objects
    objects.stop()


def reply(content: JSON, status: int = 200) -> Reply:
    return Reply(status=status, body=json.dumps(content).encode())


def test_a_create_that_has_used_its_own_quota_up_is_looked_up(
    outside: ScriptedServer, scripted: Objects
) -> None:
    quota = {"reason": "Forbidden", "message": "exceeded quota: users"}
    outside.replies = [Reply(drop=True), reply(quota, 403), reply(config_map())]
    assert scripted.create(config_map(), timeout()) == config_map()
    assert [r.method for r in outside.received] == ["POST", "POST", "GET"]


@pytest.mark.parametrize("found", [{}, {"deletionTimestamp": "2026-11-25T18:00:00Z"}])
def test_a_create_that_is_looked_up_in_vain_has_failed(
    outside: ScriptedServer, scripted: Objects, found: JSON
) -> None:
    other = config_map(sky="blue" if found else "grey")
    other["metadata"] |= found
    quota = {"reason": "Forbidden", "message": "exceeded quota: users"}
    outside.replies = [Reply(drop=True), reply(quota, 403), reply(other)]
    with pytest.raises(KubernetesError, match=r"status 403\): exceeded quota: users$"):
        scripted.create(config_map(sky="blue"), timeout())


def test_a_secret_of_unknown_fate_cannot_be_looked_up(
    outside: ScriptedServer, scripted: Objects
) -> None:
    quota = {"reason": "Forbidden", "message": "exceeded quota: hunter2"}
    outside.replies = [Reply(drop=True), reply(quota, 403)]
    with pytest.raises(KubernetesError) as failure:
        scripted.create({**config_map(), "kind": "Secret"}, timeout())
    assert str(failure.value) == (
        "Error creating object (Secret default/colours, status 403)"
    )


@pytest.mark.parametrize(
    "broken",
    [
        Reply(body=b'{"kind": "Confi', announced=500),
        Reply(body=b'{"kind": "Confi', announced=-1),
        Reply(body=b"<html><title>Log in</title></html>"),
        Reply(body=b"[]"),
    ],
    ids=["cut off", "cut off without length", "page", "no object"],
)
def test_responses_that_are_not_whole_are_no_success(
    outside: ScriptedServer, scripted: Objects, broken: Reply
) -> None:
    outside.replies = [broken, reply(config_map())]
    found = scripted.read(CONFIG_MAP.at("default", "colours"), timeout())
    assert found == config_map()


def test_errors_of_proxies_are_told_by_their_title(
    outside: ScriptedServer, scripted: Objects
) -> None:
    page = b"<html><head><title>501 Not Implemented</title></head><p>nginx</html>"
    outside.replies = [Reply(status=501, body=page)]
    with pytest.raises(KubernetesError) as failure:
        scripted.read(POD.at("default", "x"), timeout())
    expected = "Error reading object (Pod default/x, status 501): 501 Not Implemented"
    assert str(failure.value) == expected


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(status=302, headers={"Location": "/login"}),
        Reply(status=500, body=b"x", announced=9),
    ],
    ids=["redirect", "cut off"],
)
def test_a_watch_that_is_not_opened_is_an_error(
    outside: ScriptedServer, refusal: Reply
) -> None:
    configuration = kubernetes.Configuration()
    configuration.host = outside.url
    client = KubernetesClient(configuration)
    outside.replies = [refusal]
    with pytest.raises(KubernetesError):
        client.watch("/api/v1/pods", Target("", "Pod"), {}, 9.0)
    client.close()


def test_objects_that_nobody_watches_are_removed_by_uid(
    cluster: Cluster, objects: Objects
) -> None:
    ref = CONFIG_MAP.at("default", "colours")
    held = config_map()
    held["metadata"]["finalizers"] = ["example.org/x"]
    objects.create(held, timeout())
    with ThreadPoolExecutor(1) as pool:
        removal = pool.submit(objects.remove, ref, timeout(60))
        wait_for(lambda: _is_doomed(objects))
        assert not removal.done()
        # Another object takes its name at once.
        cluster.call(_replace_colours)
        removal.result(60)
    assert objects.read(ref, timeout()) is not None


def _is_doomed(objects: Objects) -> bool:
    found = objects.read(CONFIG_MAP.at("default", "colours"), timeout())
    return found is not None and "deletionTimestamp" in found["metadata"]


def _replace_colours(sandbox: Sandbox) -> None:
    def release(obj: JSON) -> None:
        obj["metadata"]["finalizers"] = []

    sandbox.store.mutate("ConfigMap", "default", "colours", release)
    if sandbox.store.find("ConfigMap", "default", "colours") is not None:
        sandbox.store.delete("ConfigMap", "default", "colours")
    sandbox.store.create("ConfigMap", config_map())
