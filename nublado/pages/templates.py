"""What all templates of pages can use, whoever renders them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from jinja2 import Environment

from nublado.models.domain.text import Text
from nublado.pages.languages import Language
from nublado.pages.look import Look

__all__ = ["prepare"]


def prepare(
    templates: Environment, look: Look, current_language: Callable[[], Language]
) -> None:
    """Let templates speak the language of their reader, and look like the platform.

    Parameters
    ----------
    templates
        Templates: ``_("…")`` and ``{% trans %}`` find a text in the catalogue,
        ``say(text)`` says a `Text`; the filters ``moment``, ``day``, ``duration``,
        ``days``, ``number``, ``bytes`` and ``memory`` are methods of `Language`.
    look
        Is there as ``look``.
    current_language
        In which language a page is being rendered.

    References
    ----------
    https://jinja.palletsprojects.com/en/stable/extensions/#i18n-extension
    """
    templates.add_extension("jinja2.ext.i18n")
    templates.policies["ext.i18n.trimmed"] = True
    templates.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: current_language().gettext(text),
        lambda one, many, number: current_language().ngettext(one, many, number),
        newstyle=True,
    )

    def say(text: Text) -> str:
        return current_language().say(text)

    def moment(time: datetime) -> str:
        return current_language().moment(time)

    def day(value: date) -> str:
        return current_language().day(value)

    def duration(seconds: float) -> str:
        return current_language().duration(seconds)

    def days(number: int) -> str:
        return current_language().days(number)

    def number(value: float) -> str:
        return current_language().number(value)

    def size(amount: float) -> str:
        return current_language().bytes(amount)

    def memory(amount: float) -> str:
        return current_language().memory(amount)

    templates.filters.update(
        moment=moment,
        day=day,
        duration=duration,
        days=days,
        number=number,
        bytes=size,
        memory=memory,
    )
    templates.globals.update(
        say=say, look=look, language=lambda: current_language().name
    )
