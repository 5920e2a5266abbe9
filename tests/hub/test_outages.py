"""What users notice of the end of a controller or of JupyterHub: little."""

from __future__ import annotations

import pytest

from nublado.sandbox.platform import Platform
from tests.hub.pages import Pages
from tests.hub.users import HubUser, wait_until


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_controller_ends_while_a_lab_starts(
    platform: Platform, user: HubUser, pages: Pages, how: str
) -> None:
    platform.stack.control.settings(init_seconds=15.0)
    pages.spawn()
    pages.wait_for_step("Container started")
    pod = user.pod_uid()
    getattr(platform.stack.service, how)()
    pages.wait_for_step("Waiting for the lab controller")
    platform.stack.start_service()
    pages.wait_for_lab()
    assert user.pod_uid() == pod


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_controller_ends_as_soon_as_it_was_asked(
    platform: Platform, user: HubUser, pages: Pages, how: str
) -> None:
    pages.spawn()
    getattr(platform.stack.service, how)()
    platform.stack.start_service()
    pages.wait_for_lab()
    assert user.is_ready()


def test_running_lab_is_not_taken_for_dead_in_an_outage(
    platform: Platform, user: HubUser
) -> None:
    user.log_in()
    user.start()
    user.wait_ready()
    pod = user.pod_uid()
    platform.stack.service.stop()
    log = platform.logs["jupyterhub"]
    polled = f"State of the lab of {user.name}"
    wait_until(lambda: log.text().count(polled) >= 2, "JupyterHub polls")
    assert user.is_ready()
    platform.stack.start_service()
    platform.stack.service.wait_ready()
    assert user.is_ready()
    assert user.pod_uid() == pod


def test_jupyterhub_starts_in_an_outage_while_a_lab_runs(
    platform: Platform, user: HubUser
) -> None:
    user.log_in()
    user.start()
    user.wait_ready()
    pod = user.pod_uid()
    platform.stack.service.kill()
    platform.hub.kill()
    platform.hub.launch()
    platform.hub.wait_ready()
    user.wait_ready()
    platform.stack.start_service()
    platform.stack.service.wait_ready()
    assert user.is_ready()
    assert user.pod_uid() == pod


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_jupyterhub_ends_while_a_lab_runs(
    platform: Platform, user: HubUser, pages: Pages, how: str
) -> None:
    pages.spawn()
    pages.wait_for_lab()
    pages.open_notebook()
    assert pages.run("x = 41; x") == "41"
    pod = user.pod_uid()

    getattr(platform.hub, how)()
    assert pages.run("x + 1") == "42"
    platform.hub.launch()
    platform.hub.wait_ready()

    user.wait_ready()
    assert pages.run("x + 2") == "43"
    assert user.pod_uid() == pod
    pages.stop_from_home()
    user.wait_gone()


def test_jupyterhub_ends_while_a_lab_starts(platform: Platform, user: HubUser) -> None:
    platform.stack.control.settings(init_seconds=15.0)
    user.log_in()
    user.start()
    wait_until(lambda: user.status() == "pending", "the lab starts")
    platform.hub.kill()
    platform.hub.launch()
    platform.hub.wait_ready()
    platform.stack.control.settings(init_seconds=0.05)
    user.wait_ready()
