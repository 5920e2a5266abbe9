"""What the names of tags tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.models.domain.rsptag import RSPImageTag, RSPImageType

_NUMBERS = st.from_regex(r"[0-9]{1,5}", fullmatch=True)
_LIKE_TAGS = st.from_regex(
    r"(exp_){0,3}(r[0-9]{1,3}|[rwd](_?[0-9]{1,4}){1,3}(_rc[0-9]{1,2})?|[a-z_]{0,6})"
    r"(_c[0-9]{1,4}(\.[0-9]{1,3})?)?(_[a-zA-Z0-9_.-]{0,6})?",
    fullmatch=True,
)


@pytest.mark.parametrize(
    ("tag", "kind", "name", "version", "cycle"),
    [
        ("r22_0_1", "Release", "Release r22.0.1", "22.0.1", None),
        ("r22_00_01", "Release", "Release r22.00.01", "22.0.1", None),
        ("r170", "Release", "Release r17.0.0", "17.0.0", None),
        (
            "r23_0_0_rc1",
            "Release Candidate",
            "Release Candidate r23.0.0-rc1",
            "23.0.0-rc1",
            None,
        ),
        ("w_2021_13", "Weekly", "Weekly 2021_13", "2021.13.0", None),
        ("d_2021_05_13", "Daily", "Daily 2021_05_13", "2021.5.13", None),
        (
            "w_2021_13_c0020.001",
            "Weekly",
            "Weekly 2021_13 (SAL Cycle 0020, Build 001)",
            "2021.13.0+c0020.001",
            20,
        ),
        (
            "r23_0_0_rc1_c0020.001_a_b!",
            "Release Candidate",
            "Release Candidate r23.0.0-rc1 (SAL Cycle 0020, Build 001) [a_b!]",
            "23.0.0-rc1+c0020.001.a.b",
            20,
        ),
        ("d_2021_05_13_x", "Daily", "Daily 2021_05_13 [x]", "2021.5.13+x", None),
        ("r170_x", "Release", "Release r17.0.0 [x]", "17.0.0+x", None),
        ("w_2021_13__", "Weekly", "Weekly 2021_13 [_]", "2021.13.0", None),
        (
            "exp_w_2021_13_c0020.001",
            "Experimental",
            "Experimental Weekly 2021_13 (SAL Cycle 0020, Build 001)",
            None,
            20,
        ),
        ("exp_random", "Experimental", "Experimental random", None, None),
        ("exp_exp_a", "Experimental", "Experimental Experimental a", None, None),
        ("exp_", "Unknown", "exp_", None, None),
        ("MAGIC_c0027", "Unknown", "MAGIC (SAL Cycle 0027)", None, 27),
        ("_c0027", "Unknown", "_c0027", None, None),
        ("w_2021", "Unknown", "w_2021", None, None),
        ("w_2021_13_", "Weekly", "Weekly 2021_13", "2021.13.0", None),
        (
            "d_2021_05_13_c0020.001_",
            "Daily",
            "Daily 2021_05_13 (SAL Cycle 0020, Build 001)",
            "2021.5.13+c0020.001",
            20,
        ),
        (
            "w_2022_40_rsp19",
            "Weekly",
            "Weekly 2022_40 (RSP Build 19)",
            "2022.40.0+rsp19",
            None,
        ),
        (
            "r28_0_2_c0045.003_rsp7_x_y-arm64",
            "Release",
            "Release r28.0.2 (SAL Cycle 0045, Build 003) (RSP Build 7) [x_y] [arm64]",
            "28.0.2+c0045.003.rsp7.x.y.arm64",
            45,
        ),
        ("w_2024_01-amd64", "Weekly", "Weekly 2024_01 [amd64]", "2024.1.0+amd64", None),
        (
            "w_2024_01_my-test",
            "Weekly",
            "Weekly 2024_01 [my-test]",
            "2024.1.0+my-test",
            None,
        ),
        ("w_2024_01_rspx", "Weekly", "Weekly 2024_01 [rspx]", "2024.1.0+rspx", None),
        ("latest-arm64", "Unknown", "latest [arm64]", None, None),
        ("old_c0027-amd64", "Unknown", "old (SAL Cycle 0027) [amd64]", None, 27),
        (
            "exp_w_2024_01-arm64",
            "Experimental",
            "Experimental Weekly 2024_01 [arm64]",
            None,
            None,
        ),
        ("r1700", "Unknown", "r1700", None, None),
        ("w_\uff12\uff10_13", "Unknown", "w_\uff12\uff10_13", None, None),
        ("w_2021_13\n", "Unknown", "w_2021_13\n", None, None),
    ],
)
def test_name_tells_kind_display_name_version_and_cycle(
    tag: str, kind: str, name: str, version: str | None, cycle: int | None
) -> None:
    parsed = RSPImageTag.parse(tag)
    assert parsed.tag == tag
    assert parsed.image_type.value == kind
    assert parsed.display_name == name
    assert (str(parsed.version) if parsed.version else None) == version
    assert parsed.cycle == cycle


def test_empty_tag_means_latest() -> None:
    assert RSPImageTag.parse("") == RSPImageTag.parse("latest")
    assert RSPImageTag.alias("") == RSPImageTag.alias("latest")


@pytest.mark.parametrize(
    ("tag", "name", "cycle"),
    [
        ("recommended", "Recommended", None),
        ("latest_weekly", "Latest Weekly", None),
        ("recommended_c0027", "Recommended (SAL Cycle 0027)", 27),
    ],
)
def test_alias_is_displayed_in_title_case(
    tag: str, name: str, cycle: int | None
) -> None:
    alias = RSPImageTag.alias(tag)
    assert alias.image_type is RSPImageType.ALIAS
    assert (alias.tag, alias.display_name, alias.cycle) == (tag, name, cycle)


@pytest.mark.parametrize(
    "oldest_first",
    [
        ["r9_0_0", "r170", "r22_0_0", "r22_0_1", "r22_0_1_a", "r22_0_1_b"],
        ["r23_0_0_rc2", "r23_0_0_rc10", "r23_0_1_rc1"],
        ["w_2021_9", "w_2021_13", "w_2021_13_c0020.001", "w_2021_13_c0020.002"],
        ["d_2021_05_13", "d_2021_10_01", "d_2022_01_01"],
        ["w_2021_13_c0020.9", "w_2021_13_c0020.10"],
        ["w_2021_13_rsp9", "w_2021_13_rsp19", "w_2021_13_rsp19_a"],
        ["w_2021_13_z", "w_2021_13_rsp1", "w_2021_13_c0001.001"],
        ["w_2021_13-arm64", "w_2021_13"],
        ["exp_a", "exp_b-arm64", "exp_b", "exp_c-amd64"],
        ["exp_a", "exp_b"],
        ["a", "b"],
        ["a_c0030", "b_c0029"],
    ],
)
def test_newer_tags_of_a_kind_come_later(oldest_first: list[str]) -> None:
    tags = [RSPImageTag.parse(tag) for tag in reversed(oldest_first)]
    assert [t.tag for t in sorted(tags, key=lambda t: t.order)] == oldest_first


@given(st.text() | _LIKE_TAGS)
def test_any_text_can_be_parsed(text: str) -> None:
    for tag in (RSPImageTag.parse(text), RSPImageTag.alias(text)):
        assert tag.tag == (text or "latest")
        assert tag.display_name
    parsed = RSPImageTag.parse(text)
    assert (parsed.version is not None) == parsed.image_type.versioned


@pytest.mark.parametrize("text", ["exp_" * 100_000, "1" * 10_000, "r1_0_" + "9" * 9000])
def test_huge_tags_can_be_parsed(text: str) -> None:
    assert RSPImageTag.parse(text).tag == text


@given(_NUMBERS, _NUMBERS, _NUMBERS)
def test_display_name_keeps_leading_zeros(year: str, month: str, day: str) -> None:
    tag = RSPImageTag.parse(f"d_{year}_{month}_{day}")
    assert tag.display_name == f"Daily {year}_{month}_{day}"


@given(st.lists(_LIKE_TAGS, min_size=2, max_size=6))
def test_order_within_a_kind_is_total(names: list[str]) -> None:
    tags = [RSPImageTag.parse(name) for name in names]
    for one in tags:
        for other in tags:
            if one.image_type is other.image_type:
                assert (one.order == other.order) == (one == other)
                assert (one.order < other.order) + (one.order > other.order) + (
                    one == other
                ) == 1
