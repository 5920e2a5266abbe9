"""The page on which users watch their lab."""

from __future__ import annotations

import re
from contextlib import suppress
from html import unescape

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.browser import Browser, start_browser
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

TAG = "d_2026_10_28"
QUOTA = {
    "kind": "Status",
    "reason": "Forbidden",
    "message": "exceeded quota: rachel-nb",
    "code": 403,
}


def path(user: User) -> str:
    return f"{user.stack.config.path_prefix}/spawner/v1/labs/{user.name}/progress"


def fetch(user: User, **headers: str) -> requests.Response:
    url = f"{user.stack.service.url}{path(user)}"
    return requests.get(url, headers={**user.headers, **headers}, timeout=SECONDS)


def title(page: requests.Response) -> str:
    (found,) = re.findall(r"<h1[^>]*>(.*?)</h1>", page.text)
    return unescape(found)


def watch(browser: Browser, user: User) -> None:
    browser.visit(user.stack.endpoints.ingress, user.name, path(user))


def stay(browser: Browser) -> None:
    """Let the lab not open by itself."""
    browser.find("#open-itself").click()


def hold(stack: Stack, user: User) -> None:
    """Begin a spawn that hangs: no node has its image, or can pull it."""
    image = {"image": f"registry.example.org/sciplat/lab:{TAG}"}
    for node in ("node-1", "node-2", "node-3"):
        with suppress(requests.HTTPError):
            stack.control("DELETE", f"/nodes/{node}/images", image)
    stack.control.settings(failing_pulls=[TAG], pull_failure="unavailable")
    assert user.create(image_tag=TAG).status_code == 201


# --- Without a browser ------------------------------------------------------


def test_page_tells_all_without_scripts(user: User) -> None:
    user.spawn()
    page = fetch(user)
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert title(page) == "Your lab is running"
    assert f"Starting lab creation for {user.name}" in page.text
    link = f'href="{user.stack.endpoints.ingress}/nb/user/{user.name}/"'
    assert link in page.text
    # It goes on to tell the truth without scripts, too.
    assert '<noscript><meta http-equiv="refresh" content="60">' in page.text
    user.delete()
    assert title(fetch(user)) == "Your lab is not running"


def test_page_is_that_of_the_user(user: User) -> None:
    headers = {"X-Auth-Request-User": "somebody-else"}
    assert fetch(user, **headers).status_code == 403
    answer = fetch(user)
    assert answer.status_code == 404
    assert answer.json()["detail"][0]["type"] == "unknown_user"
    page = fetch(user, Accept="text/html,*/*")
    assert page.status_code == 404
    assert title(page) == "You have no lab"


def test_messages_cannot_break_the_page(stack: Stack, user: User) -> None:
    evil = "<script>alert(1)</script>"
    rule = {"method": "POST", "path": f"{user.namespace}/pods$", "status": 422}
    stack.control.faults({**rule, "body": evil})
    user.spawn()
    text = fetch(user).text
    assert evil not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_page_that_says_nothing_new_is_not_sent_again(user: User) -> None:
    nothing = fetch(user, Accept="text/html")
    tag = nothing.headers["ETag"]
    again = fetch(user, Accept="text/html", **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    user.spawn()
    wait_for(lambda: user.status == "running")
    page = fetch(user, **{"If-None-Match": tag})
    assert page.status_code == 200
    tag = page.headers["ETag"]
    again = fetch(user, **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    user.stack.control("POST", f"/pods/{user.namespace}/{user.name}-nb/evict")
    wait_for(lambda: fetch(user, **{"If-None-Match": tag}).status_code == 200)
    wait_for(lambda: "ran short of something" in fetch(user).text)
    assert title(fetch(user)) == "Your lab has ended"


# --- Cancel -----------------------------------------------------------------


def form_of(page: requests.Response) -> dict[str, str]:
    fields = re.findall(
        r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text
    )
    return {name: unescape(value) for name, value in fields}


def send_form(user: User, fields: dict[str, str], **headers: str) -> requests.Response:
    return requests.post(
        f"{user.lab}/cancel",
        data=fields,
        headers={**user.headers, **headers},
        allow_redirects=False,
        timeout=SECONDS,
    )


def test_only_a_form_of_the_own_page_cancels(stack: Stack, user: User) -> None:
    hold(stack, user)
    fields = form_of(fetch(user))
    assert set(fields) == {"token", "operation"}
    somebody = User(stack, "somebody")
    refused = [
        send_form(user, {"operation": fields["operation"]}),
        send_form(user, {**fields, "token": "forged"}),
        send_form(user, fields, **{"Sec-Fetch-Site": "cross-site"}),
        send_form(user, fields, **{"Sec-Fetch-Site": "same-site"}),
        send_form(user, fields, **somebody.headers),
    ]
    assert [answer.status_code for answer in refused] == [403] * 5
    old = send_form(user, {**fields, "operation": "0" * 12})
    assert old.status_code == 303
    assert user.status == "pending"
    answer = send_form(user, fields, **{"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.headers["Location"]) == (303, path(user))
    assert title(fetch(user)) == "The start of your lab was cancelled"
    wait_for(lambda: user.status is None)
    # Whoever sends the form twice does no harm.
    assert send_form(user, fields).status_code == 303


def test_an_old_form_does_not_delete_a_lab_that_runs(stack: Stack, user: User) -> None:
    hold(stack, user)
    fields = form_of(fetch(user))
    stack.control.settings(failing_pulls=[])
    wait_for(lambda: user.status == "running", SECONDS)
    assert send_form(user, fields).status_code == 303
    assert user.status == "running"


# --- In a browser -----------------------------------------------------------


def test_spawn_is_watched_to_its_end(stack: Stack, user: User) -> None:
    hold(stack, user)
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab is starting")
        browser.wait_for_text("#step", "Fetching the image")
        browser.wait_for_text("#waits", "The image cannot be fetched yet")
        browser.wait_for_text(".is-now", "Fetching the image")
        assert browser.texts("dd")[0].startswith("Daily 2026_10_28")
        assert re.match(r"\d+ (s|min) .*· Your lab is starting", browser.driver.title)
        assert int(browser.find("#bar").get_attribute("value") or 0) >= 30
        stay(browser)
        assert browser.barriers() == []
        stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "Your lab is running")
        assert browser.driver.title == "Your lab is running"
        assert not browser.find_all("#steps li:not(.is-done)")
        icon = browser.find("link[rel=icon]").get_attribute("href") or ""
        assert "%2318794e" in icon
        browser.find("#log summary").click()
        told = [text.split(maxsplit=1)[1] for text in browser.texts("#events li")]
        # Times are those of the browser, such as 10:31:05 PM.
        assert told[0].endswith(f"Starting lab creation for {user.name}")
        assert told[-1].endswith(f"Lab Kubernetes pod started for {user.name}")
        assert not [text for text in told if re.search("[0-9a-f]{64}", text)]
        assert browser.barriers() == []
        assert browser.complaints() == []
        browser.find(".button").click()
        browser.wait_for_path(f"/nb/user/{user.name}/")


def test_the_lab_opens_by_itself_but_not_from_an_old_page(
    stack: Stack, user: User
) -> None:
    hold(stack, user)
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("#step", "Fetching the image")
        assert browser.find("#open-itself").is_selected()
        stack.control.settings(failing_pulls=[])
        browser.wait_for_path(f"/nb/user/{user.name}/")
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab is running")
        # It has looked for news once, and stays where it is.
        sent = "return performance.getEntriesByType('resource').length"
        wait_for(lambda: browser.driver.execute_script(sent) > 0)
        assert browser.driver.current_url.endswith(path(user))


def test_whoever_wants_to_is_notified(stack: Stack, user: User) -> None:
    hold(stack, user)
    with start_browser() as browser:
        # The page is in a tab that nobody sees, of a browser that asks and may.
        script = """
          Object.defineProperty(Document.prototype, "hidden", { get: () => true });
          window.asked = 0; window.notes = [];
          window.Notification = class {
            static permission = "default";
            static async requestPermission() {
              window.asked++;
              this.permission = "granted";
            }
            constructor(text) { window.notes.push(text); }
          };"""
        browser.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": script}
        )
        watch(browser, user)
        browser.wait_for_text("#step", "Fetching the image")
        assert browser.driver.execute_script("return window.asked") == 0
        stay(browser)
        browser.find("#notify").click()
        browser.wait_for_text("#notify", "You will be notified")
        stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "Your lab is running")
        notes = "return [window.asked, ...window.notes]"
        assert browser.driver.execute_script(notes) == [1, "Your lab is running"]


def test_an_open_page_tells_of_the_end_of_its_lab(stack: Stack, user: User) -> None:
    user.spawn()
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab is running")
        pod = f"/pods/{user.namespace}/{user.name}-nb"
        stack.control(
            "POST", f"{pod}/finish", {"exit_code": 137, "reason": "OOMKilled"}
        )
        browser.wait_for_text("h1", "Your lab has ended")
        browser.wait_for_text(".state", "Your lab needed more than 3 GB.")
        # Their quota allows no larger one.
        browser.wait_for_text(".state", "There is no larger size for you")
        assert browser.barriers() == []
        assert browser.complaints() == []
        # JupyterHub clears away, the user starts another: it shows that as well.
        user.delete()
        hold(stack, user)
        browser.wait_for_text("h1", "Your lab is starting")
        stack.control.settings(failing_pulls=[])


def test_the_page_without_a_lab_shows_one_that_comes(stack: Stack, user: User) -> None:
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "You have no lab")
        assert browser.barriers() == []
        hold(stack, user)
        browser.wait_for_text("h1", "Your lab is starting")
        browser.wait_for_text("#step", "Fetching the image")
        stack.control.settings(failing_pulls=[])
        browser.wait_for_path(f"/nb/user/{user.name}/")


def test_the_page_outlives_a_login_that_has_ended(stack: Stack, user: User) -> None:
    user.spawn()
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab is running")
        browser.driver.delete_all_cookies()
        browser.wait_for_text("#connection", "this is what was known last")
        assert browser.find("h1").text == "Your lab is running"


def test_failed_spawn_says_what_to_do(stack: Stack, user: User) -> None:
    rule = {"method": "POST", "path": f"{user.namespace}/pods$", "delay": 2.0}
    stack.control.faults({**rule, "status": 403, "body": QUOTA})
    assert user.create().status_code == 201
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab could not be started")
        browser.wait_for_text(".state", "A lab of this size is more than you may use.")
        browser.find("#log summary").click()
        browser.wait_for_text("#events", "exceeded quota")
        browser.find("#support summary").click()
        browser.wait_for_text("#support-text", "Failure: quota exceeded:")
        assert browser.barriers() == []
        assert browser.complaints() == []
        browser.find(".button").click()
        browser.wait_for_path("/nb/hub/spawn")


@pytest.mark.parametrize("scripts", [True, False])
def test_the_button_cancels(stack: Stack, user: User, *, scripts: bool) -> None:
    hold(stack, user)
    with start_browser(scripts=scripts) as browser:
        watch(browser, user)
        browser.wait_for_text("h1", "Your lab is starting")
        browser.find("form button").click()
        browser.wait_for_text("h1", "The start of your lab was cancelled")
        stack.control.settings(failing_pulls=[])
        browser.wait_for_text(".state", "Nothing is left of it.")
        if scripts:
            assert browser.barriers() == []
            assert browser.complaints() == []
        browser.find(".button").click()
        browser.wait_for_path("/nb/hub/spawn")


def test_who_wants_less_motion_gets_none(stack: Stack, user: User) -> None:
    hold(stack, user)
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("#step", "Fetching the image")
        moving = (
            "return document.getAnimations().filter("
            "(animation) => animation.playState === 'running').length"
        )
        assert browser.driver.execute_script(moving) > 0
        feature = {"name": "prefers-reduced-motion", "value": "reduce"}
        browser.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [feature]}
        )
        wait_for(lambda: browser.driver.execute_script(moving) == 0)
        user.delete()
        stack.control.settings(failing_pulls=[])


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_dropped_connection_loses_nothing(own_stack: Stack, ending: str) -> None:
    user = User(own_stack, "patient")
    # The longer the image is missing, the longer the pauses between attempts.
    own_stack.control.settings(pull_backoff=0.05)
    hold(own_stack, user)
    with start_browser() as browser:
        watch(browser, user)
        browser.wait_for_text("#waits", "The image cannot be fetched yet")
        stay(browser)
        getattr(own_stack.service, ending)()
        browser.wait_for_text("#connection", "The connection is lost")
        own_stack.start_service()
        own_stack.service.wait_ready()
        own_stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "Your lab is running")
        told = browser.texts("#events li")
        assert "Monitoring in-progress lab creation for patient" in told[0]


def test_page_loads_itself_again_without_scripts(stack: Stack, user: User) -> None:
    hold(stack, user)
    with start_browser(scripts=False) as browser:
        watch(browser, user)
        assert browser.find("h1").text == "Your lab is starting"
        assert not browser.find("#options").is_displayed()
        stack.control.settings(failing_pulls=[])
        browser.wait_for_text("h1", "Your lab is running")
