"""The last answer of the service discovery, which may be away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from responses import RequestsMock
from structlog.testing import capture_logs

from nublado.exceptions import DiscoveryError
from nublado.sandbox.repertoire import discovery
from nublado.services.discovery import DiscoveryService
from nublado.storage.repertoire import RepertoireClient
from tests.waiting import wait_for

URL = "https://data.example.org/repertoire/discovery"
API = "https://data.example.org/auth/api/v1"


@pytest.fixture
def mock() -> Iterator[RequestsMock]:
    with RequestsMock() as mock:
        yield mock


@pytest.fixture
def service() -> Iterator[DiscoveryService]:
    service = DiscoveryService(RepertoireClient("https://data.example.org/repertoire/"))
    yield service
    service.close()


def answer(mock: RequestsMock) -> None:
    mock.get(URL, json=discovery("https://data.example.org"))


def test_answer_is_kept_while_the_discovery_is_away(
    mock: RequestsMock, service: DiscoveryService
) -> None:
    answer(mock)
    service.refresh()
    document = service.lab_document
    assert service.gafaelfawr_api == API
    assert document is not None
    mock.replace("GET", URL, status=503)
    with pytest.raises(DiscoveryError, match="status 503"):
        service.refresh()
    assert service.gafaelfawr_api == API
    assert service.lab_document == document


def test_nothing_is_known_before_the_first_answer(
    mock: RequestsMock, service: DiscoveryService
) -> None:
    mock.get(URL, body=requests.ConnectionError("refused"))
    with capture_logs() as logs:
        service.begin()
        assert service.lab_document is None
        wait_for(lambda: logs)
    assert [entry["event"] for entry in logs] == [
        "Service discovery failed, using the base URL"
    ]
    assert service.gafaelfawr_api is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b"[" * 100_000])
def test_answer_that_is_no_object_is_an_error(
    mock: RequestsMock, service: DiscoveryService, body: bytes
) -> None:
    mock.get(URL, body)
    with pytest.raises(DiscoveryError, match="Response of service discovery"):
        service.refresh()


def test_gafaelfawr_that_is_not_known_is_warned_of(
    mock: RequestsMock, service: DiscoveryService
) -> None:
    mock.get(URL, json={})
    with capture_logs() as logs:
        service.refresh()
    assert logs[0]["log_level"] == "warning"
    assert "does not know Gafaelfawr" in logs[0]["event"]
    assert service.lab_document is not None


def test_discovered_url_is_logged_when_it_changes(
    mock: RequestsMock, service: DiscoveryService
) -> None:
    answer(mock)
    with capture_logs() as logs:
        service.refresh()
        service.refresh()
        mock.replace("GET", URL, json=discovery("https://other.example.org"))
        service.refresh()
    assert [entry["url"] for entry in logs] == [
        API,
        "https://other.example.org/auth/api/v1",
    ]


def test_platform_without_a_discovery_knows_nothing() -> None:
    service = DiscoveryService(None)
    service.begin()
    service.refresh()
    service.close()
    assert not service.enabled
    assert service.gafaelfawr_api is None
    assert service.lab_document is None
