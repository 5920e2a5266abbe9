"""The API server goes away, comes back, and has forgotten things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.conftest import Cluster

NAMESPACES = "/api/v1/namespaces"
USER = "system:serviceaccount:nublado:nublado"


def is_refused(cluster: Cluster) -> bool:
    try:
        cluster.ask("GET", "/version")
    except requests.ConnectionError as e:
        return "Connection refused" in str(e)
    return False


def is_back(cluster: Cluster) -> bool:
    return not cluster.control("GET", "/restart")["away"]


def test_restart_cuts_and_refuses_connections(cluster: Cluster) -> None:
    with cluster.watch(NAMESPACES, resourceVersion=cluster.version()) as events:
        cluster.control("POST", "/restart", {"away": 30})
        with pytest.raises(requests.RequestException):
            list(events)
    Cluster.until(lambda: is_refused(cluster))
    with pytest.raises(requests.HTTPError, match="409"):
        cluster.control("POST", "/restart")


def test_server_that_is_back_refuses_everything_as_forbidden(cluster: Cluster) -> None:
    cluster.control("POST", "/restart", {"away": 0.1, "forbidden": 300})
    Cluster.until(lambda: is_back(cluster))
    answer = cluster.ask("POST", NAMESPACES, {"metadata": {"name": "userlabs-a"}})
    assert answer.status_code == 403
    assert "Retry-After" not in answer.headers
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'namespaces is forbidden: User "{USER}" cannot create resource'
        ' "namespaces" in API group "" at the cluster scope',
        "reason": "Forbidden",
        "details": {"kind": "namespaces"},
        "code": 403,
    }
    assert message(cluster.ask("GET", f"{NAMESPACES}/lab/pods/nb")) == (
        f'pods "nb" is forbidden: User "{USER}" cannot get resource "pods" in API'
        ' group "" in the namespace "lab"'
    )
    assert message(cluster.ask("GET", "/apis/batch/v1/jobs?watch=1")) == (
        f'jobs.batch is forbidden: User "{USER}" cannot watch resource "jobs" in API'
        ' group "batch" at the cluster scope'
    )
    assert cluster.ask("GET", "/readyz").status_code == 200


def test_roles_are_known_again_after_a_while(cluster: Cluster) -> None:
    before = cluster.get(f"{NAMESPACES}/default")
    cluster.control("POST", "/restart", {"away": 0.1, "forbidden": 0.2})
    Cluster.until(lambda: is_back(cluster))
    Cluster.until(lambda: cluster.ask("GET", NAMESPACES).status_code == 200)
    assert cluster.get(f"{NAMESPACES}/default") == before


def test_versions_of_before_a_restart_have_expired(cluster: Cluster) -> None:
    old = cluster.version()
    cluster.create(NAMESPACES, "new")
    cluster.control("POST", "/restart", {"away": 0, "forbidden": 0})
    Cluster.until(lambda: is_back(cluster))
    assert error_in_watch(cluster, old)["code"] == 410


def test_bookmarks_are_late_after_a_restart(cluster: Cluster) -> None:
    cluster.control.faults(bookmark_interval=0.05)
    how = {"away": 0, "forbidden": 0, "bookmark_delay": 300}
    assert bookmarks_in_a_second(cluster) > 0
    cluster.control("POST", "/restart", how)
    Cluster.until(lambda: is_back(cluster))
    assert bookmarks_in_a_second(cluster) == 0


def test_restore_goes_back_to_the_backup(cluster: Cluster) -> None:
    cluster.create(NAMESPACES, "kept")
    cluster.until(
        lambda: len(cluster.get(f"{NAMESPACES}/kept/configmaps")["items"]) > 0
    )
    backup = cluster.control("POST", "/backup")
    for number in range(5):
        cluster.create(NAMESPACES, f"lost-{number}")
    cluster.ask("DELETE", f"{NAMESPACES}/kept")
    remembered = cluster.version()
    cluster.control("POST", "/restore", {"away": 0, "forbidden": 0})
    Cluster.until(lambda: is_back(cluster))
    names = {n["metadata"]["name"] for n in cluster.get(NAMESPACES)["items"]}
    assert "kept" in names
    assert not any(name.startswith("lost") for name in names)
    assert int(cluster.version()) < int(remembered)
    assert int(cluster.version()) >= backup["version"]
    query = f"watch=1&resourceVersion={remembered}"
    answer = cluster.ask("GET", f"{NAMESPACES}?{query}")
    assert answer.status_code == 504
    assert "Too large resource version" in message(answer)


def test_restored_cluster_goes_on(lab: Cluster) -> None:
    lab.running_pod()
    lab.control("POST", "/backup")
    lab.ask("DELETE", f"{NAMESPACES}/lab/pods/nb")
    lab.until(lambda: lab.ask("GET", f"{NAMESPACES}/lab/pods/nb").status_code == 404)
    lab.control("POST", "/restore", {"away": 0, "forbidden": 0})
    lab.until(lambda: is_back(lab))
    assert lab.get(f"{NAMESPACES}/lab/pods/nb")["status"]["phase"] == "Running"
    lab.lab_pod("another")
    lab.pod_that(lambda pod: pod["status"]["phase"] == "Running", "another")
    lab.ask("DELETE", f"{NAMESPACES}/lab/pods/nb")
    lab.until(lambda: lab.ask("GET", f"{NAMESPACES}/lab/pods/nb").status_code == 404)


def test_restore_needs_a_backup(cluster: Cluster) -> None:
    with pytest.raises(requests.HTTPError, match="409"):
        cluster.control("POST", "/restore")


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        ("too-large", 504, "Timeout: Too large resource version: "),
        ("compacted", 500, "etcdserver: mvcc: required revision has been compacted"),
        ("bad-request", 400, "resourceVersion: Invalid value: "),
        ("expired", 410, "too old resource version: "),
    ],
)
@pytest.mark.parametrize("form", ["status", "event"])
def test_remembered_versions_are_refused_for_ever(
    cluster: Cluster, answer: str, code: int, text: str, form: str
) -> None:
    remembered = cluster.version()
    with cluster.watch(NAMESPACES, resourceVersion=remembered) as events:
        cluster.control("PUT", "/versions/refused", {"answer": answer, "form": form})
        assert list(events) == []
    for _ in range(3):
        status = refusal(cluster, remembered, form)
        assert (status["kind"], status["code"]) == ("Status", code)
        assert text in status["message"]
        cluster.create(NAMESPACES, f"n{cluster.version()}")
    listed = cluster.ask("GET", f"{NAMESPACES}?resourceVersion={remembered}")
    assert listed.status_code == code

    with cluster.watch(NAMESPACES, resourceVersion=cluster.version()) as events:
        cluster.create(NAMESPACES, "seen")
        assert next(events)["object"]["metadata"]["name"] == "seen"
    cluster.control("DELETE", "/versions/refused")
    with cluster.watch(NAMESPACES, resourceVersion=remembered) as events:
        assert next(events)["type"] == "ADDED"


def test_what_makes_no_sense_is_refused(cluster: Cluster) -> None:
    for path, body in (
        ("/restart", {"away": -1}),
        ("/restart", {"absence": 1}),
        ("/restore", {"away": "long"}),
    ):
        with pytest.raises(requests.HTTPError, match=r"4(22|09)"):
            cluster.control("POST", path, body)
    with pytest.raises(requests.HTTPError, match="422"):
        cluster.control("PUT", "/versions/refused", {"answer": "no"})


def message(answer: requests.Response) -> str:
    return str(answer.json()["message"])


def refusal(cluster: Cluster, version: str, form: str) -> JSON:
    if form == "event":
        return error_in_watch(cluster, version)
    query = f"watch=1&resourceVersion={version}"
    body: JSON = cluster.ask("GET", f"{NAMESPACES}?{query}").json()
    return body


def error_in_watch(cluster: Cluster, version: str) -> JSON:
    with cluster.watch(NAMESPACES, resourceVersion=version) as events:
        (event,) = events
    assert event["type"] == "ERROR"
    status: JSON = event["object"]
    return status


def bookmarks_in_a_second(cluster: Cluster) -> int:
    query: dict[str, Any] = {"allowWatchBookmarks": "true", "timeoutSeconds": 1}
    query["resourceVersion"] = cluster.version()
    with cluster.watch(NAMESPACES, **query) as events:
        return count_bookmarks(events)


def count_bookmarks(events: Iterator[JSON]) -> int:
    return sum(event["type"] == "BOOKMARK" for event in events)
