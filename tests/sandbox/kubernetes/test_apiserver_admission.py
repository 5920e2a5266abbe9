"""What the API server refuses, in which words, and what it fills in."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.quantities import canonical
from nublado.sandbox.kubernetes.store import ApiError, Store

NAMED: JSON = {"metadata": {"name": "files"}}


@pytest.fixture
def store() -> Store:
    store = Store()
    store.create("Namespace", {"metadata": {"name": "lab"}})
    store.create("ServiceAccount", {"metadata": {"name": "default"}}, "lab")
    return store


def refusal(store: Store, kind: str, obj: JSON, namespace: str = "lab") -> ApiError:
    with pytest.raises(ApiError) as caught:
        store.create(kind, obj, namespace)
    return caught.value


def test_missing_namespace(store: Store) -> None:
    error = refusal(store, "ConfigMap", {"metadata": {"name": "cm"}}, "no")
    assert (error.code, str(error)) == (404, 'namespaces "no" not found')


def test_terminating_namespace(store: Store) -> None:
    store.delete("Namespace", None, "lab")
    error = refusal(store, "ConfigMap", {"metadata": {"name": "cm"}})
    assert error.code == 403
    assert str(error) == (
        'configmaps "cm" is forbidden: unable to create new content in namespace lab'
        " because it is being terminated"
    )
    causes = error.status()["details"]["causes"]
    assert [cause["reason"] for cause in causes] == ["NamespaceTerminating"]


def test_existing_name(store: Store) -> None:
    store.create("Job", job(), "lab")
    error = refusal(store, "Job", job())
    assert (error.code, error.reason) == (409, "AlreadyExists")
    assert str(error) == 'jobs.batch "job" already exists'


def job() -> JSON:
    container = {"name": "c", "image": "x"}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    return {"metadata": {"name": "job"}, "spec": {"template": template}}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_ingress_of_an_address(store: Store, host: str) -> None:
    rules = [{"host": "data.example.org"}, {"host": host}]
    error = refusal(store, "Ingress", {**NAMED, "spec": {"rules": rules}})
    assert error.code == 422
    assert str(error) == (
        'Ingress.networking.k8s.io "files" is invalid: spec.rules[1].host: Invalid'
        f' value: "{host}": must be a DNS name, not an IP address'
    )


def test_ingress_of_a_name(store: Store) -> None:
    for host in ("localhost", "data.example.org", "*.example.org"):
        spec = {"rules": [{"host": host}]}
        store.create("Ingress", {"metadata": {"name": "f"}, "spec": spec}, "lab")
        store.delete("Ingress", "lab", "f")
    spec = {"rules": [{"host": "Data.example.org"}]}
    error = refusal(store, "Ingress", {**NAMED, "spec": spec})
    assert "a lowercase RFC 1123 subdomain" in str(error)


def test_missing_service_account(store: Store, pod: JSON) -> None:
    store.delete("ServiceAccount", "lab", "default")
    error = refusal(store, "Pod", pod)
    assert error.code == 403
    assert str(error) == (
        'pods "nb" is forbidden: error looking up service account lab/default:'
        ' serviceaccount "default" not found'
    )


def test_pod_is_completed(store: Store, pod: JSON) -> None:
    created = store.create("Pod", pod, "lab")
    spec = created["spec"]
    assert created["status"] == {"phase": "Pending", "qosClass": "Burstable"}
    assert spec["serviceAccountName"] == "default"
    assert spec["restartPolicy"] == "Always"
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert spec["containers"][0]["resources"] == {
        "limits": {"cpu": "2", "memory": "4Gi"},
        "requests": {"cpu": "500m", "memory": "1Gi"},
    }
    assert len(spec["tolerations"]) == 2
    assert spec["volumes"][0]["name"].startswith("kube-api-access-")


def test_pod_without_token(store: Store, pod: JSON) -> None:
    pod["spec"]["automountServiceAccountToken"] = False
    assert "volumes" not in store.create("Pod", pod, "lab")["spec"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        (
            {"containers": [{"name": "A", "image": "x"}]},
            'spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label',
        ),
        (
            {"containers": [{"name": "a", "image": "x"}] * 2},
            'spec.containers[1].name: Duplicate value: "a"',
        ),
        (
            {
                "containers": [
                    {
                        "name": "a",
                        "image": "x",
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                    }
                ]
            },
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {
                "containers": [
                    {"name": "a", "image": "x", "resources": {"limits": {"cpu": "x"}}}
                ]
            },
            "spec.containers[0].resources.limits[cpu]: Invalid value:",
        ),
        (
            {
                "containers": [
                    {
                        "name": "a",
                        "image": "x",
                        "resources": {"limits": {"cpu": 1}, "requests": {"cpu": 2}},
                    }
                ]
            },
            "must be less than or equal to cpu limit of 1",
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
            "may not specify more than 1 volume type",
        ),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy: Unsupported value"),
    ],
)
def test_invalid_pod(store: Store, pod: JSON, change: JSON, message: str) -> None:
    pod["spec"] |= change
    error = refusal(store, "Pod", pod)
    assert (error.code, error.reason) == (422, "Invalid")
    assert str(error).startswith('Pod "nb" is invalid: ')
    assert message in str(error)
    assert error.status()["details"]["causes"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"name": "Nb"}, 'metadata.name: Invalid value: "Nb"'),
        ({"name": ""}, "name or generateName is required"),
        ({"name": "a", "labels": {"k": "v!"}}, 'metadata.labels: Invalid value: "v!"'),
        ({"name": "a", "labels": {"-k": "v"}}, "name part must consist of"),
        ({"name": "a", "annotations": {"k": "x" * 300_000}}, "Too long"),
    ],
)
def test_invalid_metadata(store: Store, metadata: JSON, message: str) -> None:
    error = refusal(store, "ConfigMap", {"metadata": metadata})
    assert error.code == 422
    assert message in str(error)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("ConfigMap", {"data": {"number": 1}}),
        ("ConfigMap", {"data": ["list"]}),
        ("Secret", {"data": {"key": "not base64!"}}),
        ("Pod", {"spec": "text"}),
        ("Pod", {"spec": {"containers": ["text"]}}),
    ],
)
def test_wrong_types_are_bad_requests(store: Store, kind: str, fields: JSON) -> None:
    error = refusal(store, kind, {"metadata": {"name": "x"}} | fields)
    assert (error.code, error.reason) == (400, "BadRequest")
    assert f'{kind} in version "v1" cannot be handled as a {kind}' in str(error)


def test_data_is_limited(store: Store) -> None:
    data = {"big": "x" * (1024 * 1024 + 1)}
    error = refusal(store, "ConfigMap", {"metadata": {"name": "cm"}, "data": data})
    assert "Too long: may not be more than 1048576 bytes" in str(error)


def test_immutable_data_cannot_be_changed(store: Store) -> None:
    obj = {"metadata": {"name": "cm"}, "immutable": True, "data": {"a": "b"}}
    created = store.create("ConfigMap", obj, "lab")
    store.replace("ConfigMap", created)
    with pytest.raises(ApiError, match="field is immutable when `immutable` is set"):
        store.replace("ConfigMap", created | {"data": {"a": "c"}})


def test_pod_specification_cannot_be_changed(store: Store, pod: JSON) -> None:
    created = store.create("Pod", pod, "lab")
    with pytest.raises(ApiError, match="pod updates may not change fields") as caught:
        store.replace("Pod", created | {"spec": created["spec"] | {"hostname": "h"}})
    assert caught.value.code == 422


def test_status_and_the_rest_are_updated_apart(store: Store, pod: JSON) -> None:
    created = store.create("Pod", pod, "lab")
    labelled = created["metadata"] | {"labels": {"new": "yes"}}
    changed = created | {"metadata": labelled, "status": {"phase": "Running"}}
    updated = store.replace("Pod", changed, subresource="status")
    assert updated["status"] == {"phase": "Running"}
    assert updated["metadata"]["labels"] == {"app": "lab"}
    del labelled["resourceVersion"]
    updated = store.replace("Pod", changed | {"status": {"phase": "Failed"}})
    assert updated["status"] == {"phase": "Running"}
    assert updated["metadata"]["labels"] == {"new": "yes"}


def test_generation_counts_changes_of_the_specification(store: Store) -> None:
    ingress: JSON = {"metadata": {"name": "i"}, "spec": {"rules": [{"host": "a"}]}}
    created = store.create("Ingress", ingress, "lab")
    assert created["metadata"]["generation"] == 1
    updated = store.replace("Ingress", created | {"spec": {"rules": [{"host": "b"}]}})
    assert updated["metadata"]["generation"] == 2


def test_secrets_take_text(store: Store) -> None:
    obj = {"metadata": {"name": "s"}, "stringData": {"key": "täxt"}}
    secret = store.create("Secret", obj, "lab")
    assert base64.b64decode(secret["data"]["key"]).decode() == "täxt"
    assert secret["type"] == "Opaque"
    assert "stringData" not in secret


def test_services_get_an_address(store: Store) -> None:
    spec = {"ports": [{"port": 8888}]}
    services = [
        store.create("Service", {"metadata": {"name": name}, "spec": spec}, "lab")
        for name in ("a", "b")
    ]
    assert len({service["spec"]["clusterIP"] for service in services}) == 2
    assert services[0]["spec"]["ports"][0]["targetPort"] == 8888


def test_jobs_select_their_pods(store: Store) -> None:
    created = store.create("Job", job(), "lab")
    labels = created["spec"]["template"]["metadata"]["labels"]
    assert labels["job-name"] == "job"
    assert labels["controller-uid"] == created["metadata"]["uid"]
    assert created["spec"]["backoffLimit"] == 6
    assert created["spec"]["selector"]["matchLabels"].items() <= labels.items()


def quota(**hard: str) -> JSON:
    amounts = {name.replace("_", "."): text for name, text in hard.items()}
    return {"metadata": {"name": "quota"}, "spec": {"hard": amounts}}


def test_quota_is_accounted_and_enforced(store: Store, pod: JSON) -> None:
    store.create("ResourceQuota", quota(limits_cpu="3.0", limits_memory="6Gi"), "lab")
    store.create("Pod", pod, "lab")
    status = store.get("ResourceQuota", "lab", "quota")["status"]
    assert status == {
        "hard": {"limits.cpu": "3", "limits.memory": "6Gi"},
        "used": {"limits.cpu": "2", "limits.memory": "4Gi"},
    }
    pod["metadata"]["name"] = "second"
    error = refusal(store, "Pod", pod)
    assert error.code == 403
    assert str(error) == (
        'pods "second" is forbidden: exceeded quota: quota, requested:'
        " limits.cpu=2,limits.memory=4Gi, used: limits.cpu=2,limits.memory=4Gi,"
        " limited: limits.cpu=3,limits.memory=6Gi"
    )
    store.delete("Pod", "lab", "nb")
    used = store.get("ResourceQuota", "lab", "quota")["status"]["used"]
    assert used == {"limits.cpu": "0", "limits.memory": "0"}
    store.create("Pod", pod, "lab")


def test_quota_wants_limits_stated(store: Store, pod: JSON) -> None:
    store.create("ResourceQuota", quota(limits_cpu="3"), "lab")
    del pod["spec"]["containers"][0]["resources"]
    error = refusal(store, "Pod", pod)
    assert "failed quota: quota: must specify limits.cpu for: notebook" in str(error)


def test_quota_ignores_pods_that_have_ended(store: Store, pod: JSON) -> None:
    store.create("ResourceQuota", quota(limits_cpu="2", pods="5"), "lab")
    store.create("Pod", pod, "lab")

    def end(obj: JSON) -> None:
        obj["status"]["phase"] = "Succeeded"

    store.mutate("Pod", "lab", "nb", end)
    pod["metadata"]["name"] = "second"
    store.create("Pod", pod, "lab")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", "500m"),
        ("2.0", "2"),
        (2, "2"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("3221225472", "3221225472"),
        ("1000000", "1M"),
        ("1e3", "1k"),
        ("0", "0"),
    ],
)
def test_quantities_are_rewritten(text: Any, expected: str) -> None:
    assert canonical(text) == expected
