"""The control API of the sandbox says what is wrong, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from nublado.sandbox.cluster import SandboxOptions
from nublado.sandbox.launch import SandboxThread

_SECONDS = 60.0
_TAG = "PUT /tags/sciplat/lab/w_2026_45"


@pytest.fixture(scope="module")
def control() -> Iterator[str]:
    thread = SandboxThread(SandboxOptions())
    endpoints = thread.start()
    yield endpoints.control
    thread.stop()


def ask(control: str, request: str, body: Any = None) -> requests.Response:
    method, path = request.split()
    return requests.request(method, control + path, json=body, timeout=_SECONDS)


@pytest.mark.parametrize(
    ("request_", "body", "message"),
    [
        ("PATCH /settings", {"start_dely": 1}, "Did you mean start_delay?"),
        ("PATCH /settings", {"zzz": 1}, "Known are: address_delay, eviction"),
        ("PATCH /settings", {"start_delay": "x"}, "start_delay must be a number"),
        ("PATCH /settings", {"start_delay": True}, "start_delay must be a number"),
        ("PATCH /settings", {"start_delay": -1}, "from 0 to 86400, not -1"),
        ("PATCH /settings", {"nodes": 1.5}, "nodes must be a whole number, not 1.5"),
        ("PATCH /settings", {"makes_ingresses": 1}, "must be true or false"),
        ("PATCH /settings", {"failing_pulls": "lab"}, "must be a list of strings"),
        ("PATCH /settings", {"failing_pulls": [1]}, "must be a list of strings"),
        ("PATCH /settings", {"exits": {"lab": 0.5}}, "an object of whole numbers"),
        ("PATCH /settings", {"exits": {"lab": 256}}, "exits must be from 0 to 255"),
        ("PATCH /settings", {"exits": {"(": 1}}, "exits: ( is no regular expression"),
        ("PATCH /settings", {"held_namespaces": ["("]}, "is no regular expression"),
        ("PATCH /settings", {"eviction_seconds": -2}, "from -1 to 86400, not -2"),
        ("PATCH /settings", {"node_images": 1.5}, "must be a whole number"),
        ("PATCH /settings", [], "must be a JSON object"),
        ("PATCH /registry", {"oauth": 1}, "Did you mean auth?"),
        ("PATCH /registry", {"auth": "nonsense"}, "anonymous or basic or bearer"),
        ("PATCH /registry", {"token_seconds": "x"}, "token_seconds must be a number"),
        ("PATCH /nodes/node-1", {"taint": []}, "Did you mean taints?"),
        ("PATCH /nodes/node-1", {"taints": 5}, "taints must be a list"),
        ("PUT /nodes/node-1/images", {}, "The body lacks image"),
        ("PUT /nodes/node-1/images", {"image": 5}, "image must be a string"),
        ("DELETE /nodes/node-1/images", {}, "The body lacks image"),
        ("PUT /nodes/node-1/images", {"names": 5}, "a list of strings or null, not 5"),
        (
            "PUT /nodes/node-1/images",
            {"names": None, "size": 0},
            "body: size must be from 1",
        ),
        ("PUT /nodes/node-1/images", {"names": [], "bytes": 1}, "Unknown key bytes"),
        ("POST /nodes", {"labels": []}, "labels must be an object"),
        ("POST /pods/a/b/finish", {"exit_code": "x"}, "must be a whole number"),
        ("POST /pods/a/b/evict", {"message": 5}, "message must be a string"),
        ("POST /pods/a/b/kill", {"exit_code": 256}, "must be from 0 to 255, not 256"),
        ("POST /pods/a/b/kill", {"reson": ""}, "Did you mean reason?"),
        ("PUT /faults", {"rules": [{"drop": "soon"}]}, "rules[0]: drop must be"),
        ("POST /restart", {"away": -1}, "body: away must be from 0 to 86400, not -1"),
        ("POST /restart", {"away": "x"}, 'away must be a number, not "x"'),
        ("POST /restart", {"expire": 1}, "expire must be true or false"),
        ("POST /restart", [], "body must be a JSON object"),
        ("PUT /versions/refused", {"answer": "no"}, "too-large or compacted or"),
        ("PUT /webhooks", {"webhooks": {}}, "webhooks must be a list of objects"),
        (
            "PUT /webhooks",
            {"webhooks": [{"kinds": ["pod"]}]},
            "webhooks[0]: Unknown kind pod. Did you mean Pod?",
        ),
        (
            "PUT /webhooks",
            {"webhooks": [{"namespace": "("}]},
            "namespace: ( is no regular expression",
        ),
        (
            "POST /namespaces/default/hold",
            {"kinds": ["ConfigMaps"]},
            "Did you mean ConfigMap?",
        ),
        ("PUT /rbac", {"enforced": "yes"}, "enforced must be true or false"),
        ("PUT /service", {}, "The body lacks url"),
        ("PUT /service", {"url": "nonsense"}, "http://127.0.0.1:8080"),
        (_TAG, {}, "The body lacks digest"),
        (_TAG, {"digest": 5}, "digest must be a string"),
    ],
)
def test_rubbish_is_refused_in_words(
    control: str, request_: str, body: Any, message: str
) -> None:
    answer = ask(control, request_, body)
    assert answer.status_code == 422, answer.text
    assert message in answer.json()["error"]


def test_body_that_is_not_json_is_told(control: str) -> None:
    answer = requests.patch(f"{control}/settings", data="{bad", timeout=_SECONDS)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("The body is not JSON: ")


def test_wrong_path_gets_a_suggestion(control: str) -> None:
    answer = ask(control, "GET /setings")
    assert answer.status_code == 404
    assert "Did you mean /settings?" in answer.json()["error"]


def test_wrong_method_is_told(control: str) -> None:
    answer = ask(control, "DELETE /settings")
    assert answer.status_code == 405
    assert "PATCH" in answer.json()["error"]


def test_missing_tag_is_told(control: str) -> None:
    answer = ask(control, "DELETE /tags/sciplat/nothing/w_1")
    assert answer.status_code == 404
    assert "sciplat/nothing has no tag w_1" in answer.json()["error"]


@pytest.mark.parametrize("delay", [1, 0.5, 0, 2.25])
def test_delays_are_whole_numbers_or_not(control: str, delay: float) -> None:
    for value in (3, delay):
        answer = ask(control, "PATCH /settings", {"start_delay": value})
        assert answer.status_code == 200, answer.text
        assert answer.json()["start_delay"] == value


def test_refused_settings_change_nothing(control: str) -> None:
    before = ask(control, "GET /settings").json()
    changes = {"pull_seconds": 77, "failing_pulls": ["("]}
    assert ask(control, "PATCH /settings", changes).status_code == 422
    assert ask(control, "GET /settings").json() == before


@pytest.mark.parametrize("setting", ["failing_pulls", "exits", "pull_rules"])
def test_pattern_that_matches_no_image_is_told(control: str, setting: str) -> None:
    digest = f"sha256:{'0' * 64}"
    ask(control, _TAG, {"digest": digest})
    for pattern, is_known in (("w_2026_45", True), ("w_2026_54", False)):
        value: Any = [pattern] if setting == "failing_pulls" else {pattern: 1}
        answer = ask(control, "PATCH /settings", {setting: value})
        warnings = answer.json()["warnings"]
        if is_known:
            assert warnings == []
        else:
            (warning,) = warnings
            assert warning.startswith(f"{setting}: {pattern} matches no known image")
    empty: Any = [] if setting == "failing_pulls" else {}
    assert ask(control, "PATCH /settings", {setting: empty}).json()["warnings"] == []
