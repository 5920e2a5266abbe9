"""Grammar of headers."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.storage.http_headers import (
    next_link,
    parse_challenges,
    parse_retry_after,
)


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", {}),
        ("Basic", {"basic": {}}),
        ("BASIC realm=registry", {"basic": {"realm": "registry"}}),
        (
            'Bearer realm="https://a.org/t?x=1",service="a, b",scope="r:x:pull,push"',
            {
                "bearer": {
                    "realm": "https://a.org/t?x=1",
                    "service": "a, b",
                    "scope": "r:x:pull,push",
                }
            },
        ),
        (
            'Basic realm="a", Bearer realm = "b" , service=""',
            {"basic": {"realm": "a"}, "bearer": {"realm": "b", "service": ""}},
        ),
        (r'Basic realm="a \"b\", c=\\d"', {"basic": {"realm": 'a "b", c=\\d'}}),
    ],
)
def test_challenges_are_parsed_by_scheme(
    header: str, challenges: dict[str, dict[str, str]]
) -> None:
    assert parse_challenges(header) == challenges


@given(st.text())
def test_any_challenge_can_be_parsed(header: str) -> None:
    assert isinstance(parse_challenges(header), dict)


_URL = "https://example.org/prefix/v2/lab/tags/list"


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ("", None),
        ("<a>", None),
        ("<a>; rel=prev", None),
        ("a; rel=next", None),
        (
            "</v2/lab/tags/list?last=b>; rel=next",
            "https://example.org/v2/lab/tags/list?last=b",
        ),
        ('<?last=b&n=2>;rel="next"', f"{_URL}?last=b&n=2"),
        ("<list?last=b>; rel=next", f"{_URL}?last=b"),
        ("<//other.test/x> ; REL = NEXT", "https://other.test/x"),
        ("< http://other.test/x > ; rel=next", "http://other.test/x"),
        ('<a>; rel="first prev", <?b>; rel="last  next"', f"{_URL}?b"),
        ('<a>; title="x, <y>; rel=next", <?b>; rel=next', f"{_URL}?b"),
        (r'<a>; title="\", <y>; rel=next", <?b>; rel=next', f"{_URL}?b"),
        ("<a>; rel=prev; rel=next, <?b>; title=x; rel=next; x", f"{_URL}?b"),
        ('<?a>; rel=next; anchor="#chapter", <?b>; rel=next', f"{_URL}?b"),
        ('<?a>; anchor=""; rel=next', f"{_URL}?a"),
        ("<?last=a,b;c>; rel=next", f"{_URL}?last=a,b;c"),
        ("<?a>; rel=prev,<?b>; rel=next", f"{_URL}?b"),
        ('<?a>; rel="next', None),
    ],
)
def test_next_page_is_found_in_links(header: str, url: str | None) -> None:
    assert next_link(header, _URL) == url


@given(st.text(alphabet='<>;,="\\ relnxtURI*?/:[]'))
def test_any_links_can_be_read(header: str) -> None:
    with suppress(ValueError):
        next_link(header, _URL)


@pytest.mark.parametrize(
    "header", ["<" * 60_000, "<>;" * 20_000, '<>"' + '\\"' * 30_000]
)
def test_links_are_read_in_linear_time(header: str) -> None:
    assert next_link(header, _URL) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        (" 120 ", 120.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_pause_that_a_server_wants_is_read(header: str, seconds: float) -> None:
    assert parse_retry_after(header) == seconds
