"""The languages of pages: texts, dates, numbers.

The catalogues are ``nublado/locale/LANGUAGE/LC_MESSAGES/nublado.po``, as any
editor of translations reads and writes them. English has none: it is what stands
in templates and in `nublado.models.domain.text.Text`.

References
----------
https://babel.pocoo.org/en/latest/messages.html
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit

from nublado.models.domain.text import Memory, Plural, Text

__all__ = [
    "DEFAULT",
    "LANGUAGES",
    "Language",
    "catalogue_path",
    "language",
    "preferred",
]

DEFAULT = "en"
LANGUAGES = (DEFAULT, "fr")
"""What pages can be had in; the first is that of whoever wants none of them."""

_CATALOGUES = Path(__file__).parent.parent / "locale"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_GIBIBYTE = 2**30


def catalogue_path(name: str) -> Path:
    """Where the catalogue of a language is."""
    return _CATALOGUES / name / "LC_MESSAGES" / "nublado.po"


@cache
def language(name: str) -> Language:
    """Find a language of `LANGUAGES`."""
    return Language(name)


def preferred(accepted: Iterable[tuple[str, float]]) -> str:
    """Choose the language of a reader.

    Parameters
    ----------
    accepted
        What their browser accepts, by quality, such as ``("fr-CA", 0.7)``. A region
        makes no difference; ``*`` stands for the default.

    References
    ----------
    https://www.rfc-editor.org/rfc/rfc9110#name-accept-language
    """
    for tag, quality in sorted(accepted, key=lambda one: -one[1]):
        name = tag.replace("_", "-").partition("-")[0].lower()
        if quality > 0 and (name in LANGUAGES or name == "*"):
            return DEFAULT if name == "*" else name
    return DEFAULT


class Language:
    """Says texts, dates and numbers in one language.

    Parameters
    ----------
    name
        One of `LANGUAGES`, as HTML names languages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._locale = Locale.parse(name)
        self._texts = _texts(name)

    def gettext(self, text: str) -> str:
        """Find a text in the catalogue."""
        return self._texts.gettext(text)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Find a text that depends on a number."""
        return self._texts.ngettext(singular, plural, number)

    def say(self, text: Text) -> str:
        """Say a text, with its values in it."""
        if isinstance(text, Plural):
            template = self.ngettext(text.template, text.plural, text.num)
        else:
            template = self.gettext(text.template)
        return template % {
            name: self._value(value) for name, value in text.values.items()
        }

    def moment(self, time: datetime) -> str:
        """Name a moment, such as ``25 November 2026, 22:00 UTC``."""
        return format_datetime(
            time.astimezone(UTC), "d MMMM y, HH:mm 'UTC'", locale=self._locale
        )

    def day(self, day: date) -> str:
        """Name a day, such as ``25 November 2026``."""
        return format_date(day, "d MMMM y", locale=self._locale)

    def duration(self, seconds: float) -> str:
        """Say how long, such as ``40 s``, ``2 min 5 s``, ``1 h 5 min``, ``3 days``."""
        whole = round(seconds)
        if whole >= 2 * _DAY:
            return self.days(whole // _DAY)
        if whole >= _HOUR:
            return _two(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
        return _two(whole // _MINUTE, "min", whole % _MINUTE, "s")

    def days(self, number: int) -> str:
        """Say a number of days, such as ``3 days``."""
        return format_unit(number, "day", length="long", locale=self._locale)

    def number(self, value: float) -> str:
        """Write a number of few digits, such as ``1,234`` or ``0.5``."""
        return format_decimal(value, format="#,##0.##", locale=self._locale)

    def bytes(self, amount: float) -> str:
        """Say how large a file or an image is, such as ``3.5 GB``."""
        unit, divisor = ("gigabyte", 1e9) if amount >= 1e8 else ("megabyte", 1e6)
        return self._digital(round(amount / divisor, 1), unit)

    def memory(self, amount: float) -> str:
        """Say how much memory, as people do: ``4 GB`` for 4 GiB."""
        return self._digital(round(amount / _GIBIBYTE, 1), "gigabyte")

    def _value(self, value: object) -> object:
        """Say what stands in a text."""
        match value:
            case Text():
                return self.say(value)
            case Memory():
                return self.memory(value.amount)
            case _:
                return value

    def _digital(self, number: float, unit: str) -> str:
        return format_unit(
            number, f"digital-{unit}", length="short", locale=self._locale
        )


def _texts(name: str) -> NullTranslations:
    """Read a catalogue; nothing has to be compiled beforehand."""
    if name == DEFAULT:
        return NullTranslations()
    with catalogue_path(name).open("rb") as file:
        catalogue = read_po(file, locale=name)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    parts = [f"{large} {large_unit}"] if large else []
    if small or not large:
        parts.append(f"{small} {small_unit}")
    return " ".join(parts)
