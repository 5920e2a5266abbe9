"""Texts as they read once somebody undoes the ways in which values are written.

What is sent to a server may come back escaped, encoded, or both. Here a text is
decoded in all these ways at once, and each character is traced back to where it
comes from, so that whoever looks for a value need not know how it is written.

References
----------
https://pkg.go.dev/fmt#hdr-Printing
https://pkg.go.dev/encoding/json#HTMLEscape
"""

from __future__ import annotations

import html
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Reading", "readings"]

_MOST_READINGS = 200
_DEEPEST = 3
_QUANTUM = 4

_Span = tuple[int, int]
_Decoder = Callable[["Reading"], Iterator["Reading"]]

_BREAK = "\0"
"""Stands between parts that were apart in the original."""

_CUT = re.compile(r"\.{3}|…|\0|\Z")
_HEX = "[0-9a-fA-F]"
_BACKSLASH = re.compile(
    rf"\\(?:u(?P<high>[dD][89abAB]{_HEX}{{2}})\\+u(?P<low>[dD][c-fC-F]{_HEX}{{2}})"
    rf"|u(?P<four>{_HEX}{{4}})|U(?P<eight>000{_HEX}{{5}}|0010{_HEX}{{4}})"
    rf"|x(?P<two>{_HEX}{{2}})|(?P<octal>[0-3][0-7]{{2}})|(?P<one>.))",
    re.DOTALL,
)
_CONTROL = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_PERCENT = re.compile(r"%([0-9a-f]{2})", re.IGNORECASE)
_FORM = re.compile(r"%([0-9a-f]{2})|\+", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE)
_SPACE = re.compile(r"\s+|\\[nrt]")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_HEX_RUN = re.compile(r"[0-9a-fA-F]{8,}")
_NUMBER_RUNS = (
    re.compile(r"(?:\b[0-9]{1,3}[\s,]+){3,}[0-9]{1,3}\b"),
    re.compile(r"(?:\b0x[0-9a-f]{1,2}[\s,]+){3,}0x[0-9a-f]{1,2}\b", re.IGNORECASE),
)
_NUMBER = re.compile(r"0x[0-9a-f]{1,2}|[0-9]{1,3}", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, and where in the original each of its characters comes from.

    Parameters
    ----------
    text
        The text. Bytes that were encoded are characters of Latin-1.
    spans
        Of each character, beginning and end in the original.
    is_unpacked
        Whether it consists of what was encoded as base64, in hexadecimal or as
        a list of numbers, and of nothing else.
    """

    text: str
    spans: list[_Span]
    is_unpacked: bool = False

    @classmethod
    def of(cls, text: str) -> Reading:
        """Read a text as it is."""
        return cls(text, [(i, i + 1) for i in range(len(text))])

    @property
    def cuts(self) -> list[int]:
        """Positions at which something may have been cut off, in order."""
        return [match.start() for match in _CUT.finditer(self.text)]

    def origin(self, start: int, end: int) -> _Span:
        """Where a part of the text is in the original."""
        return self.spans[start][0], self.spans[end - 1][1]


def readings(text: str) -> list[Reading]:
    """Read a text in all ways; the first is the text as it is.

    Undone are, up to three times in any order: escapes of JSON, Go, C and Python,
    of URLs, forms and HTML, and line breaks; once also base64 of either alphabet
    at any alignment, with or without padding, hexadecimal, and lists of bytes.
    """
    found = frontier = [Reading.of(text)]
    seen = {text}
    for _ in range(_DEEPEST):
        fresh = []
        for reading in frontier:
            for decoded in _decoded(reading):
                if decoded.text not in seen and len(seen) < _MOST_READINGS:
                    seen.add(decoded.text)
                    fresh.append(decoded)
        found, frontier = found + fresh, fresh
    return found


def _decoded(reading: Reading) -> Iterator[Reading]:
    for unescape in _ESCAPES:
        yield from unescape(reading)
    if not reading.is_unpacked:
        for unpack in _PACKINGS:
            yield from unpack(reading)


# --- Escapes -------------------------------------------------------------


def _substituting(
    pattern: re.Pattern[str], decode: Callable[[re.Match[str]], str]
) -> _Decoder:
    """Make a decoder that replaces what matches and keeps the rest."""

    def substitute(reading: Reading) -> Iterator[Reading]:
        characters: list[str] = []
        spans: list[_Span] = []
        position = 0
        for match in pattern.finditer(reading.text):
            start, end = match.span()
            decoded = decode(match)
            characters += [reading.text[position:start], decoded]
            spans += reading.spans[position:start]
            spans += [reading.origin(start, end)] * len(decoded)
            position = end
        if position:
            text = "".join([*characters, reading.text[position:]])
            spans += reading.spans[position:]
            yield Reading(text, spans, reading.is_unpacked)

    return substitute


def _unescape(match: re.Match[str]) -> str:
    if match["high"]:
        pair = bytes.fromhex(match["high"] + match["low"])
        return pair.decode("utf-16-be")
    digits = match["four"] or match["eight"] or match["two"]
    if digits:
        return chr(int(digits, 16))
    if match["octal"]:
        return chr(int(match["octal"], 8))
    return _CONTROL.get(match["one"], match["one"])


def _from_form(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else " "


_ESCAPES: tuple[_Decoder, ...] = (
    _substituting(_BACKSLASH, _unescape),
    _substituting(_PERCENT, _from_form),
    _substituting(_FORM, _from_form),
    _substituting(_ENTITY, lambda match: html.unescape(match[0])),
    _substituting(_SPACE, lambda _: ""),
)


# --- Packings ------------------------------------------------------------


def _unpacking(
    pattern: re.Pattern[str], decode: Callable[[str], Iterator[tuple[int, _Span]]]
) -> _Decoder:
    """Make a decoder that keeps nothing but the bytes in what matches."""

    def unpack(reading: Reading) -> Iterator[Reading]:
        characters: list[str] = []
        spans: list[_Span] = []
        for match in pattern.finditer(reading.text):
            for byte, (start, end) in decode(match[0]):
                characters.append(chr(byte))
                origin = reading.origin(match.start() + start, match.start() + end)
                spans.append(origin)
            characters.append(_BREAK)
            spans.append(reading.origin(match.end() - 1, match.end()))
        if characters:
            yield Reading("".join(characters), spans, is_unpacked=True)

    return unpack


def _from_base64(shift: int) -> Callable[[str], Iterator[tuple[int, _Span]]]:
    """Decode base64 that begins so many characters later."""

    def decode(run: str) -> Iterator[tuple[int, _Span]]:
        digits = run[shift:].translate(_URL_SAFE)
        # One digit that is left over is not even a byte.
        digits = digits[:-1] if len(digits) % _QUANTUM == 1 else digits
        padding = "=" * (-len(digits) % _QUANTUM)
        for i, byte in enumerate(b64decode(digits + padding)):
            yield byte, (shift + i * 8 // 6, shift + ((i + 1) * 8 + 5) // 6)

    return decode


def _from_hexadecimal(shift: int) -> Callable[[str], Iterator[tuple[int, _Span]]]:
    def decode(run: str) -> Iterator[tuple[int, _Span]]:
        for i in range(shift, len(run) - 1, 2):
            yield int(run[i : i + 2], 16), (i, i + 2)

    return decode


def _from_numbers(run: str) -> Iterator[tuple[int, _Span]]:
    for match in _NUMBER.finditer(run):
        base = 16 if match[0][:2].lower() == "0x" else 10
        yield min(int(match[0], base), 255), match.span()


_PACKINGS: tuple[_Decoder, ...] = (
    *(_unpacking(_BASE64_RUN, _from_base64(shift)) for shift in range(_QUANTUM)),
    *(_unpacking(_HEX_RUN, _from_hexadecimal(shift)) for shift in range(2)),
    *(_unpacking(pattern, _from_numbers) for pattern in _NUMBER_RUNS),
)
