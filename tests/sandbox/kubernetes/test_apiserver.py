"""The API server as the official client, and plain HTTP, see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kubernetes import client, dynamic

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.kubernetes.conftest import RunningApi

CONFIG_MAPS = "/api/v1/namespaces/lab/configmaps"


def make_config_maps(api: RunningApi, count: int) -> None:
    for number in range(count):
        api.create("ConfigMap", f"cm-{number}", "lab")


def test_life_of_an_object(core: client.CoreV1Api) -> None:
    body = client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name="cm", labels={"a": "b"}), data={"k": "v"}
    )
    created = core.create_namespaced_config_map("lab", body)
    read = core.read_namespaced_config_map("cm", "lab")
    assert read.metadata.uid == created.metadata.uid
    assert read.data == {"k": "v"}
    read.data["k"] = "w"
    replaced = core.replace_namespaced_config_map("cm", "lab", read)
    assert int(replaced.metadata.resource_version) > int(read.metadata.resource_version)
    patched = core.patch_namespaced_config_map("cm", "lab", {"data": {"x": "y"}})
    assert patched.data == {"k": "w", "x": "y"}
    gone = core.delete_namespaced_config_map("cm", "lab")
    # A model in old releases of the client, a dictionary in new ones.
    assert core.api_client.sanitize_for_serialization(gone)["status"] == "Success"
    assert gone["details"]["uid"] == created.metadata.uid
    with pytest.raises(client.ApiException) as caught:
        core.read_namespaced_config_map("cm", "lab")
    assert caught.value.status == 404


def test_errors_are_statuses(api: RunningApi) -> None:
    status, body = api.request("GET", f"{CONFIG_MAPS}/none")
    assert status == 404
    assert body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "kind": "configmaps"},
        "code": 404,
    }


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/namespaces/lab/widgets", 404),
        ("GET", "/apis/no.group/v1/things", 404),
        ("GET", "/nothing", 404),
        ("POST", f"{CONFIG_MAPS}/cm", 405),
        ("PUT", CONFIG_MAPS, 405),
        ("GET", "/api/v1/namespaces/lab/configmaps/cm/status", 404),
        ("POST", CONFIG_MAPS, 400),
        ("GET", f"{CONFIG_MAPS}?limit=x", 400),
        ("GET", f"{CONFIG_MAPS}?continue=x", 400),
        ("GET", f"{CONFIG_MAPS}?labelSelector=a%3Db%3Dc", 400),
        ("GET", f"{CONFIG_MAPS}?resourceVersionMatch=Exact", 422),
        ("GET", f"{CONFIG_MAPS}?resourceVersion=999999", 504),
    ],
)
def test_senseless_requests(
    api: RunningApi, method: str, path: str, expected: int
) -> None:
    status, body = api.request(method, path, None if method == "GET" else ["list"])
    assert (status, body["kind"], body["code"]) == (expected, "Status", expected)


def test_unknown_body_format(api: RunningApi) -> None:
    status, body = api.request(
        "POST", CONFIG_MAPS, {}, "application/vnd.kubernetes.protobuf"
    )
    assert (status, body["reason"]) == (415, "UnsupportedMediaType")


def test_body_that_is_too_large(api: RunningApi) -> None:
    body = {"metadata": {"name": "cm"}, "data": {"k": "x" * 4_000_000}}
    status, answer = api.request("POST", CONFIG_MAPS, body)
    assert (status, answer["reason"]) == (413, "RequestEntityTooLarge")


def test_object_for_another_url_is_refused(api: RunningApi) -> None:
    for obj in (
        {"kind": "Secret"},
        {"apiVersion": "v2"},
        {"metadata": {"namespace": "other", "name": "cm"}},
    ):
        status, _ = api.request("POST", CONFIG_MAPS, {"metadata": {"name": "cm"}} | obj)
        assert status == 400


def test_lists_are_selected_and_versioned(
    api: RunningApi, core: client.CoreV1Api
) -> None:
    make_config_maps(api, 3)
    core.patch_namespaced_config_map(
        "cm-1", "lab", {"metadata": {"labels": {"a": "b"}}}
    )
    everywhere = core.list_config_map_for_all_namespaces(label_selector="a=b")
    assert [item.metadata.name for item in everywhere.items] == ["cm-1"]
    assert int(everywhere.metadata.resource_version) == api.store.version
    named = core.list_namespaced_config_map("lab", field_selector="metadata.name=cm-2")
    assert [item.metadata.name for item in named.items] == ["cm-2"]


def test_items_of_lists_do_not_repeat_their_kind(api: RunningApi) -> None:
    make_config_maps(api, 1)
    _, body = api.request("GET", CONFIG_MAPS)
    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert "kind" not in body["items"][0]


def test_pages_show_one_moment(api: RunningApi, core: client.CoreV1Api) -> None:
    make_config_maps(api, 5)
    first = core.list_namespaced_config_map("lab", limit=2)
    assert first.metadata.remaining_item_count == 3
    core.delete_namespaced_config_map("cm-3", "lab")
    api.create("ConfigMap", "cm-22", "lab")
    rest = core.list_namespaced_config_map("lab", _continue=first.metadata._continue)
    names = [item.metadata.name for item in (*first.items, *rest.items)]
    assert names == [f"cm-{number}" for number in range(5)]
    assert rest.metadata.resource_version == first.metadata.resource_version


def test_pages_expire_with_the_history(api: RunningApi, core: client.CoreV1Api) -> None:
    make_config_maps(api, 3)
    token = core.list_namespaced_config_map("lab", limit=2).metadata._continue
    api.create("ConfigMap", "another", "lab")
    api.do(lambda store: store.compact())
    with pytest.raises(client.ApiException) as caught:
        core.list_namespaced_config_map("lab", limit=2, _continue=token)
    assert caught.value.status == 410
    assert "Expired" in caught.value.body


def test_exact_versions_can_be_listed(api: RunningApi, core: client.CoreV1Api) -> None:
    make_config_maps(api, 1)
    then = str(api.store.version)
    make_more = api.create("ConfigMap", "more", "lab")
    assert make_more["metadata"]["resourceVersion"] != then
    past = core.list_namespaced_config_map(
        "lab", resource_version=then, resource_version_match="Exact"
    )
    assert [item.metadata.name for item in past.items] == ["cm-0"]


def test_dry_run_is_honoured(api: RunningApi, core: client.CoreV1Api) -> None:
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="cm"))
    core.create_namespaced_config_map("lab", body, dry_run="All")
    api.create("ConfigMap", "cm", "lab")
    core.patch_namespaced_config_map("cm", "lab", {"data": {"a": "b"}}, dry_run="All")
    core.delete_namespaced_config_map("cm", "lab", dry_run="All")
    assert core.read_namespaced_config_map("cm", "lab").data is None


def test_collection_is_deleted_by_selector(
    api: RunningApi, core: client.CoreV1Api
) -> None:
    make_config_maps(api, 3)
    core.delete_collection_namespaced_config_map(
        "lab", field_selector="metadata.name!=cm-1"
    )
    left = core.list_namespaced_config_map("lab").items
    assert [item.metadata.name for item in left] == ["cm-1"]


@pytest.mark.parametrize("in_body", [True, False])
def test_delete_options(api: RunningApi, pod: JSON, in_body: bool) -> None:
    pod["spec"]["nodeName"] = "node"
    uid = api.do(lambda s: s.create("Pod", pod, "lab"))["metadata"]["uid"]
    path = "/api/v1/namespaces/lab/pods/nb"
    status, _ = api.request("DELETE", path, {"preconditions": {"uid": "other"}})
    assert status == 409
    options: JSON = {"gracePeriodSeconds": 5, "propagationPolicy": "Foreground"}
    query = "&".join(f"{key}={value}" for key, value in options.items())
    if in_body:
        status, body = api.request("DELETE", path, options)
    else:
        status, body = api.request("DELETE", f"{path}?{query}")
    assert status == 200
    assert body["metadata"]["uid"] == uid
    assert body["metadata"]["deletionGracePeriodSeconds"] == 5
    assert body["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_unknown_propagation_is_refused(api: RunningApi) -> None:
    make_config_maps(api, 1)
    options = {"propagationPolicy": "Sideways"}
    status, _ = api.request("DELETE", f"{CONFIG_MAPS}/cm-0", options)
    assert status == 422


def test_json_patch(api: RunningApi) -> None:
    make_config_maps(api, 1)
    here = "/metadata/annotations"
    patch: list[JSON] = [
        {"op": "add", "path": here, "value": {"a/b": "1", "gone": "2"}},
        {"op": "test", "path": f"{here}/a~1b", "value": "1"},
        {"op": "replace", "path": f"{here}/a~1b", "value": "3"},
        {"op": "copy", "from": f"{here}/a~1b", "path": f"{here}/copied"},
        {"op": "remove", "path": f"{here}/gone"},
    ]
    kind = "application/json-patch+json"
    status, body = api.request("PATCH", f"{CONFIG_MAPS}/cm-0", patch, kind)
    assert status == 200
    assert body["metadata"]["annotations"] == {"a/b": "3", "copied": "3"}
    failing = [{"op": "test", "path": f"{here}/copied", "value": "4"}]
    status, _ = api.request("PATCH", f"{CONFIG_MAPS}/cm-0", failing, kind)
    assert status == 422


def test_merge_patch_removes_what_is_null(api: RunningApi) -> None:
    make_config_maps(api, 1)
    kind = "application/merge-patch+json"
    path = f"{CONFIG_MAPS}/cm-0"
    api.request("PATCH", path, {"data": {"a": "1", "b": "2"}}, kind)
    _, body = api.request("PATCH", path, {"data": {"a": None}}, kind)
    assert body["data"] == {"b": "2"}


def test_strategic_merge_patch_knows_elements_by_name(api: RunningApi) -> None:
    spec = {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}
    service = {"metadata": {"name": "svc"}, "spec": spec}
    api.do(lambda store: store.create("Service", service, "lab"))
    patch = {
        "spec": {
            "ports": [{"port": 80, "name": "c"}, {"port": 81, "$patch": "delete"}],
            "selector": {"$patch": "replace", "x": "y"},
        }
    }
    _, body = api.request(
        "PATCH",
        "/api/v1/namespaces/lab/services/svc",
        patch,
        "application/strategic-merge-patch+json",
    )
    assert [port["name"] for port in body["spec"]["ports"]] == ["c"]
    assert body["spec"]["selector"] == {"x": "y"}


def test_patch_of_an_old_version_conflicts(api: RunningApi) -> None:
    make_config_maps(api, 1)
    patch = {"metadata": {"resourceVersion": "1"}, "data": {"a": "b"}}
    kind = "application/merge-patch+json"
    status, body = api.request("PATCH", f"{CONFIG_MAPS}/cm-0", patch, kind)
    assert (status, body["reason"]) == (409, "Conflict")


def test_server_side_apply_removes_what_is_no_longer_named(api: RunningApi) -> None:
    path, kind = f"{CONFIG_MAPS}/cm?fieldManager=me", "application/apply-patch+yaml"
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}
    status, _ = api.request("PATCH", path, head | {"data": {"a": "1", "b": "2"}}, kind)
    assert status == 201
    foreign = {"data": {"c": "3"}}
    api.request("PATCH", f"{CONFIG_MAPS}/cm", foreign, "application/merge-patch+json")
    status, body = api.request("PATCH", path, head | {"data": {"b": "4"}}, kind)
    assert (status, body["data"]) == (200, {"b": "4", "c": "3"})
    status, _ = api.request("PATCH", f"{CONFIG_MAPS}/cm", head, kind)
    assert status == 422


def test_status_of_a_pod_is_a_subresource(
    api: RunningApi, core: client.CoreV1Api, pod: JSON
) -> None:
    api.do(lambda store: store.create("Pod", pod, "lab"))
    core.patch_namespaced_pod_status("nb", "lab", {"status": {"phase": "Running"}})
    assert core.read_namespaced_pod_status("nb", "lab").status.phase == "Running"


def test_binding_log_and_eviction_of_a_pod(
    api: RunningApi, core: client.CoreV1Api, pod: JSON
) -> None:
    api.do(lambda store: store.create("Pod", pod, "lab"))
    with pytest.raises(client.ApiException, match="waiting to start"):
        core.read_namespaced_pod_log("nb", "lab")
    path = "/api/v1/namespaces/lab/pods/nb"
    binding = {"target": {"kind": "Node", "name": "node"}}
    assert api.request("POST", f"{path}/binding", binding)[0] == 201
    assert api.request("POST", f"{path}/binding", binding)[0] == 409
    status = {"containerStatuses": [{"name": "notebook", "state": {"running": {}}}]}
    kind = "application/merge-patch+json"
    api.request("PATCH", f"{path}/status", {"status": status}, kind)
    assert "lab/nb" in core.read_namespaced_pod_log("nb", "lab")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
    assert api.request("POST", f"{path}/eviction", eviction)[0] == 201
    assert "deletionTimestamp" in api.request("GET", path)[1]["metadata"]


def test_token_of_a_service_account(core: client.CoreV1Api) -> None:
    spec = client.V1TokenRequestSpec(audiences=[], expiration_seconds=600)
    request = client.AuthenticationV1TokenRequest(spec=spec)
    answer = core.create_namespaced_service_account_token("default", "lab", request)
    assert answer.status.token


def test_events_have_two_spellings(api: RunningApi, core: client.CoreV1Api) -> None:
    involved = client.V1ObjectReference(kind="Pod", name="nb", uid="1", namespace="lab")
    event = client.CoreV1Event(
        metadata=client.V1ObjectMeta(name="e"),
        involved_object=involved,
        reason="Pulling",
        message="Pulling image",
        type="Normal",
    )
    core.create_namespaced_event("lab", event)
    chosen = core.list_namespaced_event(
        "lab", field_selector="involvedObject.name=nb,reason=Pulling,type=Normal"
    )
    assert [item.message for item in chosen.items] == ["Pulling image"]
    _, newer = api.request("GET", "/apis/events.k8s.io/v1/events")
    assert newer["apiVersion"] == "events.k8s.io/v1"
    assert newer["items"][0]["note"] == "Pulling image"
    assert newer["items"][0]["regarding"]["name"] == "nb"


def test_custom_resources(api: RunningApi) -> None:
    with api.client() as api_client:
        custom = client.CustomObjectsApi(api_client)
        where = ("gafaelfawr.lsst.io", "v1alpha1", "lab", "gafaelfawringresses")
        body = {
            "apiVersion": "gafaelfawr.lsst.io/v1alpha1",
            "kind": "GafaelfawrIngress",
            "metadata": {"name": "fs"},
            "config": {"scopes": {"all": ["exec:notebook"]}},
        }
        custom.create_namespaced_custom_object(*where, body)
        items = custom.list_namespaced_custom_object(*where)["items"]
    assert items[0]["kind"] == "GafaelfawrIngress"
    assert items[0]["config"] == body["config"]


def test_discovery_serves_the_dynamic_client(api: RunningApi) -> None:
    make_config_maps(api, 1)
    with api.client() as api_client:
        resources = dynamic.DynamicClient(api_client).resources
        maps = resources.get(api_version="v1", kind="ConfigMap").get(namespace="lab")
        jobs = resources.get(api_version="batch/v1", kind="Job").get()
    assert [item.metadata.name for item in maps.items] == ["cm-0"]
    assert jobs.items == []


def test_tables(api: RunningApi, pod: JSON) -> None:
    api.do(lambda store: store.create("Pod", pod, "lab"))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    _, body = api.request("GET", "/api/v1/pods", accept=accept)
    names = [column["name"] for column in body["columnDefinitions"]]
    assert body["kind"] == "Table"
    row = dict(zip(names, body["rows"][0]["cells"], strict=True))
    assert row | {"Age": "0s"} == {
        "Name": "nb",
        "Ready": "0/1",
        "Status": "Pending",
        "Restarts": "0",
        "Age": "0s",
        "IP": "<none>",
        "Node": "<none>",
        "Nominated Node": "<none>",
        "Readiness Gates": "<none>",
    }


def test_health_and_version(api: RunningApi) -> None:
    with api.client() as api_client:
        assert client.VersionApi(api_client).get_code().minor == "36"
        for path in ("healthz", "readyz", "livez"):
            response = api_client.rest_client.pool_manager.request(
                "GET", f"{api.url}/{path}"
            )
            assert (response.status, response.data) == (200, b"ok")


def test_tokens_are_asked_for_when_configured(
    api_with: Callable[..., RunningApi],
) -> None:
    api = api_with(tokens=("secret",))
    with api.client("secret") as api_client:
        assert client.CoreV1Api(api_client).list_namespace().items == []
    with (
        api.client("wrong") as api_client,
        pytest.raises(client.ApiException) as caught,
    ):
        client.CoreV1Api(api_client).list_namespace()
    assert caught.value.status == 401
