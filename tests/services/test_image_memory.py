"""Images in a config map of the controller's namespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.remembered import Manifest, RememberedImages
from nublado.sandbox.deployment import NAMESPACE
from nublado.services.alerts import Alerts
from nublado.services.image_memory import ImageMemory
from tests.cluster import Cluster

IMAGES = RememberedImages(
    registry="registry.example.org",
    repository="sciplat/lab",
    tags={"w_2077_43": Manifest("sha256:2", 1000), "w_2077_42": None},
)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def make_memory(cluster: Cluster, alerts: Alerts | None = None) -> ImageMemory:
    return ImageMemory(
        cluster=cluster.service().cluster,
        namespace=NAMESPACE,
        alerts=alerts or Alerts("test", None),
    )


def config_map(cluster: Cluster) -> JSON | None:
    found: JSON | None = cluster.call(
        lambda sandbox: sandbox.store.find("ConfigMap", NAMESPACE, "nublado-images")
    )
    return found


def test_next_process_recalls_what_was_kept(cluster: Cluster) -> None:
    memory = make_memory(cluster)
    assert memory.recall() is None
    memory.keep(IMAGES)
    assert make_memory(cluster).recall() == IMAGES
    others = replace(IMAGES, tags={})
    memory.keep(others)
    assert make_memory(cluster).recall() == others


def test_images_are_only_written_when_they_change(cluster: Cluster) -> None:
    make_memory(cluster).keep(IMAGES)
    first = config_map(cluster)
    assert first is not None
    memory = make_memory(cluster)
    memory.recall()
    for _ in range(2):
        memory.keep(replace(IMAGES, tags=dict(IMAGES.tags)))
    assert config_map(cluster) == first
    memory.keep(replace(IMAGES, tags={**IMAGES.tags, "w_2077_44": None}))
    changed = config_map(cluster)
    assert changed is not None
    assert changed["metadata"]["uid"] == first["metadata"]["uid"]
    assert changed["binaryData"] != first["binaryData"]


def test_config_map_that_was_deleted_is_made_again(cluster: Cluster) -> None:
    memory = make_memory(cluster)
    memory.keep(IMAGES)
    cluster.call(
        lambda sandbox: sandbox.store.delete("ConfigMap", NAMESPACE, "nublado-images")
    )
    memory.keep(replace(IMAGES, tags={}))
    assert config_map(cluster) is not None


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"data": {"images.json.gz": "x"}},
        {"binaryData": {"images.json.gz": "AAAA"}},
        {"binaryData": {"other": "AAAA"}},
    ],
)
def test_config_map_that_cannot_be_used_is_told_and_replaced(
    cluster: Cluster, content: JSON
) -> None:
    name = {"metadata": {"name": "nublado-images"}}
    cluster.call(
        lambda sandbox: sandbox.store.create(
            "ConfigMap", {**name, **content}, NAMESPACE
        )
    )
    memory = make_memory(cluster)
    with capture_logs() as log:
        assert memory.recall() is None
    (line,) = [line for line in log if line["log_level"] == "warning"]
    assert line["event"] == "Cannot recall images"
    memory.keep(IMAGES)
    assert make_memory(cluster).recall() == IMAGES


@pytest.mark.parametrize("status", [403, 422, 500])
def test_images_that_cannot_be_kept_are_told_once(
    cluster: Cluster, status: int
) -> None:
    alerts = Alerts("test", None)
    memory = make_memory(cluster, alerts)
    rule = {"path": "nublado-images", "status": status}
    cluster.control.faults(rule)
    with capture_logs() as log:
        assert memory.recall() is None
        for _ in range(3):
            memory.keep(IMAGES)
        (failure,) = alerts.recent()
        assert failure.event == "Cannot keep images"
        assert "nublado-images" in failure.message
        cluster.control("DELETE", "/faults")
        memory.keep(IMAGES)
    events = [line["event"] for line in log]
    assert events.count("Images are kept again") == 1
    assert make_memory(cluster).recall() == IMAGES
