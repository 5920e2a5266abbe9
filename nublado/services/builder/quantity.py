"""Kubernetes' way of writing amounts, such as ``250m``, ``27Gi`` or ``1e3``.

Other than in the configuration, suffixes are case-sensitive and ``m`` means
thousandths.

References
----------
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["MAX_QUANTITY", "parse_quantity"]

MAX_QUANTITY = 2**63 - 1
"""Largest amount that Kubernetes can count."""

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** (n + 1) for n, unit in enumerate("kMGTPE")},
    **{f"{unit}i": Decimal(1024) ** (n + 1) for n, unit in enumerate("KMGTPE")},
}

_QUANTITY = re.compile(
    r"\+?(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)",
    re.ASCII,
)


def parse_quantity(text: str) -> Decimal:
    """Parse an amount that is not negative.

    Raises
    ------
    ValueError
        If it is not one, or larger than Kubernetes can count.
    """
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"not a quantity: {text!r}")
    scale = _SUFFIXES[match["suffix"] or ""]
    if match["exponent"]:
        scale = Decimal(10) ** int(match["exponent"])
    value = Decimal(match["number"]) * scale
    if value > MAX_QUANTITY:
        raise ValueError(f"quantity too large: {text!r}")
    return value
