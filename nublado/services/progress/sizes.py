"""The next larger and the next smaller size of a lab that its user may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nublado.config.model import LabSizeDefinition
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.lab import LabState
from nublado.models.domain.resources import Resources

__all__ = ["Sizes"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes around that of a lab.

    Parameters
    ----------
    larger
        The next one with more memory that the quota allows; None if there is none.
    smaller
        The next one with less of both CPU and memory; None if there is none.
    limits
        What the lab may use; None where unknown.
    """

    larger: LabSizeDefinition | None = None
    smaller: LabSizeDefinition | None = None
    limits: Resources | None = None

    @classmethod
    def around(
        cls, lab: LabState | None, configured: Sequence[LabSizeDefinition]
    ) -> Sizes:
        """Find the sizes around that of a lab.

        Parameters
        ----------
        lab
            The lab; None where unknown.
        configured
            All sizes.
        """
        if lab is None:
            return cls()
        return cls.around_limits(lab.resources.limits, lab.user, configured)

    @classmethod
    def around_limits(
        cls, limits: Resources, user: UserInfo, configured: Sequence[LabSizeDefinition]
    ) -> Sizes:
        """Find the sizes around limits.

        Parameters
        ----------
        limits
            What a lab may use.
        user
            Whose lab it is.
        configured
            All sizes.
        """
        quota = user.notebook_quota
        allowed = [
            size
            for size in configured
            if quota is None or size.resources.limits.fits(quota.resources)
        ]
        larger = (s for s in allowed if s.resources.limits.memory > limits.memory)
        smaller = (s for s in allowed if _is_smaller(s.resources.limits, limits))
        return cls(
            larger=min(larger, key=_order, default=None),
            smaller=max(smaller, key=_order, default=None),
            limits=limits,
        )


def _is_smaller(limits: Resources, others: Resources) -> bool:
    return limits.fits(others) and limits != others


def _order(size: LabSizeDefinition) -> tuple[int, float]:
    limits = size.resources.limits
    return limits.memory, limits.cpu
