from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.storage.slack import SlackError, SlackMessage, SlackWebhook
from tests.conftest import Answer, OutsideSystem

PATH = "/services/T000/B000/c2VjcmV0"


def test_message_is_posted_as_json(outside: OutsideSystem) -> None:
    webhook = SlackWebhook(outside.url + PATH)
    message = SlackMessage(
        "Nublado: Lab creation failed",
        "Error creating object",
        (("User", "rachel"), ("Kubernetes status", "400")),
        '{"reason": "BadRequest"}',
    )
    webhook.post(message)
    webhook.close()
    (request,) = outside.received
    assert (request.method, request.path) == ("POST", PATH)
    assert request.headers["content-type"].startswith("application/json")
    assert json.loads(request.body) == {
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
    ("answer", "reason"),
    [
        (Answer(400, b"invalid_blocks"), "status 400: invalid_blocks"),
        (Answer(302, headers={"Location": "/elsewhere"}), "status 302"),
        (Answer(drop=True), "cannot be reached: ProtocolError"),
    ],
)
def test_failure_is_told_without_the_url(
    outside: OutsideSystem, answer: Answer, reason: str
) -> None:
    outside.default = answer
    with pytest.raises(SlackError, match=reason) as caught:
        SlackWebhook(outside.url + PATH).post(SlackMessage("Done"))
    assert "services" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(outside.received) == 1


def test_unreachable_or_invalid_webhook_is_told_without_the_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for url in (
        f"http://127.0.0.1:{port}{PATH}",
        f"http://[{PATH}",
        f"ftp://slack{PATH}",
    ):
        with pytest.raises(SlackError, match="cannot be reached: ") as caught:
            SlackWebhook(url).post(SlackMessage("Done"))
        assert "services" not in str(caught.value)
