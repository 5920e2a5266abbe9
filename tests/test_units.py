from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.units import (
    MAX_DURATION,
    MAX_QUANTITY,
    bytes_to_text,
    duration_to_seconds,
    memory_to_bytes,
    parse_quantity,
    seconds_to_text,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (0, 0),
        (3221225472, 3221225472),
        ("1024", 1024),
        ("1024B", 1024),
        ("3Gi", 3 * 2**30),
        ("3GiB", 3 * 2**30),
        ("3gib", 3 * 2**30),
        ("3 GI", 3 * 2**30),
        ("1.5Gi", 3 * 2**29),
        (".5Ki", 512),
        ("1k", 1000),
        ("1K", 1000),
        ("1kB", 1000),
        ("5M", 5_000_000),
        ("5mb", 5_000_000),
        ("5mi", 5 * 2**20),
        ("2T", 2 * 10**12),
        ("2Pi", 2 * 2**50),
        ("1E", 10**18),
        ("7Ei", 7 * 2**60),
        ("0.1", 1),
        (MAX_QUANTITY, MAX_QUANTITY),
    ],
)
def test_memory_in_all_spellings(text: str | int, expected: int) -> None:
    assert memory_to_bytes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "3m",
        "1.5m",
        "-1",
        "-1Gi",
        -1,
        "inf",
        "nan",
        "8Ei",
        "9999999999E",
        MAX_QUANTITY + 1,
        10**400,
        "Gi",
        "3 Gi Gi",
        "3X",
        "1e3",
        "1_000",
        "٣Gi",
        True,
        "9" * 10000,
    ],
)
def test_memory_refuses_what_is_none(text: str | int) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        memory_to_bytes(text)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, "0"),
        (1, "1"),
        (1023, "1023"),
        (1024, "1Ki"),
        (3 * 2**30, "3Gi"),
        (3 * 2**29, "1.5Gi"),
        (10 * 2**30, "10Gi"),
        (100 * 2**40, "100Ti"),
    ],
)
def test_memory_for_people(amount: int, expected: str) -> None:
    assert bytes_to_text(amount) == expected


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (1023, "1023"),
        (3 * 2**29, "1.5Gi"),
        (16_000_000_000, "14.9Gi"),
        (2**30 + 1, "1Gi"),
        (2**40 - 1, "1024Gi"),
    ],
)
def test_memory_may_be_rounded(amount: int, expected: str) -> None:
    assert bytes_to_text(amount, exactly=False) == expected


@given(st.integers(0, MAX_QUANTITY))
def test_memory_survives_a_round_trip(amount: int) -> None:
    assert memory_to_bytes(bytes_to_text(amount)) == amount


@given(st.integers(max_value=-1))
def test_negative_memory_has_no_text(amount: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        bytes_to_text(amount)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (0, 0),
        (600, 600),
        (1.5, 1.5),
        ("600", 600),
        ("1.5", 1.5),
        ("30s", 30),
        ("5m", 300),
        ("5 min", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("90 minutes", 5400),
        ("2d", 172800),
        ("1 week", 604800),
        ("2 weeks 1 day", 15 * 86400),
        ("1W2D3H4M5S", 604800 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5),
        ("1.5h", 5400),
    ],
)
def test_duration_in_all_spellings(text: str | float, expected: float) -> None:
    assert duration_to_seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "-5",
        "-5m",
        -5,
        "5x",
        "30m1h",
        "5m5m",
        "inf",
        "nan",
        "1e3",
        True,
        float("inf"),
        float("nan"),
        "1000000 weeks",
        1e300,
        "٣s",
        "9" * 10000,
    ],
)
def test_duration_refuses_what_is_none(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        duration_to_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (30, "30s"),
        (60, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (5400, "1h30m"),
        (86400, "1d"),
        (90061, "1d1h1m1s"),
        (0.5, "0.5s"),
        (61.25, "1m1.25s"),
        (10.0, "10s"),
        (600.0, "10m"),
    ],
)
def test_duration_for_people(seconds: float, expected: str) -> None:
    assert seconds_to_text(seconds) == expected


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_impossible_duration_has_no_text(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        seconds_to_text(seconds)


@given(st.integers(0, int(MAX_DURATION)))
def test_duration_survives_a_round_trip(seconds: int) -> None:
    assert duration_to_seconds(seconds_to_text(seconds)) == seconds


@given(st.floats(1e-6, MAX_DURATION))
def test_fractional_duration_survives_a_round_trip(seconds: float) -> None:
    assert duration_to_seconds(seconds_to_text(seconds)) == pytest.approx(seconds)


amounts = (
    st.text()
    | st.from_regex(r"[-+]?[0-9.]+ ?[a-zA-Z]{0,4}")
    | st.integers()
    | st.floats().map(str)
)


@given(amounts)
def test_parsers_raise_nothing_but_value_errors(text: str | int) -> None:
    for parse in (memory_to_bytes, duration_to_seconds):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("9", "9"),
        ("9.0", "9"),
        ("+.5", "0.5"),
        ("5.", "5"),
        ("250m", "0.25"),
        ("100u", "0.0001"),
        ("1n", "0.000000001"),
        ("28991029248", "28991029248"),
        ("27Gi", "28991029248"),
        ("1.5Ki", "1536"),
        ("6G", "6000000000"),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E-3", "0.001"),
        ("1E", "1e18"),
        ("1Ei", str(2**60)),
    ],
)
def test_quantity_is_parsed(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "1 Gi",
        "1K",
        "1gi",
        "1GB",
        "e3",
        ".",
        "1e",
        "1e9999",
        "9e99",
        "8Ei",
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)
