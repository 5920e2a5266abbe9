"""Which images filters keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from nublado.models.domain.image_filter import ImageFilter, ImageFilters
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag, RSPImageType
from tests.filters import filters_of

_NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
_DAY = 86_400.0


def _collection(
    names: Sequence[str], digests: dict[str, str] | None = None
) -> RSPImageCollection:
    return RSPImageCollection(
        RSPImage("r.example.org", "lab", RSPImageTag.parse(n), (digests or {}).get(n))
        for n in names
    )


def _kept(kind: RSPImageType, chosen: ImageFilter, *names: str) -> list[str]:
    filters = filters_of({kind: chosen})
    return [i.tag for i in filters.select(_collection(names), _NOW)]


# --- Dates ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "date"),
    [
        ("d_2026_11_09", datetime(2026, 11, 9, tzinfo=UTC)),
        ("d_2026_11_09_c0036.001_rsp19_x-arm64", datetime(2026, 11, 9, tzinfo=UTC)),
        ("w_2026_1", datetime(2026, 1, 1, tzinfo=UTC)),
        ("w_2021_01", datetime(2021, 1, 7, tzinfo=UTC)),
        ("w_2020_53", datetime(2020, 12, 31, tzinfo=UTC)),
        ("exp_w_2020_53", datetime(2020, 12, 31, tzinfo=UTC)),
        ("exp_exp_d_2026_11_09_mine", datetime(2026, 11, 9, tzinfo=UTC)),
        ("w_2021_53", None),
        ("w_2021_99", None),
        ("d_2021_02_30", None),
        ("d_0_1_1", None),
        ("d_999999999_1_1", None),
        ("w_999999999_999999999", None),
        ("r22_0_1", None),
        ("r23_0_0_rc1", None),
        ("exp_r22_0_1", None),
        ("recommended", None),
    ],
)
def test_nominal_date(tag: str, date: datetime | None) -> None:
    assert RSPImageTag.parse(tag).nominal_date == date


@given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1)))  # noqa: DTZ001
def test_date_of_weekly_is_a_thursday_of_its_week(moment: datetime) -> None:
    year, week, _ = moment.isocalendar()
    date = RSPImageTag.parse(f"w_{year}_{week:02}").nominal_date
    assert date is not None
    assert date.isoweekday() == 4
    assert date.isocalendar()[:2] == (year, week)


def test_age_is_up_to_the_second() -> None:
    midnight = datetime(2026, 11, 9, tzinfo=UTC)
    chosen = ImageFilter(age=7 * _DAY)
    [image] = _collection(["d_2026_11_09"])
    assert chosen.select([image], midnight + timedelta(days=7)) == [image]
    assert not chosen.select([image], midnight + timedelta(days=7, seconds=1))


def test_cutoff_date_itself_is_kept() -> None:
    chosen = ImageFilter(cutoff_date=datetime(2026, 11, 9, tzinfo=UTC))
    names = ("d_2026_11_10", "d_2026_11_09", "d_2026_11_08", "d_2026_02_30")
    kept = _kept(RSPImageType.DAILY, chosen, *names)
    assert kept == ["d_2026_11_10", "d_2026_11_09", "d_2026_02_30"]


def test_releases_have_no_age() -> None:
    assert _kept(RSPImageType.RELEASE, ImageFilter(age=0.0), "r17_0_0") == ["r17_0_0"]


# --- Versions and builds -------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "cutoff", "kept", "dropped"),
    [
        (
            RSPImageType.RELEASE,
            "27.0.0",
            ["r28_0_0", "r27_0_0", "r27_0_0_rsp19"],
            ["r26_9_9", "r170"],
        ),
        (
            RSPImageType.CANDIDATE,
            "27.0.0-rc2",
            ["r28_0_0_rc1", "r27_0_0_rc10", "r27_0_0_rc2"],
            ["r27_0_0_rc1", "r26_0_0_rc20"],
        ),
        (RSPImageType.CANDIDATE, "27.0.0", ["r27_0_1_rc1"], ["r27_0_0_rc9"]),
        (
            RSPImageType.EXPERIMENTAL,
            "27.0.0",
            ["exp_w_2021_13", "exp_r27_0_0_x", "exp_mine"],
            ["exp_r26_0_0", "exp_exp_r27_0_0_rc1"],
        ),
        (RSPImageType.WEEKLY, "3000.0.0", ["w_2021_13"], []),
    ],
)
def test_cutoff_version(
    kind: RSPImageType, cutoff: str, kept: list[str], dropped: list[str]
) -> None:
    chosen = ImageFilter(cutoff_version=Version.parse(cutoff))
    assert set(_kept(kind, chosen, *kept, *dropped)) == set(kept)


def test_cutoff_build_compares_numbers() -> None:
    names = ("w_2022_40_rsp19", "w_2022_40_rsp9", "w_2022_40")
    kept = _kept(RSPImageType.WEEKLY, ImageFilter(cutoff_build=10), *names)
    assert kept == ["w_2022_40_rsp19", "w_2022_40"]
    experimental = ("exp_w_2022_40_rsp19", "exp_w_2022_40_rsp9")
    kept = _kept(RSPImageType.EXPERIMENTAL, ImageFilter(cutoff_build=10), *experimental)
    assert kept == ["exp_w_2022_40_rsp19"]


# --- Number --------------------------------------------------------------


def test_number_counts_what_passes_the_rest() -> None:
    cutoff = datetime(2021, 1, 1, tzinfo=UTC)
    names = ("w_2021_13", "w_2021_12", "w_2021_99", "w_2021_98", "w_2020_10")
    chosen = ImageFilter(number=3, cutoff_date=cutoff)
    kept = _kept(RSPImageType.WEEKLY, chosen, *names)
    assert kept == ["w_2021_99", "w_2021_98", "w_2021_13"]


def test_number_may_be_none_at_all() -> None:
    assert _kept(RSPImageType.WEEKLY, ImageFilter(number=0), "w_2021_13") == []


def test_architectures_of_a_tag_count_once() -> None:
    names = ("w_2021_13", "w_2021_13-arm64", "w_2021_12-amd64", "w_2021_12-arm64")
    kept = _kept(RSPImageType.WEEKLY, ImageFilter(number=1), *names)
    assert kept == ["w_2021_13", "w_2021_13-arm64"]
    kept = _kept(RSPImageType.WEEKLY, ImageFilter(number=2), *names)
    assert len(kept) == 4


def test_aliases_and_unknown_tags_are_never_filtered() -> None:
    nothing = ImageFilter(number=0)
    filters = ImageFilters(nothing, nothing, nothing, nothing, nothing)
    images = _collection(
        ["w_2021_13", "recommended", "r1", "exp_x"],
        {"w_2021_13": "sha256:a", "recommended": "sha256:a"},
    )
    assert [i.tag for i in filters.select(images, _NOW)] == ["recommended", "r1"]


# --- Properties ----------------------------------------------------------

_TAGS = st.one_of(
    st.builds(
        "{}w_{}_{}{}".format,
        st.sampled_from(["", "exp_"]),
        st.integers(2024, 2026),
        st.integers(1, 60),
        st.sampled_from(["", "_rsp9", "_rsp10", "_c0036.001", "-arm64"]),
    ),
    st.builds(
        "{}d_{}_{}_{}".format,
        st.sampled_from(["", "exp_"]),
        st.integers(2024, 2026),
        st.integers(1, 13),
        st.integers(1, 32),
    ),
    st.builds(
        "r{}_{}_0{}".format,
        st.integers(25, 30),
        st.integers(0, 2),
        st.sampled_from(["", "_rc1", "_rc2", "_rc10"]),
    ),
    st.sampled_from(["recommended", "latest", "mine"]),
)
_FILTERS = st.builds(
    ImageFilter,
    number=st.none() | st.integers(0, 5),
    age=st.none() | st.floats(0, 900 * _DAY),
    cutoff_date=st.none()
    | st.datetimes(datetime(2024, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(tzinfo=UTC)
    ),
    cutoff_version=st.none()
    | st.sampled_from(["26.0.0", "27.1.0-rc2", "30.0.0"]).map(Version.parse),
    cutoff_build=st.none() | st.integers(0, 20),
)
_BY_TYPE = st.dictionaries(
    st.sampled_from(
        [kind for kind in RSPImageType if kind.versioned] + [RSPImageType.EXPERIMENTAL]
    ),
    _FILTERS,
)


@given(st.lists(_TAGS, unique=True), _BY_TYPE)
def test_selection_keeps_order_and_is_stable(
    names: list[str], by_type: dict[RSPImageType, ImageFilter]
) -> None:
    images = list(_collection(names))
    filters = filters_of(by_type)
    kept = filters.select(images, _NOW)
    remaining = iter(images)
    assert all(image in remaining for image in kept)
    assert filters.select(kept, _NOW) == kept
    unfiltered = [i for i in images if i.image_type not in by_type]
    assert [i for i in kept if i.image_type not in by_type] == unfiltered


@given(st.lists(_TAGS, unique=True), _FILTERS, st.integers(0, 5))
def test_number_takes_the_newest_of_what_passes(
    names: list[str], chosen: ImageFilter, number: int
) -> None:
    weeklies = [i for i in _collection(names) if i.image_type is RSPImageType.WEEKLY]
    limited = ImageFilter(
        number,
        chosen.age,
        chosen.cutoff_date,
        chosen.cutoff_version,
        chosen.cutoff_build,
    )
    unlimited = ImageFilter(
        None,
        chosen.age,
        chosen.cutoff_date,
        chosen.cutoff_version,
        chosen.cutoff_build,
    )
    passing = unlimited.select(weeklies, _NOW)
    bases = dict.fromkeys(i.tag.removesuffix("-arm64") for i in passing)
    newest = list(bases)[:number]
    expected = [i for i in passing if i.tag.removesuffix("-arm64") in newest]
    assert limited.select(weeklies, _NOW) == expected


@given(st.lists(_TAGS, unique=True), _BY_TYPE, _BY_TYPE)
def test_conditions_only_take_away(
    names: list[str],
    by_type: dict[RSPImageType, ImageFilter],
    more: dict[RSPImageType, ImageFilter],
) -> None:
    images = list(_collection(names))
    kept = filters_of(by_type).select(images, _NOW)
    both = filters_of({**more, **by_type}).select(images, _NOW)
    assert {i.tag for i in both} <= {i.tag for i in kept}
