"""Icons of tabs."""

from __future__ import annotations

from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from nublado.pages.favicon import favicon
from nublado.services.progress.words import Phase


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_has_a_drawing_that_fits_into_an_attribute(phase: Phase) -> None:
    url = favicon(phase)
    assert not set('"<>&#') & set(url)
    kind, _, image = url.partition(",")
    assert kind == "data:image/svg+xml"
    assert ET.fromstring(unquote(image)).tag == "{http://www.w3.org/2000/svg}svg"


def test_what_is_good_what_is_not_and_what_goes_on_look_different() -> None:
    icons = {favicon(phase) for phase in ("starting", "running", "failed", "stopped")}
    assert len(icons) == 4
