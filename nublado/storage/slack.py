"""Post messages to a Slack channel.

What a message says is decided elsewhere; here it is fitted into blocks within
Slack's limits.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from nublado.exceptions import NubladoError
from nublado.models.domain.kubernetes import JSON
from nublado.storage.http import HTTPClient, HTTPRequest, HTTPRequestError

__all__ = ["SlackError", "SlackMessage", "SlackWebhook"]

_POST_SECONDS = 8.0
_MAX_HEADER = 150
_MAX_SECTION = 3000
_MAX_FIELDS = 10
_MAX_FIELD = 500
"""Most characters (fields) of a message's parts.

All but the last are Slack's. It allows 2,000 for a field, but refuses messages
of more than some 13,000 characters altogether.

https://docs.slack.dev/reference/block-kit/blocks
"""


class SlackError(NubladoError):
    """A message was not delivered."""


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """A message.

    Parameters
    ----------
    title
        What happened, on one line.
    text
        More about it; may be empty.
    fields
        Names and values of facts, shown in two columns.
    code
        Output of some program, shown as it is; may be empty.
    """

    title: str
    text: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    code: str = ""

    def to_json(self) -> JSON:
        """Write it in Slack's block kit; what is too long is cut."""
        title = _cut(" ".join(self.title.split()) or "Alert", _MAX_HEADER)
        blocks: list[JSON] = [
            {"type": "header", "text": {"type": "plain_text", "text": title}}
        ]
        if self.text:
            blocks.append({"type": "section", "text": _markdown(self.text)})
        if self.fields:
            fields = [
                _markdown(value, f"*{_escape(name)}*\n", limit=_MAX_FIELD)
                for name, value in self.fields[:_MAX_FIELDS]
            ]
            blocks.append({"type": "section", "fields": fields})
        if self.code:
            # Three backticks would end the block of code.
            code = self.code.replace("```", "'''")
            blocks.append(
                {"type": "section", "text": _markdown(code, "```\n", "\n```")}
            )
        return {"text": _escape(title), "blocks": blocks}


class SlackWebhook:
    """An incoming webhook of Slack.

    Parameters
    ----------
    url
        URL of the webhook, which is a secret.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = HTTPClient(1, "slack")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def post(self, message: SlackMessage) -> None:
        """Post a message; takes a few seconds at most.

        Raises
        ------
        SlackError
            Raised if the message was not accepted; does not contain the URL.

        References
        ----------
        https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
        """
        request = HTTPRequest(
            "POST",
            self._url,
            {"Content-Type": "application/json; charset=utf-8"},
            json.dumps(message.to_json()).encode(),
        )
        try:
            with self._http.send(request, seconds=_POST_SECONDS) as response:
                body = response.read().decode(errors="replace")
        except HTTPRequestError as e:
            raise SlackError(f"Cannot post to Slack: {e}") from None
        if response.status != 200:
            status = response.status
            raise SlackError(f"Slack responded with status {status}: {body[:100]}")


def _markdown(
    text: str, before: str = "", after: str = "", *, limit: int = _MAX_SECTION
) -> JSON:
    room = limit - len(before) - len(after)
    return {"type": "mrkdwn", "text": f"{before}{_cut(_escape(text), room)}{after}"}


def _escape(text: str) -> str:
    """Keep a text from being taken for links, mentions or emphasis of Slack.

    References
    ----------
    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    # Half of an escaped character would show.
    return re.sub(r"&[a-z]*$", "", text[: limit - 1]) + "…"
