"""A page like that of a hub with a policy of its own, around the spawner form."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from nublado.models.domain.image import ImageSelection
from nublado.models.v1.lab import parse_lab_specification

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Hub</title></head><body><main>
<h1>Server options</h1>
<form method="post" action="/spawn">{form}
<p><input type="submit" value="Start"></p></form>
</main></body></html>"""


@dataclass
class FormPage:
    """Serves the page on an origin of its own, and keeps what it is sent.

    Parameters
    ----------
    form
        The form, as the service has rendered it.
    policy
        Content security policy of the page.
    """

    form: str
    policy: str
    sent: list[dict[str, list[str]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(_PAGE.format(form=page.form))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                page.sent.append(parse_qs(body, keep_blank_values=True))
                self._answer("<!doctype html><title>Sent</title><p id='sent'>Sent</p>")

            def _answer(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", page.policy)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/spawn"

    @property
    def selection(self) -> ImageSelection:
        """What the service makes of the image that was sent last."""
        body = {
            "options": self.sent[-1],
            "env": {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/"},
        }
        return parse_lab_specification(body).image
