"""The store: versions, deletion, history, and who is told of what."""

from __future__ import annotations

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.store import ApiError, Store


@pytest.fixture
def store() -> Store:
    store = Store()
    store.create("Namespace", {"metadata": {"name": "lab"}})
    store.create("ServiceAccount", {"metadata": {"name": "default"}}, "lab")
    return store


def config_map(name: str = "cm", **data: str) -> JSON:
    return {"metadata": {"name": name}, "data": data}


def label(obj: JSON) -> None:
    obj["metadata"]["labels"] = {"a": "b"}


def release(obj: JSON) -> None:
    del obj["metadata"]["finalizers"]


def test_creation_fills_in_metadata(store: Store) -> None:
    created = store.create("ConfigMap", config_map(), "lab")
    metadata = created["metadata"]
    assert metadata["uid"]
    assert metadata["namespace"] == "lab"
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["resourceVersion"] == str(store.version)
    assert store.get("ConfigMap", "lab", "cm") is created


def test_generated_names_differ(store: Store) -> None:
    template: JSON = {"metadata": {"generateName": "cm-"}}
    names = {
        store.create("ConfigMap", template, "lab")["metadata"]["name"] for _ in range(9)
    }
    assert len(names) == 9
    assert all(name.startswith("cm-") for name in names)


def test_what_goes_in_is_copied(store: Store) -> None:
    mine = config_map(key="old")
    store.create("ConfigMap", mine, "lab")
    mine["data"]["key"] = "new"
    assert store.get("ConfigMap", "lab", "cm")["data"] == {"key": "old"}


def test_mutation_without_effect_changes_no_version(store: Store) -> None:
    store.create("ConfigMap", config_map(), "lab")
    store.mutate("ConfigMap", "lab", "cm", label)
    version = store.version
    store.mutate("ConfigMap", "lab", "cm", label)
    assert store.version == version


def test_mutation_of_another_object_of_the_name_is_refused(store: Store) -> None:
    uid = store.create("ConfigMap", config_map(), "lab")["metadata"]["uid"]
    store.delete("ConfigMap", "lab", "cm")
    store.create("ConfigMap", config_map(), "lab")
    with pytest.raises(ApiError) as caught:
        store.mutate("ConfigMap", "lab", "cm", label, uid=uid)
    assert caught.value.code == 409


def test_update_from_an_old_version_conflicts(store: Store) -> None:
    old = store.create("ConfigMap", config_map(), "lab")
    store.mutate("ConfigMap", "lab", "cm", label)
    with pytest.raises(ApiError, match="the object has been modified") as caught:
        store.replace("ConfigMap", old)
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")


def test_changes_are_told_in_order_even_when_one_causes_another(store: Store) -> None:
    def react(change_type: str, obj: JSON) -> None:
        if change_type == "ADDED":
            store.mutate("ConfigMap", "lab", obj["metadata"]["name"], label)

    told: list[tuple[str, int]] = []
    store.subscribe("ConfigMap", react)
    unsubscribe = store.subscribe(
        None, lambda t, obj: told.append((t, int(obj["metadata"]["resourceVersion"])))
    )
    first = store.version
    store.create("ConfigMap", config_map(), "lab")
    unsubscribe()
    store.delete("ConfigMap", "lab", "cm")
    assert told == [("ADDED", first + 1), ("MODIFIED", first + 2)]


def test_failing_subscriber_keeps_nobody_from_going_on(store: Store) -> None:
    def fail(_: str, obj: JSON) -> None:
        raise ValueError(obj["kind"])

    told: list[str] = []
    store.subscribe("ConfigMap", fail)
    store.subscribe("ConfigMap", lambda t, _: told.append(t))
    store.create("ConfigMap", config_map(), "lab")
    assert told == ["ADDED"]


def test_finalizers_hold_an_object_until_the_last_is_removed(store: Store) -> None:
    obj = config_map()
    obj["metadata"]["finalizers"] = ["example/one"]
    store.create("ConfigMap", obj, "lab")
    marked = store.delete("ConfigMap", "lab", "cm")
    assert marked["metadata"]["deletionTimestamp"]
    told: list[str] = []
    store.subscribe("ConfigMap", lambda t, _: told.append(t))
    store.mutate("ConfigMap", "lab", "cm", release)
    assert store.find("ConfigMap", "lab", "cm") is None
    assert told == ["DELETED"]


def test_pod_without_node_goes_at_once(store: Store, pod: JSON) -> None:
    store.create("Pod", pod, "lab")
    store.delete("Pod", "lab", "nb")
    assert store.find("Pod", "lab", "nb") is None


def test_pod_on_a_node_stays_until_the_kubelet_lets_it_go(
    store: Store, pod: JSON
) -> None:
    pod["spec"] |= {"nodeName": "node", "terminationGracePeriodSeconds": 7}
    store.create("Pod", pod, "lab")
    assert store.delete("Pod", "lab", "nb")["metadata"] | {"uid": ""} == (
        store.get("Pod", "lab", "nb")["metadata"] | {"uid": ""}
    )
    seconds = "deletionGracePeriodSeconds"
    assert store.get("Pod", "lab", "nb")["metadata"][seconds] == 7
    store.delete("Pod", "lab", "nb", grace_seconds=60)
    assert store.get("Pod", "lab", "nb")["metadata"][seconds] == 7
    store.delete("Pod", "lab", "nb", grace_seconds=2)
    assert store.get("Pod", "lab", "nb")["metadata"][seconds] == 2
    store.delete("Pod", "lab", "nb", grace_seconds=0)
    assert store.find("Pod", "lab", "nb") is None


def test_deletion_of_another_uid_is_refused(store: Store) -> None:
    store.create("ConfigMap", config_map(), "lab")
    with pytest.raises(ApiError, match="Precondition failed: UID") as caught:
        store.delete("ConfigMap", "lab", "cm", uid="other")
    assert caught.value.code == 409


def test_namespace_waits_for_its_own_finalizer(store: Store) -> None:
    store.delete("Namespace", None, "lab")
    namespace = store.get("Namespace", None, "lab")
    assert namespace["status"]["phase"] == "Terminating"

    def finalize(obj: JSON) -> None:
        obj["spec"]["finalizers"] = []

    store.mutate("Namespace", None, "lab", finalize)
    assert store.find("Namespace", None, "lab") is None


def test_foreground_deletion_waits_for_the_garbage_collector(store: Store) -> None:
    store.create("ConfigMap", config_map(), "lab")
    marked = store.delete("ConfigMap", "lab", "cm", propagation="Foreground")
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    store.delete("ConfigMap", "lab", "cm")
    assert store.find("ConfigMap", "lab", "cm") is not None
    store.delete("ConfigMap", "lab", "cm", propagation="Background")
    assert store.find("ConfigMap", "lab", "cm") is None


def test_orphaned_objects_lose_their_owner(store: Store) -> None:
    owner = store.create("ConfigMap", config_map("owner"), "lab")["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner}
    owned = config_map("owned")
    owned["metadata"]["ownerReferences"] = [reference]
    store.create("ConfigMap", owned, "lab")
    store.delete("ConfigMap", "lab", "owner", propagation="Orphan")
    assert store.find("ConfigMap", "lab", "owner") is None
    left = store.get("ConfigMap", "lab", "owned")
    assert "ownerReferences" not in left["metadata"]


def test_dry_run_changes_nothing(store: Store) -> None:
    version = store.version
    store.create("ConfigMap", config_map(), "lab", dry_run=True)
    assert store.version == version
    assert store.find("ConfigMap", "lab", "cm") is None


def test_past_states_can_be_listed(store: Store) -> None:
    store.create("ConfigMap", config_map("a"), "lab")
    store.create("ConfigMap", config_map("b", key="old"), "lab")
    then = store.version
    store.delete("ConfigMap", "lab", "a")
    store.mutate("ConfigMap", "lab", "b", label)
    store.create("ConfigMap", config_map("c"), "lab")
    past = [r.obj["metadata"] for r in store.revisions_at("ConfigMap", "lab", then)]
    assert [metadata["name"] for metadata in past] == ["a", "b"]
    assert all("labels" not in metadata for metadata in past)


def test_compaction_forgets_the_past(store: Store) -> None:
    then = store.version
    store.create("ConfigMap", config_map(), "lab")
    store.compact()
    with pytest.raises(ApiError) as caught:
        store.feed.since("ConfigMap", then)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    assert store.feed.since("ConfigMap", store.version) == []


def test_history_is_bounded() -> None:
    store = Store(history=5)
    store.create("Namespace", {"metadata": {"name": "lab"}})
    first = store.version
    for number in range(6):
        store.create("ConfigMap", config_map(f"cm-{number}"), "lab")
    with pytest.raises(ApiError, match="too old resource version"):
        store.feed.since("ConfigMap", first)
    assert len(store.feed.since("ConfigMap", first + 1)) == 5


@pytest.mark.parametrize(
    ("labels", "fields", "expected"),
    [
        ("app=lab", None, ["a"]),
        ("app==lab,tier!=x", None, ["a"]),
        ("app in (lab, hub)", None, ["a", "b"]),
        ("app notin (lab)", None, ["b", "c"]),
        ("app", None, ["a", "b"]),
        ("!app", None, ["c"]),
        ("app,tier in (x)", None, ["b"]),
        (None, "metadata.name=b", ["b"]),
        (None, "metadata.name!=b,metadata.namespace=lab", ["a", "c"]),
        ("app", "metadata.name!=b", ["a"]),
    ],
)
def test_selectors(
    store: Store, labels: str | None, fields: str | None, expected: list[str]
) -> None:
    for name, these in (
        ("a", {"app": "lab"}),
        ("b", {"app": "hub", "tier": "x"}),
        ("c", {}),
    ):
        store.create("ConfigMap", {"metadata": {"name": name, "labels": these}}, "lab")
    found = store.list("ConfigMap", "lab", labels, fields)
    assert [obj["metadata"]["name"] for obj in found] == expected


@pytest.mark.parametrize("selector", ["a=b=c", "in (a)", "a in b", "=b", "a,,b"])
def test_selector_that_makes_no_sense_is_refused(store: Store, selector: str) -> None:
    with pytest.raises(ApiError) as caught:
        store.list("ConfigMap", "lab", selector)
    assert caught.value.code == 400
