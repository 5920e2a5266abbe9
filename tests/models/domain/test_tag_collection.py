"""Many tags, in the order of the menu."""

from __future__ import annotations

from nublado.models.domain.rsptag import RSPImageType
from nublado.models.domain.tag_collection import RSPImageTagCollection

_MENU = [
    "recommended",
    "r22_0_1",
    "r170",
    "w_2021_13",
    "w_2021_9",
    "d_2021_05_13",
    "r23_0_0_rc10",
    "r23_0_0_rc2",
    "exp_b",
    "exp_a",
    "unknown",
]


def _tags(*names: str) -> RSPImageTagCollection:
    return RSPImageTagCollection.from_names(names, aliases={"recommended"})


def _names(tags: RSPImageTagCollection) -> list[str]:
    return [tag.tag for tag in tags]


def test_menu_is_ordered_by_kind_and_newest_first() -> None:
    assert _names(_tags(*sorted(_MENU))) == _MENU


def test_variants_for_one_architecture_are_left_out_beside_the_plain_tag() -> None:
    tags = _tags("w_2021_13", "w_2021_13-amd64", "w_2021_13-arm64", "exp_a-arm64")
    assert _names(tags) == ["w_2021_13", "exp_a-arm64"]


def test_tags_for_one_architecture_are_never_the_newest() -> None:
    tags = _tags("w_2021_14-arm64", "w_2021_13", "w_2021_12-amd64")
    newest = tags.latest(RSPImageType.WEEKLY)
    assert newest is not None
    assert newest.tag == "w_2021_13"
    assert _names(tags.subset(weeklies=3)) == ["w_2021_13"]
    assert _names(tags.subset(include=["w_2021_14-arm64"])) == ["w_2021_14-arm64"]


def test_unchanged_tags_are_not_read_again() -> None:
    tags = _tags(*_MENU)
    assert RSPImageTagCollection.from_names(reversed(_MENU), known=tags) is tags
    variants = _tags("a", "a-arm64")
    again = RSPImageTagCollection.from_names(["a", "a-arm64"], known=variants)
    assert again is variants
    changed = RSPImageTagCollection.from_names([*_MENU, "exp_c"], known=tags)
    assert len(changed) == len(tags) + 1
    assert all(changed.get(name) is tags.get(name) for name in _MENU)


def test_cycle_has_its_own_tags_and_named_ones_that_tell_no_cycle() -> None:
    tags = _tags("w_2021_13_c0020.001", "w_2021_13", "recommended", "exp_a_c0021")
    of_cycle = tags.of_cycle(20, keep=["recommended", "exp_a_c0021"])
    assert _names(of_cycle) == ["recommended", "w_2021_13_c0020.001"]


def test_subset_has_the_newest_and_what_is_named() -> None:
    tags = _tags(*_MENU, "w_2021_14")
    subset = tags.subset(releases=1, weeklies=2, dailies=9, include=["exp_a", "no"])
    assert _names(subset) == [
        "r22_0_1",
        "w_2021_14",
        "w_2021_13",
        "d_2021_05_13",
        "exp_a",
    ]


def test_latest_of_a_kind_can_be_found() -> None:
    tags = _tags(*_MENU)
    assert tags.latest(RSPImageType.RELEASE) == tags.get("r22_0_1")
    assert _tags().latest(RSPImageType.RELEASE) is None
