"""Where a request ends that is still coming in.

This finds out when a thread can be given a request so that it need not wait for
the client; whether the request is valid, the parser decides.

References
----------
https://www.rfc-editor.org/rfc/rfc9112#section-6.3
"""

from __future__ import annotations

import re
from enum import Enum

from nublado.constants import MAX_BODY_BYTES

__all__ = ["Framing", "Progress"]

_MOST_HEAD_BYTES = 128 * 1024
_MOST_CHUNKED_BYTES = 2 * MAX_BODY_BYTES
_MOST_LINE_BYTES = 4096
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_DIGITS = re.compile(rb"0*([0-9]{1,18})[ \t]*")
_CHUNK_SIZE = re.compile(rb"0*([0-9a-f]{1,8})[ \t]*(?:;.*)?", re.IGNORECASE | re.DOTALL)


class Progress(Enum):
    """How far a request has come in."""

    HEAD = "the head is not complete"
    BODY = "the body is not complete"
    WHOLE = "all of it is there"
    REFUSED = "no more of it is read: it is too large, or no request"


class Framing:
    """Follows one request in a buffer that grows."""

    def __init__(self) -> None:
        self._searched = 0
        self._head_end: int | None = None
        self._end: int | None = None
        self._position: int | None = None
        self._is_refused = False
        self._is_cut = False

    @property
    def has_head(self) -> bool:
        """Whether the head is complete."""
        return self._head_end is not None

    def is_all(self, received: bytearray) -> bool:
        """Whether the request is all that has come, and has no body."""
        return self._head_end == self._end == len(received)

    def progress(self, received: bytearray) -> Progress:
        """Tell how far the request is; looks at no byte twice."""
        if self._head_end is None and not self._find_head(received):
            return Progress.REFUSED if self._is_refused else Progress.HEAD
        if self._position is not None:
            self._follow_chunks(received)
        if self._is_refused:
            return Progress.REFUSED
        if self._end is None or len(received) < self._end:
            return Progress.BODY
        return Progress.REFUSED if self._is_cut else Progress.WHOLE

    def _find_head(self, received: bytearray) -> bool:
        end = received.find(_HEAD_END, self._searched)
        self._searched = max(0, len(received) - len(_HEAD_END) + 1)
        if end < 0:
            self._is_refused = len(received) > _MOST_HEAD_BYTES
            return False
        self._head_end = end + len(_HEAD_END)
        head = bytes(received[: end + 2])
        if _CHUNKED.search(head):
            self._position = self._head_end
        else:
            self._end = self._head_end + self._declared_length(head)
        return True

    def _declared_length(self, head: bytes) -> int:
        """Bytes of the body to wait for: what is too large need not come in full."""
        lengths = set()
        for text in _LENGTH.findall(head):
            digits = _DIGITS.fullmatch(text)
            self._is_refused = self._is_refused or digits is None
            lengths.add(int(digits[1]) if digits else 0)
        self._is_refused = self._is_refused or len(lengths) > 1
        length = max(lengths, default=0)
        self._is_cut = length > MAX_BODY_BYTES
        return min(length, MAX_BODY_BYTES + 1)

    def _follow_chunks(self, received: bytearray) -> None:
        assert self._position is not None  # noqa: S101
        assert self._head_end is not None  # noqa: S101
        self._is_refused = len(received) - self._head_end > _MOST_CHUNKED_BYTES
        while self._end is None and not self._is_refused:
            line_end = received.find(b"\r\n", self._position)
            if line_end < 0:
                unread = len(received) - self._position
                self._is_refused = unread > _MOST_LINE_BYTES
                return
            size = _CHUNK_SIZE.fullmatch(bytes(received[self._position : line_end]))
            if size is None:
                self._is_refused = True
            elif int(size[1], 16):
                self._position = line_end + 2 + int(size[1], 16) + 2
            else:
                self._find_trailer_end(received, line_end)
                return

    def _find_trailer_end(self, received: bytearray, line_end: int) -> None:
        """Find the empty line behind the last chunk and any trailer fields."""
        end = received.find(_HEAD_END, line_end)
        if end >= 0:
            self._end = end + len(_HEAD_END)
        else:
            self._is_refused = len(received) - line_end > _MOST_LINE_BYTES
