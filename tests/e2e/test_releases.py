"""What users see on each release of Kubernetes, whose events differ in their texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from nublado.services.progress.events import readable
from tests.e2e.browser import start_browser
from tests.e2e.conftest import make_stack
from tests.e2e.users import User


@pytest.mark.parametrize(
    ("release", "started"),
    [("1.34", "Started container {0}"), ("1.36", "{0}: Container started")],
)
def test_page_shows_all_that_has_happened_to_each_container(
    tmp_path: Path, release: str, started: str
) -> None:
    with make_stack(tmp_path, release) as stack:
        stack.control.settings(failing_pulls=["sciplat/lab"])
        user = User(stack, "rachel")
        assert user.create().status_code == 201
        events = user.follow()
        path = f"{stack.config.path_prefix}/spawner/v1/labs/{user.name}/progress"
        with start_browser() as browser:
            browser.visit(stack.endpoints.ingress, user.name, path)
            browser.wait_for_text("#waits", "The image does not seem to exist")
            browser.find("#open-itself").click()
            stack.control.settings(failing_pulls=[])
            browser.wait_for_text("h1", "Your lab is running")
            shown = browser.texts("#events li")
            assert browser.complaints() == []
    assert events.ended.is_set()
    assert len(shown) == len(events.messages)
    for line, message in zip(shown, events.messages, strict=True):
        assert line.endswith(readable(message))
    for container in ("inithome", "notebook"):
        end = started.format(container)
        assert len([line for line in shown if line.endswith(end)]) == 1
