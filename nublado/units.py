"""Amounts of memory, durations, and Kubernetes quantities, as text.

Parsers raise `ValueError`, with a message that says what was expected, for
everything that they do not accept.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_CEILING, Decimal

__all__ = [
    "MAX_DURATION",
    "MAX_QUANTITY",
    "bytes_to_text",
    "duration_to_seconds",
    "memory_to_bytes",
    "parse_quantity",
    "seconds_to_text",
]

MAX_QUANTITY = 2**63 - 1
"""Largest amount, of bytes for example, that Kubernetes can express."""

MAX_DURATION = 10 * 365 * 24 * 3600.0
"""Longest duration, in seconds; above it, a unit has been mistaken."""

_MAX_TEXT = 64
"""Longer texts are no amounts, and not worth parsing."""

_SI = {"": 1} | {s: 1000**n for n, s in enumerate("kMGTPE", start=1)}
_BINARY = {f"{s}i": 1024**n for n, s in enumerate("KMGTPE", start=1)}
_MEMORY_UNITS = {name.lower(): unit for name, unit in (_SI | _BINARY).items()}
_QUANTITY_UNITS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{name: Decimal(unit) for name, unit in (_SI | _BINARY).items()},
}

_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"

_MEMORY = re.compile(
    rf"(?P<number>{_NUMBER})\s*(?P<unit>[kmgtpe]i?)?b?",
    re.ASCII | re.IGNORECASE,
)

_QUANTITY = re.compile(
    rf"\+?(?P<number>{_NUMBER})"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)",
    re.ASCII,
)

_DURATION_UNITS = (
    ("w|weeks?", 7 * 24 * 3600),
    ("d|days?", 24 * 3600),
    ("h|hrs?|hours?", 3600),
    ("m|mins?|minutes?", 60),
    ("s|secs?|seconds?", 1),
)

_DURATION = re.compile(
    r"\s*".join(rf"(?:({_NUMBER})\s*(?:{unit}))?" for unit, _ in _DURATION_UNITS),
    re.ASCII | re.IGNORECASE,
)


def memory_to_bytes(value: str | int) -> int:
    """Read an amount of memory.

    Parameters
    ----------
    value
        Bytes, or a number with an SI (``k`` to ``E``) or binary (``Ki`` to
        ``Ei``) suffix, with or without a trailing ``B``, in any case.

    Returns
    -------
    int
        Bytes; fractions of a byte are rounded up, as Kubernetes does.

    Raises
    ------
    ValueError
        Raised if this is not an amount of memory, is negative or is more than
        Kubernetes can hold.

    Notes
    -----
    A lone ``m`` is refused rather than taken for mega, since in a `Kubernetes
    quantity
    <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>`__
    it means a thousandth.
    """
    text = _amount_text(value)
    match = _MEMORY.fullmatch(text)
    if not match:
        raise ValueError(
            f"must be bytes or an amount such as 512Mi or 3Gi, not {text!r}"
        )
    if match["unit"] == "m" and not text.lower().endswith("b"):
        raise ValueError(
            f"{text!r} would be a thousandth of a byte to Kubernetes;"
            " write M for megabytes or Mi for mebibytes"
        )
    unit = _MEMORY_UNITS[(match["unit"] or "").lower()]
    amount = (Decimal(match["number"]) * unit).to_integral_value(ROUND_CEILING)
    if amount > MAX_QUANTITY:
        raise ValueError(f"{text!r} is more memory than Kubernetes can express")
    return int(amount)


def bytes_to_text(amount: int, *, exactly: bool = True) -> str:
    """Write an amount of memory for people, with two decimals at most.

    Parameters
    ----------
    amount
        Bytes.
    exactly
        Whether the text has to mean just as many bytes, or may be rounded.

    Returns
    -------
    str
        With the largest binary suffix that allows that, such as ``3Gi`` or
        ``1.5Gi``, or ``14.9Gi`` for a rounded one; bytes without suffix where
        none does.

    Raises
    ------
    ValueError
        Raised if the amount is negative.
    """
    if amount < 0:
        raise ValueError(f"must not be negative, not {amount}")
    for suffix, unit in reversed(_BINARY.items()):
        if amount >= unit and not (exactly and amount * 100 % unit):
            number = round(Decimal(amount) / unit, 2)
            return f"{number.normalize():f}{suffix}"
    return str(amount)


def parse_quantity(text: str) -> Decimal:
    """Parse a Kubernetes quantity that is not negative, such as ``250m`` or ``27Gi``.

    Unlike in the configuration, suffixes are case-sensitive and ``m`` means
    thousandths.

    Raises
    ------
    ValueError
        Raised if it is not a quantity, or more than Kubernetes can express.

    References
    ----------
    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"not a quantity: {text!r}")
    scale = _QUANTITY_UNITS[match["suffix"] or ""]
    if match["exponent"]:
        scale = Decimal(10) ** int(match["exponent"])
    value = Decimal(match["number"]) * scale
    if value > MAX_QUANTITY:
        raise ValueError(f"quantity too large: {text!r}")
    return value


def duration_to_seconds(value: str | float) -> float:
    """Read a duration.

    Parameters
    ----------
    value
        Seconds as a number or a numeric string, or numbers with units from
        weeks down to seconds, each at most once: ``30s``, ``1h30m``,
        ``1 week``.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        Raised if this is not a duration, is negative, or is longer than
        `MAX_DURATION`.
    """
    text = _amount_text(value)
    if re.fullmatch(_NUMBER, text, re.ASCII):
        seconds = float(text)
    else:
        match = _DURATION.fullmatch(text)
        if not match or not text:
            raise ValueError(
                f"must be seconds or a duration such as 30s, 5m or 1h30m, not {text!r}"
            )
        parts = zip(match.groups(), _DURATION_UNITS, strict=True)
        seconds = float(sum(Decimal(n) * unit for n, (_, unit) in parts if n))
    if seconds > MAX_DURATION:
        raise ValueError(f"{text!r} is longer than ten years")
    return seconds


def seconds_to_text(seconds: float) -> str:
    """Write a duration for people, such as ``1h30m`` for 5400.

    Parameters
    ----------
    seconds
        The duration; finite and not negative.

    Raises
    ------
    ValueError
        Raised if the duration is negative or not finite.
    """
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"must be a finite time that is not negative, not {seconds}")
    whole, fraction = divmod(Decimal(repr(seconds)), 1)
    rest = int(whole)
    parts = []
    for unit, length in (("d", 24 * 3600), ("h", 3600), ("m", 60)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    if rest or fraction or not parts:
        parts.append(f"{(rest + fraction).normalize():f}s")
    return "".join(parts)


def _amount_text(value: str | float) -> str:
    """Text of an amount to parse; numbers in full, never in powers of ten."""
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
        raise ValueError(f"must be an amount, not {value}")
    elif value < 0:
        raise ValueError(f"must not be negative, not {value}")
    elif value > MAX_QUANTITY:
        raise ValueError("must be a reasonable amount")
    else:
        text = f"{Decimal(repr(value)):f}"
    if len(text) > _MAX_TEXT:
        raise ValueError("must be a short text such as 3Gi or 5m")
    return text
