"""The sandbox's own pages, in the visual language of the service's pages."""

from __future__ import annotations

import secrets

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, PackageLoader

from nublado.pages.languages import DEFAULT, language
from nublado.pages.look import Look
from nublado.pages.templates import prepare

__all__ = ["Pages", "make_nonce", "wants_page"]

_NONCE_BYTES = 16


def make_nonce() -> str:
    """Make the nonce of a page."""
    return secrets.token_urlsafe(_NONCE_BYTES)


class Pages:
    """Makes pages that look like those of the service.

    Parameters
    ----------
    look
        Name, logo and accent of the platform.
    """

    def __init__(self, look: Look) -> None:
        self._templates = Environment(
            loader=ChoiceLoader(
                [PackageLoader("nublado.sandbox"), PackageLoader("nublado")]
            ),
            autoescape=True,
        )
        prepare(self._templates, look, lambda: language(DEFAULT))

    def render(
        self,
        template: str,
        status: int = 200,
        *,
        nonce: str | None = None,
        **values: object,
    ) -> web.Response:
        """Make a page of a template.

        Parameters
        ----------
        template
            Name of the template, which extends ``page.html`` of the service.
        status
            HTTP status of the answer.
        nonce
            Nonce of the page, where a part of it had to be made beforehand.
        values
            What the page shows.
        """
        nonce = nonce or make_nonce()
        text = self._templates.get_template(template).render(nonce=nonce, **values)
        policy = (
            f"default-src 'self'; style-src 'self' 'nonce-{nonce}';"
            f" script-src 'nonce-{nonce}'; img-src data:; form-action 'self';"
            " base-uri 'none'; frame-ancestors 'none'"
        )
        return web.Response(
            text=text,
            status=status,
            content_type="text/html",
            headers={"Content-Security-Policy": policy},
        )

    def tell(
        self,
        request: web.Request,
        status: int,
        title: str,
        text: str,
        kind: str = "bad",
    ) -> web.Response:
        """Say something: to browsers on a page, to programs in one line.

        Parameters
        ----------
        request
            What is answered.
        status
            HTTP status of the answer.
        title, text
            Headline, for browsers only, and what there is to say.
        kind
            ``good``, ``bad``, or nothing in between.
        """
        if wants_page(request):
            return self.render(
                "message.html", status, title=title, text=text, kind=kind
            )
        return web.Response(status=status, text=f"{text}\n")


def wants_page(request: web.Request) -> bool:
    """Whether a browser is asking, rather than a program."""
    return "text/html" in request.headers.get("Accept", "")
