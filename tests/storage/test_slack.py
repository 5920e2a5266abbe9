from __future__ import annotations

import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from responses import RequestsMock

from nublado.storage.slack import SlackError, SlackMessage, SlackWebhook

URL = "https://hooks.slack.test/services/T000/B000/c2VjcmV0"


def test_message_is_posted_as_json() -> None:
    webhook = SlackWebhook(URL)
    message = SlackMessage(
        "Nublado: Lab creation failed",
        "Error creating object",
        (("User", "rachel"), ("Kubernetes status", "400")),
        '{"reason": "BadRequest"}',
    )
    with RequestsMock() as mock:
        mock.post(URL)
        webhook.post(message)
        (call,) = mock.calls
    webhook.close()
    assert call.request.headers["Content-Type"].startswith("application/json")
    assert json.loads(call.request.body or "") == {
        "text": "Nublado: Lab creation failed",
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": "Nublado: Lab creation failed"},
            },
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "Error creating object"},
            },
            {
                "type": "section",
                "fields": [
                    {"type": "mrkdwn", "text": "*User*\nrachel"},
                    {"type": "mrkdwn", "text": "*Kubernetes status*\n400"},
                ],
            },
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": '```\n{"reason": "BadRequest"}\n```',
                },
            },
        ],
    }


def test_empty_parts_are_left_out() -> None:
    assert [b["type"] for b in SlackMessage("Done").to_json()["blocks"]] == ["header"]


def test_text_cannot_pretend_to_be_markup() -> None:
    message = SlackMessage("a", "<!channel> & co", (), "``` <@U1> ```").to_json()
    text, code = (block["text"]["text"] for block in message["blocks"][1:])
    assert text == "&lt;!channel&gt; &amp; co"
    assert code == "```\n''' &lt;@U1&gt; '''\n```"


TEXTS = st.text() | st.builds(lambda text: text * 1000, st.text("<&`a\n", max_size=5))


@given(
    title=TEXTS,
    text=TEXTS,
    fields=st.lists(st.tuples(st.just("Name"), TEXTS), max_size=15),
    code=TEXTS,
)
def test_every_message_fits_into_the_limits(
    title: str, text: str, fields: list[tuple[str, str]], code: str
) -> None:
    message = SlackMessage(title, text, tuple(fields), code).to_json()
    assert len(json.dumps(message, ensure_ascii=False)) < 30_000
    for block in message["blocks"]:
        if block["type"] == "header":
            assert 0 < len(block["text"]["text"]) <= 150
        elif "fields" in block:
            assert len(block["fields"]) <= 10
            assert all(0 < len(f["text"]) <= 2000 for f in block["fields"])
        else:
            assert 0 < len(block["text"]["text"]) <= 3000


def test_cut_text_ends_in_an_ellipsis_and_no_half_character() -> None:
    message = SlackMessage("a", "&" * 3000).to_json()
    text = message["blocks"][1]["text"]["text"]
    assert text.replace("&amp;", "") == "…"
    assert len(text) > 2990


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b"invalid_blocks", "status 400: invalid_blocks"),
        (302, b"", "status 302"),
        (200, requests.ConnectionError(f"No way to {URL}"), "Cannot post to Slack: "),
    ],
)
def test_failure_is_reported_without_the_url(
    status: int, body: bytes | Exception, reason: str
) -> None:
    with RequestsMock() as mock:
        mock.post(URL, body, status=status, headers={"Location": "/elsewhere"})
        with pytest.raises(SlackError, match=reason) as caught:
            SlackWebhook(URL).post(SlackMessage("Done"))
        assert len(mock.calls) == 1
    assert "services" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["http://[/services", "ftp://slack/services"])
def test_invalid_webhook_is_reported_without_the_url(url: str) -> None:
    with pytest.raises(SlackError, match="Cannot post to Slack: ") as caught:
        SlackWebhook(url).post(SlackMessage("Done"))
    assert "services" not in str(caught.value)
