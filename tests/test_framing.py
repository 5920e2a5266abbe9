"""Where requests end, however they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.constants import MAX_BODY_BYTES
from nublado.framing import Framing, Progress

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def progress(data: bytes) -> Progress:
    return Framing().progress(bytearray(data))


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"\r\n",
        HEAD + b"Content-Length: 3\r\n\r\nabc",
        HEAD + b"content-length:0003 \r\n\r\nabc",
        HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        CHUNKED + b"0\r\n\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0000\r\n\r\n",
        CHUNKED + b"3;a=b\r\nabc\r\n0;c\r\nX-Trailer: y\r\n\r\n",
    ],
)
@given(cuts=st.sets(st.integers(0, 200)), more=st.binary(max_size=20))
def test_an_end_is_found_when_it_is_there_and_not_before(
    data: bytes, cuts: set[int], more: bytes
) -> None:
    framing, received = Framing(), bytearray()
    for end in sorted(cut for cut in cuts if cut < len(data)):
        received += data[len(received) : end]
        assert framing.progress(received) in (Progress.HEAD, Progress.BODY)
    received += data[len(received) :] + more
    assert framing.progress(received) is Progress.WHOLE


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 200_000,
        HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        HEAD + b"Content-Length: -3\r\n\r\n",
        HEAD + b"Content-Length: 3, 3\r\n\r\n",
        HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0x3\r\nabc\r\n",
        CHUNKED + b"fffffffff\r\n",
        CHUNKED + b"3;" + b"x" * 5000,
        CHUNKED + b"0\r\n" + b"x" * 5000,
        CHUNKED + b"1\r\na\r\n" * (MAX_BODY_BYTES // 2),
        HEAD + b"Content-Length: 5000000\r\n\r\n" + b"x" * (MAX_BODY_BYTES + 1),
    ],
)
def test_nothing_more_is_read_of_what_is_no_request(data: bytes) -> None:
    assert progress(data) is Progress.REFUSED


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost", Progress.HEAD),
        (HEAD + b"Content-Length: 5000000\r\n\r\nabc", Progress.BODY),
        (CHUNKED + b"3e8\r\nab\r\n0\r\n\r\n", Progress.BODY),
        (CHUNKED + b"3\r\nabc\r\n0\r\nX-Trailer: y\r\n", Progress.BODY),
        (CHUNKED + b"ffffffff\r\n", Progress.BODY),
    ],
)
def test_what_is_not_complete_is_waited_for(data: bytes, expected: Progress) -> None:
    assert progress(data) is expected
