"""Jobs whose pods are refused, and webhooks that refuse."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.conftest import CONTAINER, Cluster

JOBS = "/apis/batch/v1/namespaces/lab/jobs"
FULL_QUOTA = {
    "metadata": {"name": "full"},
    "spec": {"hard": {"limits.cpu": "500m", "pods": "5"}},
}


def make_job(cluster: Cluster, **spec: Any) -> JSON:
    template = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never", **spec}}
    return cluster.create(JOBS, "fs", spec={"template": template})


def refusal(cluster: Cluster) -> str:
    event = cluster.event("FailedCreate")
    assert event["type"] == "Warning"
    assert event["source"]["component"] == "job-controller"
    involved = event["involvedObject"]
    assert (involved["kind"], involved["name"]) == ("Job", "fs")
    assert cluster.get("/api/v1/namespaces/lab/pods")["items"] == []
    return str(event["message"])


def test_pod_security(cluster: Cluster) -> None:
    cluster.lab_namespace(**{"pod-security.kubernetes.io/enforce": "restricted"})
    make_job(cluster)
    assert re.fullmatch(
        r'Error creating: pods "fs-[a-z0-9]{5}" is forbidden: violates PodSecurity'
        r' "restricted:latest": allowPrivilegeEscalation != false \(container'
        r' "notebook" must set securityContext.allowPrivilegeEscalation=false\),'
        r" unrestricted capabilities .*",
        refusal(cluster),
    )


def test_quota(lab: Cluster) -> None:
    lab.ask("POST", "/api/v1/namespaces/lab/resourcequotas", FULL_QUOTA)
    make_job(lab)
    assert re.fullmatch(
        r'Error creating: pods "fs-[a-z0-9]{5}" is forbidden: exceeded quota: full,'
        r" requested: limits.cpu=1, used: limits.cpu=0, limited: limits.cpu=500m",
        refusal(lab),
    )


@pytest.mark.parametrize(
    ("webhook", "text"),
    [
        (
            {"deny": "image is not signed"},
            'Error creating: admission webhook "policy.example.com" denied the request:'
            " image is not signed",
        ),
        (
            {"fail": True},
            "Error creating: Internal error occurred: failed calling webhook"
            ' "policy.example.com": failed to call webhook: Post ',
        ),
    ],
)
def test_admission(lab: Cluster, webhook: JSON, text: str) -> None:
    webhook = {"name": "policy.example.com", "kinds": ["Pod"], **webhook}
    lab.control("PUT", "/webhooks", {"webhooks": [webhook]})
    make_job(lab)
    assert refusal(lab).startswith(text)


def test_job_tries_again_and_succeeds(lab: Cluster) -> None:
    webhook = {"kinds": ["Pod"], "namespace": "^lab$", "deny": "not now"}
    lab.control("PUT", "/webhooks", {"webhooks": [webhook]})
    make_job(lab)
    lab.until(lambda: sum(event["count"] for event in lab.events("FailedCreate")) >= 2)
    lab.control("PUT", "/webhooks", {"webhooks": []})
    created = lab.event("SuccessfulCreate")["message"]
    (pod,) = lab.get("/api/v1/namespaces/lab/pods")["items"]
    assert created == f"Created pod: {pod['metadata']['name']}"
    lab.pod_that(
        lambda found: found["status"]["phase"] == "Running", pod["metadata"]["name"]
    )
    lab.control("POST", f"/pods/lab/{pod['metadata']['name']}/finish", {})
    assert lab.event("Completed")["message"] == "Job completed"


def test_job_that_fails_too_often_says_so(lab: Cluster) -> None:
    lab.control.settings(exits={"lab:w1": 1})
    template = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
    lab.create(JOBS, "fs", spec={"template": template, "backoffLimit": 0})
    event = lab.event("BackoffLimitExceeded")
    assert event["message"] == "Job has reached the specified backoff limit"


def test_webhook_refuses_clients_as_well(lab: Cluster) -> None:
    denial = {"kinds": ["ConfigMap"], "object_name": "^bad", "deny": "bad name"}
    lab.control("PUT", "/webhooks", {"webhooks": [denial]})
    path = "/api/v1/namespaces/lab/configmaps"
    lab.create(path, "good")
    answer = lab.ask("POST", path, {"metadata": {"name": "bad-one"}})
    assert answer.status_code == 403
    assert answer.json()["message"].endswith("denied the request: bad name")
    listed = lab.control("GET", "/webhooks")["webhooks"]
    assert [each["deny"] for each in listed] == ["bad name"]


def test_webhook_takes_labels_off(lab: Cluster) -> None:
    remover = {"kinds": ["ConfigMap"], "remove_labels": ["category"]}
    lab.control("PUT", "/webhooks", {"webhooks": [remover]})
    labels = {"category": "lab", "user": "rachel"}
    path = "/api/v1/namespaces/lab/configmaps"
    made = lab.create(path, "env", metadata={"labels": labels})
    assert made["metadata"]["labels"] == {"user": "rachel"}


def test_webhook_that_makes_no_sense_is_refused(cluster: Cluster) -> None:
    for webhook in ({"object_name": "("}, {"unknown": 1}):
        with pytest.raises(requests.HTTPError, match="422"):
            cluster.control("PUT", "/webhooks", {"webhooks": [webhook]})
