"""CPU and memory."""

from __future__ import annotations

import pytest

from nublado.config.model import LabSizeDefinition
from nublado.models.domain.resources import LabResources, Resources

_SMALL = Resources(1.0, 3 * 2**30)


@pytest.mark.parametrize(
    ("available", "fits"),
    [
        (Resources(1.0, 3 * 2**30), True),
        (Resources(2.0, 4 * 2**30), True),
        (Resources(0.9, 4 * 2**30), False),
        (Resources(2.0, 3 * 2**30 - 1), False),
    ],
)
def test_resources_fit_unless_one_of_them_exceeds(
    available: Resources, fits: bool
) -> None:
    assert _SMALL.fits(available) is fits


def test_a_quarter_of_the_limits_is_requested_in_whole_bytes() -> None:
    resources = LabResources.from_limits(Resources(1.0, 1023))
    assert resources.requests == Resources(0.25, 255)
    assert resources.to_kubernetes() == {
        "limits": {"cpu": "1.0", "memory": "1023"},
        "requests": {"cpu": "0.25", "memory": "255"},
    }


def test_quota_names_what_it_limits() -> None:
    assert _SMALL.to_kubernetes("limits.") == {
        "limits.cpu": "1.0",
        "limits.memory": "3221225472",
    }


def test_label_keeps_memory_as_configured() -> None:
    assert _SMALL.label() == "1.0 CPU, 3Gi RAM"
    size = LabSizeDefinition("small", LabResources.from_limits(_SMALL), "3072MiB")
    assert size.label == "Small (1.0 CPU, 3072MiB RAM)"
