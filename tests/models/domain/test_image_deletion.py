"""What may be deleted from a repository."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from nublado.models.domain.image_deletion import (
    DeletionPlan,
    plan_deletion,
    plan_pruning,
)
from nublado.models.domain.image_filter import ImageFilter, ImageFilters
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag, RSPImageType
from tests.filters import filters_of

_NOW = datetime(2026, 11, 25, tzinfo=UTC)
_ONE_WEEKLY = ImageFilters(weekly=ImageFilter(number=1))


def _images(**digests: str) -> RSPImageCollection:
    return RSPImageCollection(
        RSPImage("r.example.org", "lab", RSPImageTag.parse(tag.replace("__", "-")), d)
        for tag, d in digests.items()
    )


def _doomed(plan: DeletionPlan) -> list[str]:
    return [tag for image in plan.doomed for tag in image.tags]


def test_pruning_deletes_what_filters_do_not_keep() -> None:
    images = _images(w_2026_45="a", w_2026_44="b", w_2026_43="c", d_2026_11_09="d")
    plan = plan_pruning(images, _ONE_WEEKLY, (), _NOW)
    assert _doomed(plan) == ["w_2026_44", "w_2026_43"]
    assert plan.spared == {}


def test_pruning_spares_what_has_another_name() -> None:
    images = _images(
        w_2026_45="a", w_2026_44="b", recommended="b", w_2026_43="c", r28_0_0="c"
    )
    plan = plan_pruning(images, _ONE_WEEKLY, (), _NOW)
    assert _doomed(plan) == []
    assert plan.spared == {
        "w_2026_44": "it is also recommended",
        "w_2026_43": "it is also r28_0_0",
    }


def test_pruning_spares_what_labs_run() -> None:
    images = _images(w_2026_45="a", w_2026_44="b", w_2026_43="c")
    plan = plan_pruning(images, _ONE_WEEKLY, {"c"}, _NOW)
    assert _doomed(plan) == ["w_2026_44"]
    assert plan.spared == {"w_2026_43": "a lab is running it"}


def test_pruning_spares_the_parts_of_what_stays() -> None:
    images = _images(
        w_2026_45="a", w_2026_44="b", w_2026_44__arm64="b1", w_2026_43="c", latest="b"
    )
    plan = plan_pruning(images, _ONE_WEEKLY, (), _NOW)
    assert _doomed(plan) == ["w_2026_43"]
    assert plan.spared == {
        "w_2026_44": "it is also latest",
        "w_2026_44-arm64": "it may be a part of w_2026_44",
    }


def test_pruning_spares_the_parts_of_what_stays_as_a_part() -> None:
    images = _images(
        w_2026_45="a", w_2026_45__arm64="b", w_2026_44="b", w_2026_44__arm64="c"
    )
    plan = plan_pruning(images, _ONE_WEEKLY, (), _NOW)
    assert _doomed(plan) == []
    assert plan.spared["w_2026_44-arm64"] == "it may be a part of w_2026_44"


def test_deletion_takes_other_tags_along_but_no_alias() -> None:
    images = _images(w_2026_44="b", w_2026_44_x="b", w_2026_43="c", latest="c")
    plan = plan_deletion(images, ["w_2026_44", "w_2026_43"], ())
    assert _doomed(plan) == ["w_2026_44_x", "w_2026_44"]
    assert plan.spared == {"w_2026_43": "it is also latest"}


def test_deletion_of_an_alias_that_is_named() -> None:
    images = _images(w_2026_43="c", latest="c")
    assert _doomed(plan_deletion(images, ["w_2026_43", "latest"], ())) == [
        "latest",
        "w_2026_43",
    ]


_TAGS = ["w_2026_45", "w_2026_44", "w_2026_44-arm64", "d_2026_11_09", "r28_0_0"]
_TAGS += ["exp_w_2026_45", "recommended", "latest", "mine"]
_DIGESTS = ["a", "b", "c", "d", "e"]


@given(
    st.dictionaries(st.sampled_from(_TAGS), st.sampled_from(_DIGESTS)),
    st.dictionaries(
        st.sampled_from(
            [k for k in RSPImageType if k.versioned] + [RSPImageType.EXPERIMENTAL]
        ),
        st.builds(ImageFilter, number=st.integers(0, 2)),
    ),
    st.sets(st.sampled_from(_DIGESTS)),
)
def test_nothing_that_is_kept_ever_goes(
    digests: dict[str, str],
    by_type: dict[RSPImageType, ImageFilter],
    running: set[str],
) -> None:
    images = RSPImageCollection(
        RSPImage("r.example.org", "lab", RSPImageTag.parse(t), d)
        for t, d in digests.items()
    )
    filters = filters_of(by_type)
    plan = plan_pruning(images, filters, running, _NOW)
    gone = {image.digest for image in plan.doomed}
    kept = {image.tag for image in filters.select(images, _NOW)}
    assert gone.isdisjoint(running)
    assert gone.isdisjoint(digests[tag] for tag in kept)
    assert {"recommended", "latest", "mine"}.isdisjoint(_doomed(plan))
    assert len(gone) == len(plan.doomed)
    for image in plan.doomed:
        assert set(image.tags) == {t for t, d in digests.items() if d == image.digest}
    lost = {t for t, d in digests.items() if d in gone}
    assert digests.keys() - kept == lost | plan.spared.keys()
