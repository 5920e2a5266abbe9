"""Values that are sent to other services and must not come back in their errors.

What a server says of a request it cannot grant often quotes it: a validation
error shows the invalid value, an admission webhook the object, a proxy the whole
request. Users, operators, logs and alerts get to see that text.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from nublado.disguises import Reading, readings
from nublado.redaction import REDACTED, speaks_of_secret

__all__ = ["Confidential", "current_confidential", "hide", "keeping"]

_SHORTEST_SETTING = 8
_SHORTEST_SECRET = 4
_SHORTEST_PART = 8
_LONGEST_WORD = 11
_MOST_LINES = 1000
_LOOSE_END = 12
"""At most as many characters may be left of an escape that was cut off."""

_WORD = re.compile(r"[a-z]+|[A-Z]+|[A-Z][a-z]+|[0-9]+", re.ASCII)
_URL_USER = re.compile(r"\w(?=://([^\s/:@]{0,256}):)")
_LONGEST_PASSWORD = 256
_VALUE_POSITION = re.compile(
    r"(?<![\w.-])([\w.-]+)[\"'`\\]{0,8}\s{0,4}[:=]{1,2}[\s\"'`\\]{0,9}"
)
_NOT_SECRET = frozenset({"username", "email", "serveraddress"})
_REGISTRY_LOGIN = "auth"
_ANY_NAME = "value"

_Span = tuple[int, int]


class Confidential:
    """Values of one operation or one request.

    There are secrets, and settings that a user chose. A secret is hidden wherever
    it stands if it has at least four characters, and so is a setting whose name
    speaks of a secret. Other settings are hidden wherever they stand if they have
    at least eight and are no plain word or number of up to eleven: messages would
    be unreadable without every ``true``, ``1`` or ``science``. What is too short
    for that is hidden where it stands as a value: behind the name of its variable,
    or behind the word "value".
    """

    def __init__(self) -> None:
        self._secrets = _Values(_SHORTEST_SECRET)
        self._settings = _Values(_SHORTEST_SETTING)
        self._short: dict[str, set[str]] = {}

    def add_secrets(self, values: Iterable[str | bytes]) -> None:
        """Add secrets; of those with several lines or of JSON, also their parts."""
        for value in values:
            for part in _parts_of_secret(value):
                if len(part) >= _SHORTEST_SECRET:
                    self._secrets.add(part)
                elif part:
                    self._short.setdefault(part, set()).add(_ANY_NAME)

    def add_settings(self, settings: Mapping[str, str]) -> None:
        """Add settings by their names."""
        for name, value in settings.items():
            self.add_secrets(_passwords_in_urls(value))
            if speaks_of_secret(name) and len(value) >= _SHORTEST_SECRET:
                self.add_secrets([value])
                continue
            for part in _lines(value):
                if _is_telling(part):
                    self._settings.add(part)
                elif part:
                    self._short.setdefault(part, {_ANY_NAME}).add(name.lower())

    def spans(self, reading: Reading, public: Collection[str]) -> Iterator[_Span]:
        """Find the values in a reading of a text.

        Parameters
        ----------
        reading
            The reading.
        public
            What is told anyway, such as the name of an object; a setting that is
            part of it is not hidden.
        """
        yield from self._secrets.spans(reading, ())
        yield from self._settings.spans(reading, public)
        if self._short:
            yield from self._short_spans(reading.text, public)

    def _short_spans(self, text: str, public: Collection[str]) -> Iterator[_Span]:
        lengths = sorted({len(value) for value in self._short}, reverse=True)
        for match in _VALUE_POSITION.finditer(text):
            name, start = match[1].lower().rpartition(".")[2], match.end()
            for length in lengths:
                value = text[start : start + length]
                is_whole = not text[start + length : start + length + 1].isalnum()
                names = self._short.get(value, ())
                is_its = name in names or (name == _ANY_NAME and names)
                if is_whole and is_its and not _is_part(value, public):
                    yield start, start + len(value)
                    break


_CURRENT: ContextVar[Confidential | None] = ContextVar("confidential", default=None)


@contextmanager
def keeping(confidential: Confidential) -> Iterator[None]:
    """Keep values from coming back in errors that are met in this context."""
    token = _CURRENT.set(confidential)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_confidential() -> Confidential:
    """The values of the operation that this thread works for."""
    return _CURRENT.get() or Confidential()


def hide(
    text: str, confidential: Iterable[Confidential], public: Collection[str] = ()
) -> str:
    """Replace confidential values in a text, however they are written.

    Parameters
    ----------
    text
        What another service says.
    confidential
        The values.
    public
        What is told anyway; see `Confidential.spans`.
    """
    kept = list(confidential)
    spans = [
        reading.origin(start, end)
        for reading in readings(text)
        for values in kept
        for start, end in values.spans(reading, public)
    ]
    return _without(text, spans)


def _without(text: str, spans: list[_Span]) -> str:
    parts: list[str] = []
    position = hidden = 0
    for start, end in sorted(spans):
        if start > hidden or not parts:
            parts += [text[position:start], REDACTED]
        position = hidden = max(hidden, end)
    return "".join([*parts, text[position:]])


# --- Values --------------------------------------------------------------


class _Values:
    """Values of some length, found by how they begin.

    Looking for them takes the same time however many there are.
    """

    def __init__(self, shortest: int) -> None:
        self._shortest = shortest
        self._buckets: dict[str, _Bucket] = {}

    def add(self, value: str) -> None:
        """Add a value, as text and as the bytes it is encoded in."""
        for text in {value, _as_bytes(value)}:
            bucket = self._buckets.setdefault(text[: self._shortest], _Bucket())
            bucket.add(text)

    def spans(self, reading: Reading, public: Collection[str]) -> Iterator[_Span]:
        """Find all of them, and those of which the text shows only a beginning."""
        if not self._buckets:
            return
        text, cuts = reading.text, reading.cuts
        for start in range(len(text) - self._shortest + 1):
            bucket = self._buckets.get(text[start : start + self._shortest])
            if bucket is None:
                continue
            end = bucket.end_of_whole(text, start) or bucket.end_of_part(
                text, start, cuts
            )
            if end and not _is_part(text[start:end], public):
                yield start, end


class _Bucket:
    """Values that begin alike."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._lengths: list[int] | None = None
        self._ordered: list[str] = []

    def add(self, value: str) -> None:
        self._values.add(value)
        self._lengths = None

    def _prepare(self) -> list[int]:
        if self._lengths is None:
            self._ordered = sorted(self._values)
            self._lengths = sorted({len(v) for v in self._values}, reverse=True)
        return self._lengths

    def end_of_whole(self, text: str, start: int) -> int | None:
        """Where the longest value ends that stands at a position."""
        for length in self._prepare():
            if text[start : start + length] in self._values:
                return min(start + length, len(text))
        return None

    def end_of_part(self, text: str, start: int, cuts: list[int]) -> int | None:
        """Where the beginning of a value was cut off that stands at a position."""
        shown = text[start : start + max(self._prepare())]
        place = bisect_left(self._ordered, shown)
        length = max(
            _common_length(shown, value)
            for value in self._ordered[max(place - 1, 0) : place + 1]
        )
        cut = cuts[bisect_left(cuts, start + length)]
        is_cut = length >= _SHORTEST_PART and cut - start - length <= _LOOSE_END
        return cut if is_cut else None


def _common_length(one: str, other: str) -> int:
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(i for i in range(length) if one[i] != other[i])


def _is_telling(setting: str) -> bool:
    """Whether a setting can be hidden wherever it stands."""
    if len(setting) < _SHORTEST_SETTING:
        return False
    return len(setting) > _LONGEST_WORD or not _WORD.fullmatch(setting)


def _is_part(value: str, public: Collection[str]) -> bool:
    return any(value in name for name in public)


def _as_bytes(value: str) -> str:
    """Write the encoded bytes of a text as characters of Latin-1."""
    return value.encode("utf-8", "surrogatepass").decode("latin-1")


def _passwords_in_urls(text: str) -> Iterator[str]:
    """Find passwords in URLs, in a time that grows with the text alone."""
    for before in text.split("@")[:-1]:
        word = re.split(r"\s", before)[-1]
        for match in _URL_USER.finditer(word):
            password = word[match.end(1) + 1 :]
            if 0 < len(password) <= _LONGEST_PASSWORD:
                yield password
                break


def _lines(text: str) -> set[str]:
    lines = text.split("\n")[:_MOST_LINES]
    return {text, text.strip(), *(line.strip() for line in lines)}


def _parts_of_secret(value: str | bytes) -> set[str]:
    """A secret, its lines, and what it holds if it is JSON, as of a registry."""
    if isinstance(value, bytes):
        try:
            return _parts_of_secret(value.decode())
        except UnicodeDecodeError:
            return {value.decode("latin-1")}
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return {*_lines(value), *_passwords_in_urls(value)}
    return {*_lines(value), *_leaves(parsed)}


def _leaves(value: object) -> Iterator[str]:
    """Find the strings in JSON that may be secret."""
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        name, found = waiting.pop()
        if isinstance(found, dict):
            waiting += found.items()
        elif isinstance(found, list):
            waiting += ((name, item) for item in found)
        elif isinstance(found, str) and name not in _NOT_SECRET:
            yield found
            if name == _REGISTRY_LOGIN:
                yield from _password_in(found)


def _password_in(login: str) -> Iterator[str]:
    """Find the password in what a registry's credentials call ``auth``."""
    try:
        decoded = b64decode(login).decode()
    except ValueError:
        return
    yield decoded
    yield decoded.partition(":")[2]
