"""How a user has chosen an image."""

from __future__ import annotations

import pytest

from nublado.models.domain.image import ImageSelection


@pytest.mark.parametrize(
    "name", ["image_list", "image_dropdown", "image_class", "image_tag"]
)
def test_option_that_is_set_has_a_name(name: str) -> None:
    assert ImageSelection(**{name: "something"}).option == name
