"""Kubernetes' amounts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nublado.services.builder.quantity import parse_quantity


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
