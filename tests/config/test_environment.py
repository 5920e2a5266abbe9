"""The environment of the process."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest

from nublado.config import load, load_for
from nublado.config.environment import Environment
from nublado.config.model import ContainerImage, PullPolicy
from nublado.config.notes import notes_on_environment
from nublado.exceptions import InvalidEnvironmentError

CONFIGS = Path(__file__).parent.parent / "data" / "configs"


def test_nothing_needs_to_be_set() -> None:
    assert Environment.read({}) == Environment()
    assert Environment.read({"NUBLADO_THREADS": " "}) == Environment()


def test_every_variable_is_read() -> None:
    environment = Environment.read(
        {
            "NUBLADO_CONFIG": "/a/config.yaml",
            "NUBLADO_BIND": "127.0.0.1:81",
            "EXTERNAL_INSTANCE_URL": "https://data.example.org/",
            "KUBECONFIG": "/a/kubeconfig",
            "NUBLADO_METADATA_PATH": "/a/metadata",
            "NUBLADO_SLACK_WEBHOOK": "https://hooks.example.org/secret",
            "NUBLADO_REGISTRY_MIRRORS": "docker.io=https://mirror.example.org",
            "NUBLADO_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128",
            "NUBLADO_THREADS": "16",
            "NUBLADO_REFRESH_INTERVAL": "1",
            "NUBLADO_CONTROLLER_REPOSITORY": "registry.example.org/nublado",
            "NUBLADO_CONTROLLER_TAG": "15.1.0",
            "NUBLADO_CONTROLLER_PULL_POLICY": "ALWAYS",
            "REPERTOIRE_BASE_URL": "https://data.example.org/repertoire/",
            "SENTRY_DSN": "https://secret@sentry.example.org/1",
            "SENTRY_ENVIRONMENT": "",
            "METRICS_APPLICATION": "nublado",
        }
    )
    assert environment == Environment(
        config_path=Path("/a/config.yaml"),
        bind="127.0.0.1:81",
        external_url="https://data.example.org",
        kubeconfig="/a/kubeconfig",
        metadata_path=Path("/a/metadata"),
        slack_webhook="https://hooks.example.org/secret",
        registry_mirrors={"docker.io": "https://mirror.example.org"},
        trusted_proxies=(
            ipaddress.ip_network("10.0.0.0/8"),
            ipaddress.ip_network("::1/128"),
        ),
        threads=16,
        refresh_interval=1,
        controller_repository="registry.example.org/nublado",
        controller_tag="15.1.0",
        controller_pull_policy=PullPolicy.ALWAYS,
        repertoire_url="https://data.example.org/repertoire",
        without_effect=("METRICS_APPLICATION", "SENTRY_DSN"),
    )
    assert environment.controller_image == ContainerImage(
        "registry.example.org/nublado", "15.1.0", PullPolicy.ALWAYS
    )
    assert "secret" not in repr(environment)


def test_without_an_image_of_the_controller_that_of_the_original_is_used() -> None:
    assert Environment().controller_image == ContainerImage(
        "ghcr.io/lsst-sqre/nublado", "11.0.0"
    )


def test_a_pod_of_the_cluster_needs_no_kubeconfig() -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": "/a/kubeconfig"}
    assert Environment.read(environ).kubeconfig is None


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidEnvironmentError) as caught:
        Environment.read(
            {
                "EXTERNAL_INSTANCE_URL": "https://user:hunter2@example.org",
                "NUBLADO_THREADS": "15",
                "NUBLADO_REFRESH_INTERVAL": "5m",
                "NUBLADO_TRUSTED_PROXIES": "10.0.0.0/8,10.0.0.1/8",
            }
        )
    assert caught.value.problems == (
        "EXTERNAL_INSTANCE_URL: must be a URL such as https://data.example.org,"
        " with neither user nor password",
        "NUBLADO_TRUSTED_PROXIES: must be networks such as 10.0.0.0/8, separated by"
        ' commas, not "10.0.0.1/8"',
        'NUBLADO_THREADS: must be a whole number of threads from 16 to 1024, not "15"',
        "NUBLADO_REFRESH_INTERVAL: must be a whole number of seconds from 1 to"
        ' 1000000000, not "5m"',
    )


@pytest.mark.parametrize(
    ("text", "mirrors"),
    [
        ("", {}),
        (" , ", {}),
        (
            "docker.io=https://mirror.test/a/, example.org:5000=http://127.0.0.1:81",
            {
                "docker.io": "https://mirror.test/a",
                "example.org:5000": "http://127.0.0.1:81",
            },
        ),
    ],
)
def test_mirrors_are_parsed(text: str, mirrors: dict[str, str]) -> None:
    environment = Environment.read({"NUBLADO_REGISTRY_MIRRORS": text})
    assert environment.registry_mirrors == mirrors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("docker.io", "entry 1 must be HOST=URL"),
        ("docker.io=", "must be HOST=URL"),
        ("=https://mirror.test", "must be HOST=URL"),
        ("a.org=https://b.org,https://c.org=https://d.org", "entry 2 must be"),
        ("docker.io=mirror.test", "must be HOST=URL"),
        ("docker.io=https://user:hunter2@mirror.test", "neither user nor password"),
        ("https://user:hunter2@mirror.test", "must be HOST=URL"),
        ("docker.io=http://mirror.test", "must use https"),
        ("docker.io=https://mirror.test:99999", "entry 1"),
    ],
)
def test_malformed_mirrors_are_refused_without_quoting_them(
    text: str, message: str
) -> None:
    with pytest.raises(InvalidEnvironmentError, match="NUBLADO_REGISTRY_MIRRORS") as e:
        Environment.read({"NUBLADO_REGISTRY_MIRRORS": text})
    assert message in str(e.value)
    assert "hunter2" not in str(e.value)


@pytest.mark.parametrize(
    "url",
    [
        Environment().external_url,
        "https://10.0.0.1",
        "https://010.0.0.1:8443/prefix",
        "http://[::1]:8080",
        "https://data..example.org",
        "https://-data.example.org",
    ],
)
def test_file_servers_need_a_base_url_with_a_name(url: str) -> None:
    files = Environment(config_path=CONFIGS / "files.yaml", external_url=url)
    with pytest.raises(InvalidEnvironmentError) as caught:
        load_for(files)
    (problem,) = caught.value.problems
    assert problem.startswith(f"EXTERNAL_INSTANCE_URL: {url} must have a DNS name")
    assert "fileserver.enabled" in problem
    assert (
        load_for(Environment(CONFIGS / "e2e.yaml", external_url=url)).fileserver is None
    )


@pytest.mark.parametrize(
    "url",
    ["https://data.example.org", "http://localhost:8080", "https://Data.EXAMPLE.org"],
)
def test_file_servers_work_at_any_name(url: str) -> None:
    files = Environment(config_path=CONFIGS / "files.yaml", external_url=url)
    assert load_for(files).fileserver is not None


def test_file_servers_without_an_image_need_that_of_the_controller() -> None:
    environment = Environment(
        config_path=CONFIGS / "new-style.yaml", external_url="https://data.example.org"
    )
    with pytest.raises(InvalidEnvironmentError) as caught:
        load_for(environment)
    assert "NUBLADO_CONTROLLER_REPOSITORY: is required" in str(caught.value)
    given = replace(environment, controller_repository="example.org/nublado")
    assert load_for(given).fileserver is not None


def test_what_an_environment_asks_for_in_vain_is_told() -> None:
    config = load(CONFIGS / "new-style.yaml")
    assert notes_on_environment(
        config, Environment(without_effect=("SENTRY_DSN",))
    ) == [
        "SENTRY_DSN: is accepted, and has no effect",
        "NUBLADO_CONTROLLER_REPOSITORY: is not set; standard containers run"
        " ghcr.io/lsst-sqre/nublado:11.0.0",
        "NUBLADO_CONTROLLER_TAG: is not set; 11.0.0 is used",
    ]
    old = load(CONFIGS / "standard.yaml")
    assert notes_on_environment(old, Environment()) == []
