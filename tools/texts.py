"""Bring the catalogues of texts in line with the texts of pages.

Run as ``python -m tools.texts``: texts that are new stand in each catalogue
without a translation, those that are gone are dropped.

References
----------
https://babel.pocoo.org/en/latest/messages.html
"""

from __future__ import annotations

from io import SEEK_END, BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from nublado.pages.languages import DEFAULT, LANGUAGES, catalogue_path

__all__ = ["is_translated", "read_catalogue", "texts_of_pages"]

_PACKAGE = Path(__file__).parent.parent / "nublado"
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "Text": None,
    "Plural": (1, 2),
}
"""What marks a text; ``{% trans %}`` is the second and the third."""
_WIDTH = 100


def texts_of_pages(package: Path = _PACKAGE) -> Catalog:
    """Find all texts of a package, with the files that they stand in."""
    found = Catalog(project="nublado")
    options = {"templates/**.html": {"trimmed": "true"}}
    for file, _, message, _, _ in extract_from_dir(
        package, _METHODS, options, keywords=_KEYWORDS
    ):
        found.add(message, locations=[(f"nublado/{file}", 0)])
    return found


def read_catalogue(name: str) -> Catalog:
    """Read the catalogue of a language."""
    with catalogue_path(name).open("rb") as file:
        return read_po(file, locale=name)


def _update(name: str, texts: Catalog) -> int:
    """Update one catalogue; tell how many texts lack a translation."""
    catalogue = read_catalogue(name)
    catalogue.update(texts, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    written = BytesIO(_header(catalogue).encode())
    written.seek(0, SEEK_END)
    write_po(
        written,
        catalogue,
        width=_WIDTH,
        omit_header=True,
        sort_by_file=True,
        include_lineno=False,
    )
    catalogue_path(name).write_bytes(written.getvalue())
    return sum(not is_translated(message) for message in catalogue if message.id)


def is_translated(message: Message) -> bool:
    """Whether a text of a catalogue has a translation in all its forms."""
    if isinstance(message.string, str):
        return bool(message.string)
    return all(message.string or ("",))


def _header(catalogue: Catalog) -> str:
    """What readers of a catalogue need; dates and versions would only differ."""
    lines = [
        f"Language: {catalogue.locale_identifier}",
        f"Plural-Forms: {catalogue.plural_forms}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    quoted = "".join(f'"{line}\\n"\n' for line in lines)
    return f'msgid ""\nmsgstr ""\n{quoted}\n'


if __name__ == "__main__":
    for language in LANGUAGES:
        if language != DEFAULT:
            missing = _update(language, texts_of_pages())
            print(f"{catalogue_path(language)}: {missing} without a translation")
