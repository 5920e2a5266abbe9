"""What a user does, from the form to a kernel."""

from __future__ import annotations

from nublado.sandbox.platform import Platform
from tests.hub.pages import Pages
from tests.hub.users import HubUser


def test_from_the_form_to_a_kernel_and_again(user: HubUser, pages: Pages) -> None:
    pages.spawn()
    pages.wait_for_lab()
    pages.open_notebook()
    assert pages.run("1+1") == "2"
    first = user.pod_uid()

    pages.stop_from_home()
    user.wait_gone()

    pages.spawn()
    pages.wait_for_lab()
    assert user.pod_uid() != first


def test_events_reach_the_page_as_they_come(platform: Platform, pages: Pages) -> None:
    platform.stack.control.settings(init_seconds=20.0)
    pages.spawn()
    pages.wait_for_step("Container started")
    assert pages.steps()[1].startswith("Starting lab creation")
    assert 30 < pages.percent() < 90
    pages.wait(
        lambda: "Your lab is starting" in pages.progress_says(),
        "the controller's page is shown in JupyterHub's",
    )
    assert "/spawn-pending/" in pages.path
    platform.stack.control.settings(init_seconds=0.05)
    pages.wait_for_lab()


def test_refused_lab_leads_back_to_the_form(
    platform: Platform, user: HubUser, pages: Pages
) -> None:
    pages.open_form()
    quota = {"quota": {"notebook": {"cpu": 0.5, "memory": 1, "spawn": True}}}
    platform.stack.control("PUT", f"/users/{user.name}", quota)
    pages.submit()
    pages.wait(
        lambda: "Insufficient quota to spawn requested lab" in pages.text(),
        "the refusal is shown",
    )
    assert pages.path == "/nb/hub/spawn"
    assert user.status() is None


def test_failed_pull_is_told_in_words(
    platform: Platform, user: HubUser, pages: Pages
) -> None:
    pages.open_form()
    tag = pages.choose_uncached_image()
    platform.stack.control.settings(failing_pulls=[f":{tag}"])
    pages.submit()
    pages.wait_for_step(f"Failed to pull image .*{tag}")
    pages.wait_for_step("Spawn failed: .*timed out.*")
    pages.driver.refresh()
    pages.wait(lambda: "Spawn failed" in pages.text(), "the failure is shown")
    assert "timed out" in pages.text()
    assert user.status() == "failed"

    platform.stack.control.settings(failing_pulls=[])
    pages.spawn()
    pages.wait_for_lab()


def test_stop_while_starting(platform: Platform, user: HubUser, pages: Pages) -> None:
    platform.stack.control.settings(init_seconds=300.0)
    pages.spawn()
    pages.wait_for_step("Container started")
    pages.stop_while_starting()
    user.wait_gone()
    platform.stack.control.settings(init_seconds=0.05)
    pages.spawn()
    pages.wait_for_lab()
