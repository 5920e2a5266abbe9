"""What is taken from the answer of the service discovery."""

from __future__ import annotations

import json

import pytest

from nublado.models.domain.discovery import Discovery
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.repertoire import discovery


def internal(service: object) -> JSON:
    return {"services": {"internal": {"gafaelfawr": service}}}


def test_labs_are_told_urls_and_little_else() -> None:
    answer = discovery("https://data.example.org")
    answer["influxdb_databases"]["efd"] = {
        "url": "https://data.example.org/influxdb/",
        "database": "efd",
        "password": "secret",
    }
    answer["datasets"]["empty"] = {"description": "no Butler"}
    assert json.loads(Discovery.parse(answer).lab_document) == {
        "datasets": {
            "dp1": {
                "butler_config": (
                    "https://data.example.org/api/butler/repo/dp1/butler.yaml"
                ),
                "services": {
                    "tap": {
                        "url": "https://data.example.org/api/tap",
                        "versions": {
                            "tap-1.1": {"url": "https://data.example.org/api/tap"}
                        },
                    }
                },
            },
            "empty": {},
        },
        "influxdb_databases": {
            "efd": {"url": "https://data.example.org/influxdb/", "database": "efd"}
        },
        "services": {
            "internal": {
                "gafaelfawr": {
                    "url": "https://data.example.org/auth",
                    "versions": {"v1": {"url": "https://data.example.org/auth/api/v1"}},
                }
            }
        },
    }


@pytest.mark.parametrize(
    ("service", "url"),
    [
        (
            {"url": "https://a/auth", "versions": {"v1": {"url": "https://b/api/v1/"}}},
            "https://b/api/v1",
        ),
        (
            {"url": "http://gafaelfawr.gafaelfawr:8080/auth/"},
            "http://gafaelfawr.gafaelfawr:8080/auth/api/v1",
        ),
        ({"url": "https://a/auth", "versions": {"v2": {}}}, "https://a/auth/api/v1"),
        ({"url": "https://user:password@a/auth"}, None),
        ({"url": "file:///etc/passwd"}, None),
        ({"url": 1, "versions": []}, None),
        ("https://a/auth", None),
        (None, None),
    ],
)
def test_gafaelfawr_is_found_where_its_url_is_safe(
    service: object, url: str | None
) -> None:
    assert Discovery.parse(internal(service)).gafaelfawr_api == url


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"datasets": [], "services": None, "influxdb_databases": "no"},
        {"datasets": {"a": [], "b": {"butler_config": 1, "services": {"c": 2}}}},
        {"services": {"internal": []}},
    ],
)
def test_answer_in_another_form_tells_what_it_can(answer: JSON) -> None:
    found = Discovery.parse(answer)
    assert found.gafaelfawr_api is None
    assert set(json.loads(found.lab_document)) == {
        "datasets",
        "influxdb_databases",
        "services",
    }


def test_more_than_a_config_map_can_hold_is_refused() -> None:
    answer = {"datasets": {"a": {"butler_config": "x" * 600_000}}}
    with pytest.raises(ValueError, match="more than 524288 bytes"):
        Discovery.parse(answer)
