"""Causes of failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from nublado.models.domain.failure import Cause

_OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_is_documented(cause: Cause) -> None:
    causes = _OPERATIONS.read_text().partition("(causes)=")[2]
    assert f"`{cause}`" in causes


def test_another_image_helps_where_the_image_is_to_blame() -> None:
    of_image = {cause for cause in Cause if cause.is_of_image}
    assert of_image == {Cause.IMAGE, Cause.IMAGE_MISSING, Cause.IMAGE_DENIED}
