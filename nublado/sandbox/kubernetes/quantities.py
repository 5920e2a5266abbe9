"""Quantities such as ``500m`` or ``16Gi``.

References
----------
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

__all__ = ["canonical", "quantity", "write_quantity"]

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}
_DECIMAL |= {"P": 15, "E": 18}
_BINARY = {f"{suffix}i": i for i, suffix in enumerate("KMGTPE", 1)}
_SUFFIXES = {suffix: Decimal(10) ** power for suffix, power in _DECIMAL.items()} | {
    suffix: Decimal(1024) ** power for suffix, power in _BINARY.items()
}
_PATTERN = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([a-zA-Z]*))", re.ASCII
)
_NANO = Decimal(10) ** -9


def quantity(text: object) -> Decimal:
    """Parse a quantity.

    Raises
    ------
    ValueError
        Raised if it is none, worded as Kubernetes words it.
    """
    return _parse(text)[0]


def canonical(text: object) -> str:
    """Write a quantity as the API server writes it when it is read back.

    ``1024Mi`` becomes ``1Gi``, ``0.5`` becomes ``500m``, ``2.0`` becomes
    ``2``.

    Raises
    ------
    ValueError
        Raised if it is none.
    """
    amount, suffix = _parse(text)
    return write_quantity(amount, binary=suffix in _BINARY)


def write_quantity(amount: Decimal, *, binary: bool) -> str:
    """Write a quantity with the largest suffix that leaves it whole.

    Parameters
    ----------
    amount
        The quantity; fractions of a billionth are rounded up.
    binary
        Whether to write it with ``Ki`` rather than ``k`` and so on. Small and
        fractional amounts are written in decimal all the same.
    """
    amount = amount.quantize(_NANO, ROUND_CEILING)
    if binary and abs(amount) >= 1024 and amount % 1 == 0:
        for suffix in reversed(_BINARY):
            if amount % _SUFFIXES[suffix] == 0:
                return f"{int(amount / _SUFFIXES[suffix])}{suffix}"
        return str(int(amount))
    for suffix in reversed(_DECIMAL):
        if amount % _SUFFIXES[suffix] == 0 and amount != 0:
            return f"{int(amount / _SUFFIXES[suffix])}{suffix}"
    return "0"


def _parse(text: object) -> tuple[Decimal, str]:
    match = _PATTERN.fullmatch(str(text))
    if match is None or (match[3] or "") not in _SUFFIXES:
        raise ValueError(
            "quantities must match the regular expression"
            " '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    suffix = match[3] or ""
    scale = Decimal(10) ** int(match[2]) if match[2] else _SUFFIXES[suffix]
    return Decimal(match[1]) * scale, suffix
