"""Texts, dates and numbers in each language."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from nublado.models.domain.text import Plural, Text
from nublado.pages.languages import LANGUAGES, language, preferred

ENGLISH, FRENCH = language("en"), language("fr")
NARROW = "\N{NARROW NO-BREAK SPACE}"
NO_BREAK = "\N{NO-BREAK SPACE}"


def plain(text: str) -> str:
    """The text with ordinary spaces."""
    return text.replace(NARROW, " ").replace(NO_BREAK, " ")


def test_text_is_found_in_the_catalogue() -> None:
    text = Text("Labs that run are not affected.")
    assert ENGLISH.say(text) == str(text)
    assert FRENCH.say(text) == "Les laboratoires en cours ne sont pas touchés."


def test_text_that_no_catalogue_has_is_said_in_english() -> None:
    text = Text("%(name)s has no translation", name="This")
    assert FRENCH.say(text) == "This has no translation"


def test_values_that_are_texts_are_translated_too() -> None:
    inner = Text("Labs that run are not affected.")
    said = FRENCH.say(Text("-- %(inner)s", inner=inner))
    assert said == f"-- {FRENCH.say(inner)}"


@pytest.mark.parametrize("name", LANGUAGES)
def test_plurals_follow_the_number(name: str) -> None:
    said = language(name).say(Plural("%(num)s thing", "%(num)s things", num=3))
    assert said == "3 things"


def test_moments_are_in_utc() -> None:
    time = datetime(2026, 11, 25, 23, 5, tzinfo=timezone(timedelta(hours=1)))
    assert ENGLISH.moment(time) == "25 November 2026, 22:05 UTC"
    assert FRENCH.moment(time) == "25 novembre 2026, 22:05 UTC"
    assert ENGLISH.moment(time.astimezone(UTC)) == ENGLISH.moment(time)


def test_days() -> None:
    assert ENGLISH.day(date(2026, 8, 1)) == "1 August 2026"
    assert FRENCH.day(date(2026, 8, 1)) == "1 août 2026"
    assert [ENGLISH.days(n) for n in (0, 1, 11)] == ["0 days", "1 day", "11 days"]
    assert [plain(FRENCH.days(n)) for n in (1, 11)] == ["1 jour", "11 jours"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (40, "40 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3905, "1 h 5 min"),
        (47 * 3600, "47 h"),
        (49 * 3600, "2 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert ENGLISH.duration(seconds) == text


def test_amounts() -> None:
    assert ENGLISH.bytes(3_456_000_000) == "3.5 GB"
    assert ENGLISH.bytes(12_000_000) == "12 MB"
    assert plain(FRENCH.bytes(3_456_000_000)) == "3,5 Go"
    assert ENGLISH.memory(4 * 2**30) == "4 GB"
    assert ENGLISH.memory(1.5 * 2**30) == "1.5 GB"
    assert ENGLISH.number(1234.5) == "1,234.5"
    assert plain(FRENCH.number(0.25)) == "0,25"


@pytest.mark.parametrize(
    ("accepted", "name"),
    [
        ([], "en"),
        ([("fr", 1)], "fr"),
        ([("fr-CA", 1), ("en-US", 0.7), ("en", 0.7)], "fr"),
        ([("fr-CH", 1), ("en", 0.1)], "fr"),
        ([("en-US", 1), ("fr", 0.1)], "en"),
        ([("fr", 0.1), ("en-US", 1)], "en"),
        ([("de", 1), ("fr", 0.5)], "fr"),
        ([("fr", 0), ("de", 1)], "en"),
        ([("*", 1), ("fr", 0.5)], "en"),
        ([("FR_BE", 1)], "fr"),
    ],
)
def test_language_that_a_reader_prefers(
    accepted: list[tuple[str, float]], name: str
) -> None:
    assert preferred(accepted) == name
