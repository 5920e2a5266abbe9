"""Which of thousands of images the dropdown offers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests

from nublado.models.domain.rsptag import RSPImageTag, RSPImageType
from nublado.sandbox.stack import Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

_TAGS = 3000
_SELECT = re.compile(r'<select name="image_dropdown".*?</select>', re.DOTALL)
_OPTION = re.compile(r'<option [^>]*value="([^"]+)"')


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A deployment with filters, and so many images."""
    log = (tmp_path_factory.mktemp("dropdown") / "service.log").open("w+")
    config = CONFIG.parent / "operators.yaml"
    with Stack(config, "--tags", str(_TAGS), log=log) as running:
        url = f"{running.api_url}/spawner/v1/images"
        wait_for(lambda: requests.get(url, timeout=SECONDS).ok)
        yield running


def _form(stack: Stack) -> str:
    user = User(stack, "rachel")
    url = f"{stack.api_url}/spawner/v1/lab-form/{user.name}"
    answer = requests.get(url, headers=user.headers, timeout=SECONDS)
    assert answer.status_code == 200, answer.text
    return answer.text


def _images(stack: Stack) -> dict[str, Any]:
    url = f"{stack.api_url}/spawner/v1/images"
    images: dict[str, Any] = requests.get(url, timeout=SECONDS).json()
    return images


def _tag(reference: str) -> str:
    return unescape(reference).partition("@")[0].rpartition(":")[2]


def _offered(stack: Stack) -> list[str]:
    select = _SELECT.search(_form(stack))
    assert select is not None
    return [_tag(reference) for reference in _OPTION.findall(select.group())]


def test_dropdown_offers_what_filters_keep(stack: Stack) -> None:
    offered = _offered(stack)
    known = [image["tag"] for image in _images(stack)["all"]]
    assert len(known) > _TAGS / 2
    assert len(offered) < 150
    assert [tag for tag in known if tag in set(offered)] == offered
    kinds = Counter(RSPImageTag.parse(tag).image_type for tag in offered)
    assert kinds[RSPImageType.RELEASE] == 5
    assert kinds[RSPImageType.WEEKLY] == 8
    assert kinds[RSPImageType.DAILY] == 10
    assert kinds[RSPImageType.EXPERIMENTAL] == 0
    candidates = [tag for tag in offered if "_rc" in tag]
    assert candidates == ["r30_0_1_rc2", "r30_0_1_rc1"]
    unknown = [t for t in known if RSPImageTag.parse(t).image_type.name == "UNKNOWN"]
    assert set(unknown) <= set(offered)
    assert len(unknown) > 10


def test_everything_else_ignores_filters(stack: Stack) -> None:
    """The menu, and who names an image, have all of them."""
    tag = next(i["tag"] for i in _images(stack)["all"] if i["tag"].startswith("exp_"))
    assert tag not in _offered(stack)
    user = User(stack, "ribbon")
    assert user.spawn(image_tag=tag).kinds[-1] == "complete"
