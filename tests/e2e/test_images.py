"""Images as they change under the service: registry, nodes, prepulls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.chart import rights
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

CONFIG = Path(__file__).parent.parent / "data" / "configs" / "e2e.yaml"
REPOSITORY = "sciplat/lab"
NEW_DIGEST = "sha256:" + "5e" * 32
CHART = Path(__file__).parent.parent.parent / "conf" / "helm" / "nublado"
OLD_TAG = "d_2026_10_23"
"""A tag that is not prepulled, so that its digest is not known."""

UNAVAILABLE = {"target": "registry", "status": 503}


class Images:
    """The images of a service that asks for them every second."""

    def __init__(self, stack: Stack, log: Path) -> None:
        self.stack = stack
        self._log = log

    def __call__(self) -> dict[str, Any]:
        return self._get("images")

    def prepulls(self) -> dict[str, Any]:
        return self._get("prepulls")

    def node(self, name: str) -> dict[str, Any] | None:
        nodes = self.prepulls()["nodes"]
        return next((node for node in nodes if node["name"] == name), None)

    def log(self, *words: str) -> int:
        """Count the lines of the log with all these words."""
        lines = self._log.read_text().splitlines()
        return sum(all(word in line for word in words) for line in lines)

    def wait_for_refreshes(self, number: int) -> None:
        """Wait for so many further refreshes, failed or not."""
        job = "job=refresh-images"
        before = self.log(job)
        wait_for(lambda: self.log(job) >= before + number)

    def prepulled(self) -> list[str]:
        """Tags that are on every node."""
        return [image["tag"] for image in self()["all"] if image["prepulled"]]

    def listed_by(self, node: str) -> set[str]:
        """All names of images that a node lists."""
        url = f"{self.stack.endpoints.kubernetes}/api/v1/nodes/{node}"
        status = requests.get(url, timeout=SECONDS).json()["status"]
        return {name for image in status["images"] for name in image["names"]}

    @property
    def pulled(self) -> set[str]:
        """Tags of this repository that nodes list."""
        names = set().union(*(self.listed_by(f"node-{n}") for n in (1, 2, 3)))
        return {name.rpartition(":")[2] for name in names if "@" not in name}

    def forget(self, *, nodes: bool = True) -> None:
        """Leave nothing to the next process, unless nodes may have something."""
        path = "/api/v1/namespaces/nublado/configmaps/nublado-images"
        url = f"{self.stack.endpoints.kubernetes}{path}"
        assert requests.delete(url, timeout=SECONDS).ok
        for number in range(1, 4):
            for name in self.listed_by(f"node-{number}") if nodes else ():
                if "@" in name:
                    path = f"/nodes/node-{number}/images"
                    self.stack.control("DELETE", path, {"image": name})

    def pods(self, node: str | None = None) -> list[dict[str, Any]]:
        """Pods of the prepuller."""
        url = f"{self.stack.endpoints.kubernetes}/api/v1/namespaces/nublado/pods"
        found = requests.get(url, timeout=SECONDS).json()["items"]
        return [
            pod
            for pod in found
            if pod["metadata"]["name"].startswith("prepull-")
            and node in (None, pod["spec"]["nodeName"])
        ]

    def _get(self, path: str) -> dict[str, Any]:
        """Ask until the registry has been read."""
        url = f"{self.stack.api_url}/spawner/v1/{path}"
        found: dict[str, Any] = {}

        def is_told() -> bool:
            answer = requests.get(url, timeout=SECONDS)
            if answer.status_code == 503:
                return False
            assert answer.status_code == 200, answer.text
            found.update(answer.json())
            return True

        wait_for(is_told)
        return found


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Images]:
    log = tmp_path / "service.log"
    credentials = tmp_path / "credentials.json"
    config = tmp_path / "config.yaml"
    repository = f"repository: {REPOSITORY}\n"
    config.write_text(
        CONFIG.read_text().replace(
            repository, f"{repository}    credentialsPath: {credentials}\n"
        )
    )
    settings = json.dumps({"pull_seconds": 0.05, "start_delay": 0.01})
    environ = {"NUBLADO_REFRESH_INTERVAL": "1"}
    with (
        log.open("w") as file,
        Stack(
            config,
            *("--settings", settings),
            environ=environ,
            rbac=rights(config, tmp_path),
            log=file,
        ) as stack,
    ):
        host = urlsplit(stack.endpoints.registry).netloc
        login = {"username": "puller", "password": "sandbox"}
        credentials.write_text(json.dumps({"auths": {host: login}}))
        yield Images(stack, log)


def wait_until_prepulled(images: Images) -> None:
    wait_for(lambda: not images.prepulls()["images"]["pending"])


def test_everything_is_prepulled_and_then_in_the_menu(images: Images) -> None:
    wait_until_prepulled(images)
    status = images.prepulls()
    assert status["config"]["source"]["repository"] == REPOSITORY
    assert "credentials" not in json.dumps(status["config"])
    for image in status["images"]["prepulled"]:
        assert image["nodes"] == ["node-1", "node-2", "node-3"]
        assert image["missing"] == []
    wait_for(lambda: images.prepulls()["images"]["prepulled"][0].get("size"))
    wait_for(lambda: not images.pods())
    known = images()
    assert known["recommended"]["prepulled"]
    assert known["latest_weekly"]["tag"] == "w_2026_47_c0045.001"


@pytest.mark.parametrize("token_seconds", [0.2, 1.0])
def test_token_that_expires_between_refreshes_is_renewed(
    images: Images, token_seconds: float
) -> None:
    """The registry may also forget a token before it told."""
    settings = {"auth": "bearer", "token_seconds": token_seconds}
    images.stack.control("PATCH", "/registry", settings)
    images.stack.control("POST", "/stats/reset")
    images.wait_for_refreshes(4)
    assert images.log("Background job failed") == 0
    tokens = sum(
        entry["count"]
        for entry in images.stack.control("GET", "/stats")["requests"]
        if entry["route"] == "token"
    )
    assert tokens >= 3


def test_registry_that_is_down_for_three_refreshes(images: Images) -> None:
    wait_until_prepulled(images)
    before = images()
    images.stack.control("PUT", "/faults", {"rules": [UNAVAILABLE]})
    wait_for(lambda: images.log("Background job still failing") >= 2)
    assert images() == before
    assert images.log("Background job failed", "refresh-images") == 1
    user = User(images.stack, "rachel")
    assert user.spawn().messages[-1] == "Lab Kubernetes pod started for rachel"
    refused = User(images.stack, "emily").create(image_tag=OLD_TAG)
    assert refused.status_code == 503
    assert "registry.example.org" in refused.json()["detail"][0]["msg"]
    images.stack.control("DELETE", "/faults")
    wait_for(lambda: images.log("Background job recovered"))
    images.wait_for_refreshes(1)
    assert images.log("Background job failed", "refresh-images") == 1


def test_tag_that_moves_to_another_digest(images: Images) -> None:
    wait_until_prepulled(images)
    path = f"/tags/{REPOSITORY}/recommended"
    images.stack.control("PUT", path, {"digest": NEW_DIGEST})
    wait_for(lambda: images()["recommended"]["digest"] == NEW_DIGEST)
    assert images()["recommended"]["name"] == "Recommended"
    wait_for(lambda: images()["recommended"]["prepulled"])
    user = User(images.stack, "rachel")
    assert user.create().status_code == 201
    assert user.state().json()["options"]["image"].endswith(NEW_DIGEST)


def test_node_that_joins_is_prepulled_to(images: Images) -> None:
    wait_until_prepulled(images)
    images.stack.control("POST", "/nodes", {"name": "new"})
    wait_for(lambda: images.node("new"))
    wait_until_prepulled(images)
    node = images.node("new")
    assert node is not None
    prepulled = images.prepulls()["images"]["prepulled"]
    assert {image["reference"] for image in prepulled} <= set(node["cached"])


def test_node_is_cordoned_while_it_pulls(images: Images) -> None:
    wait_until_prepulled(images)
    images.stack.control("PATCH", "/settings", {"pull_seconds": 1.5})
    images.stack.control("POST", "/nodes", {"name": "new"})
    wait_for(lambda: images.pods("new"))
    images.stack.control("PATCH", "/nodes/new", {"unschedulable": True})
    wait_for(lambda: images.log("Prepulled", "node=new"))
    wait_for(lambda: (images.node("new") or {}).get("eligible") is False)
    wait_for(lambda: images.pods("new") == [])
    images.wait_for_refreshes(2)
    assert images.pods("new") == []
    assert images.log("Prepulled", "node=new") == 1
    node = images.node("new")
    assert node is not None
    assert node["comment"] == "Node is cordoned"
    assert not images.prepulls()["images"]["pending"]


def test_node_vanishes_while_it_pulls(images: Images) -> None:
    wait_until_prepulled(images)
    images.stack.control("PATCH", "/settings", {"pull_seconds": 600.0})
    images.stack.control("POST", "/nodes", {"name": "new"})
    wait_for(lambda: images.pods("new"))
    images.stack.control("DELETE", "/nodes/new")
    wait_for(lambda: images.log("Node went away while it pulled"))
    wait_for(lambda: images.node("new") is None)
    assert images.log("Prepulling failed") == 0
    assert not images.prepulls()["images"]["pending"]


def test_tainted_node_is_left_alone(images: Images) -> None:
    wait_until_prepulled(images)
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    images.stack.control("PATCH", "/nodes/node-3", {"taints": [taint]})
    wait_for(lambda: not (images.node("node-3") or {})["eligible"])
    node = images.node("node-3")
    assert node is not None
    assert node["comment"] == "Node is tainted (NoSchedule, gpu = yes)"


def test_image_that_cannot_be_pulled_does_not_stop_the_others(images: Images) -> None:
    wait_until_prepulled(images)
    failing = {"failing_pulls": [r"d_2026_11_19"], "pull_seconds": 0.05}
    images.stack.control("PATCH", "/settings", failing)
    images.stack.control("POST", "/nodes", {"name": "new"})
    wait_for(
        lambda: any("d-2026-11-19" in p["metadata"]["name"] for p in images.pods("new"))
    )
    stuck = images.pods("new")[0]["metadata"]["name"]
    images.stack.control("POST", f"/pods/nublado/{stuck}/evict")
    wait_for(lambda: images.log("Prepulling failed", "d_2026_11_19"))
    wait_for(lambda: images.log("Prepulled", "node=new", "d_2026_11_17"))
    images.stack.control("PATCH", "/settings", {"failing_pulls": []})
    wait_until_prepulled(images)


def test_leftover_pod_of_a_killed_service_is_replaced(images: Images) -> None:
    wait_until_prepulled(images)
    images.stack.control("PATCH", "/settings", {"pull_seconds": 600.0})
    images.stack.control("POST", "/nodes", {"name": "new"})
    wait_for(lambda: images.pods("new"))
    left = images.pods("new")[0]["metadata"]["uid"]
    images.stack.service.kill()
    images.stack.control("PATCH", "/settings", {"pull_seconds": 0.05})
    images.stack.start_service()
    images.stack.service.wait_ready()
    wait_for(lambda: left not in [p["metadata"]["uid"] for p in images.pods("new")])
    images.stack.control("DELETE", "/nodes/new")
    images.stack.control("POST", "/nodes", {"name": "newer"})
    wait_for(lambda: images.node("newer"))
    wait_until_prepulled(images)
    wait_for(lambda: not images.pods())


def test_images_are_known_once_the_registry_answers(images: Images) -> None:
    wait_until_prepulled(images)
    images.stack.service.stop()
    images.forget()
    images.stack.control("PUT", "/faults", {"rules": [UNAVAILABLE]})
    images.stack.start_service()
    wait_for(lambda: images.log("Startup failed, retrying") >= 2)
    probe = requests.get(f"{images.stack.service.url}/readyz", timeout=SECONDS)
    assert probe.status_code == 200
    assert "registry" in probe.json()["problems"][0].lower()
    url = f"{images.stack.api_url}/spawner/v1/images"
    refused = requests.get(url, timeout=SECONDS)
    assert refused.status_code == 503
    assert "registry" in refused.json()["detail"][0]["msg"].lower()
    images.stack.control("DELETE", "/faults")
    wait_for(lambda: requests.get(url, timeout=SECONDS).ok)


@pytest.mark.parametrize(
    "trouble",
    [
        UNAVAILABLE,
        {"target": "registry", "status": 429, "retry_after": 12},
        {"target": "registry", "status": 403},
        {"target": "registry", "drop": "before"},
        {"target": "registry", "silent": True},
    ],
    ids=["unavailable", "limits", "refuses", "away", "silent"],
)
def test_start_without_the_registry(images: Images, trouble: dict[str, Any]) -> None:
    wait_until_prepulled(images)
    User(images.stack, "rachel").spawn()
    before = images()
    images.stack.service.stop()
    images.stack.control("PUT", "/faults", {"rules": [trouble]})
    images.stack.start_service()
    images.stack.service.wait_ready()
    assert User(images.stack, "rachel").status == "running"
    assert images() == before
    assert not images.prepulls()["images"]["pending"]
    user = User(images.stack, "emily")
    assert user.spawn().messages[-1] == "Lab Kubernetes pod started for emily"
    wait_for(lambda: images.log("Startup failed, retrying", "part=images") >= 1)
    probe = requests.get(f"{images.stack.service.url}/readyz", timeout=SECONDS)
    assert probe.status_code == 200
    assert "known last is used meanwhile" in probe.json()["problems"][0]

    refused = User(images.stack, "ada").create(image_tag=OLD_TAG)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    (problem,) = refused.json()["detail"]
    assert problem["type"] == "unavailable"
    assert "registry.example.org" in problem["msg"]
    unknown = User(images.stack, "ada").create(image_tag="w_2077_43")
    assert unknown.status_code == 503

    images.stack.control("DELETE", "/faults")
    wait_for(lambda: images.log("Startup succeeded after failures", "part=images"))
    assert User(images.stack, "ada").create(image_tag=OLD_TAG).status_code == 201
    unknown = User(images.stack, "grace").create(image_tag="w_2077_43")
    assert unknown.status_code == 400
    probe = requests.get(f"{images.stack.service.url}/readyz", timeout=SECONDS)
    assert probe.json()["problems"] == []


def test_start_with_what_nodes_have(images: Images) -> None:
    wait_until_prepulled(images)
    before = images()
    images.stack.service.stop()
    images.forget(nodes=False)
    images.stack.control("PUT", "/faults", {"rules": [UNAVAILABLE]})
    images.stack.start_service()
    images.stack.service.wait_ready()
    tags = {image["tag"] for image in images()["all"]}
    assert tags == {i["tag"] for i in before["all"] if i["tag"] in images.pulled}
    user = User(images.stack, "rachel")
    reference = f"{before['latest_weekly']['reference']}"
    assert user.create(image_list=reference).status_code == 201
    assert images.pods() == []


def test_images_are_kept_with_the_permissions_of_the_chart(tmp_path: Path) -> None:
    roles = tmp_path / "rbac.yaml"
    roles.write_text(render_roles())
    log = tmp_path / "service.log"
    with (
        log.open("w") as file,
        Stack(CONFIG, rbac=roles, log=file) as stack,
    ):
        stack.service.wait_ready()
        path = "/api/v1/namespaces/nublado/configmaps/nublado-images"
        url = f"{stack.endpoints.kubernetes}{path}"
        wait_for(lambda: requests.get(url, timeout=SECONDS).ok)
        stack.service.stop()
        stack.control("PUT", f"/tags/{REPOSITORY}/w_2077_43", {"digest": NEW_DIGEST})
        stack.start_service()
        wait_for(lambda: log.read_text().count("Kept images") == 2)
        assert "Cannot keep images" not in log.read_text()
        missing = stack.control("GET", "/rbac")["missing"]
        assert [right for right in missing if right["resource"] == "configmaps"] == []


def test_node_that_lists_only_its_largest_images(images: Images) -> None:
    wait_until_prepulled(images)
    images.stack.control("POST", "/nodes", {"name": "new"})
    wait_for(lambda: images.node("new"))
    wait_until_prepulled(images)
    menu = images.prepulled()
    assert menu
    larger = 4_000_000_000
    for number in range(50):
        names = {"names": [f"other/image:{number}"], "size": larger}
        images.stack.control("PUT", "/nodes/new/images", names)
    assert images.listed_by("new") == {f"other/image:{n}" for n in range(50)}
    pulls = images.log("Prepulled")
    for _ in range(6):
        images.wait_for_refreshes(1)
        assert images.prepulled() == menu
    assert images.log("Prepulled") == pulls

    # A node whose list is cut from the beginning.
    images.stack.control("POST", "/nodes", {"name": "newer"})
    for number in range(50):
        names = {"names": [f"other/image:{number}"], "size": larger}
        images.stack.control("PUT", "/nodes/newer/images", names)
    wait_for(lambda: images.node("newer"))
    wait_until_prepulled(images)
    pulls = images.log("Prepulled")
    images.wait_for_refreshes(6)
    assert images.log("Prepulled") == pulls
    assert images.prepulled() == menu

    # The next process knows what the nodes do not list.
    images.stack.service.kill()
    images.stack.start_service()
    images.stack.service.wait_ready()
    wait_for(lambda: images.prepulled() == menu)
    images.wait_for_refreshes(3)
    assert images.log("Prepulled") == pulls

    # It is different once they would list it.
    for number in range(50):
        image = {"image": f"other/image:{number}"}
        images.stack.control("DELETE", "/nodes/newer/images", image)
    lost = before_digest(images, "recommended")
    images.stack.control("DELETE", "/nodes/newer/images", {"image": lost})
    wait_for(lambda: images.log("Prepulled") == pulls + 1)
    wait_until_prepulled(images)


def before_digest(images: Images, which: str) -> str:
    image = images()[which]
    return f"{image['reference'].rpartition(':')[0]}@{image['digest']}"


def render_roles() -> str:
    """Render what the template of the chart has but its functions."""
    text = (CHART / "templates" / "rbac.yaml").read_text()
    text = text.replace("{{ .Release.Namespace }}", "nublado")
    text = text.replace("{{ .Release.Name }}", "nublado")
    text = text.replace("{{ $namespace }}", "fileservers")
    return re.sub(r"(?m)^ *\{\{-.*\}\}\n", "", text)
