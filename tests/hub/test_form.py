"""The spawner form inside of JupyterHub's page."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nublado.jupyterhub import NubladoSpawner
from nublado.sandbox.platform import Platform
from tests.e2e.users import User
from tests.hub.pages import Pages
from tests.hub.users import HubUser


def test_form_speaks_the_language_of_the_browser(
    platform: Platform, user: HubUser
) -> None:
    user.log_in()
    answer = user.browser.get(
        f"{platform.url}/nb/hub/spawn", headers={"Accept-Language": "fr"}, timeout=60
    )
    assert '<div class="nublado-form" lang="fr">' in answer.text


def test_lab_that_jupyterhub_does_not_know_is_not_replaced_unasked(
    platform: Platform, user: HubUser, pages: Pages
) -> None:
    known_to_the_controller = User(platform.stack, user.name)
    known_to_the_controller.spawn()
    pod = user.pod_uid()
    pages.open_form()
    assert "Your lab is running." in pages.text()
    pages.submit()
    assert pages.path == "/nb/hub/spawn"
    assert user.pod_uid() == pod
    pages.browser.find("#nublado-replace").click()
    pages.submit()
    pages.wait_for_lab()
    assert user.pod_uid() != pod


def test_last_choice_outlives_the_controller(
    platform: Platform, user: HubUser, pages: Pages
) -> None:
    pages.open_form()
    card = pages.browser.find("li:has(> #nublado-image-3)")
    wanted = card.get_attribute("data-image")
    pages.browser.find("#nublado-image-3").click()
    pages.submit()
    pages.wait_for_lab()
    user.stop()
    user.wait_gone()
    platform.stack.service.kill()
    platform.stack.start_service()
    platform.stack.service.wait_ready()
    pages.open_form()
    assert pages.browser.find("#nublado-image-3").is_selected()
    chosen = pages.browser.find("#nublado-dropdown").get_property("value")
    assert chosen == wanted


class Handler:
    """A handler of a hub whose pages have a nonce."""

    csp_nonce = "PLpN3YqVQw0Bz9J0d"


@pytest.mark.parametrize(
    ("form_nonce", "handler", "nonce"),
    [
        (None, Handler(), None),
        (lambda handler: handler.csp_nonce, None, None),
        (lambda handler: handler.csp_nonce, Handler(), Handler.csp_nonce),
        (lambda _: "", Handler(), None),
    ],
)
def test_nonce_is_that_of_the_page(
    form_nonce: object, handler: object, nonce: str | None
) -> None:
    spawner = SimpleNamespace(form_nonce=form_nonce, handler=handler)
    assert NubladoSpawner._nonce(spawner) == nonce  # type: ignore[arg-type]
