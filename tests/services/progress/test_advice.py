"""Words for what goes wrong, and advice that is to the point."""

from __future__ import annotations

import pytest

from nublado.config.model import LabSizeDefinition
from nublado.models.domain.failure import Cause
from nublado.models.domain.gafaelfawr import NotebookQuota, UserInfo
from nublado.models.domain.lab import LabOptions, LabState, LabStatus
from nublado.models.domain.resources import LabResources, Resources
from nublado.services.progress.advice import advise, words_while_waiting
from nublado.services.progress.sizes import Sizes

_GIB = 2**30
_SIZES = tuple(
    LabSizeDefinition(size, LabResources.from_limits(Resources(cpu, memory * _GIB)))
    for size, cpu, memory in (
        ("large", 4.0, 16),
        ("small", 1.0, 4),
        ("medium", 2.0, 8),
        ("tiny", 0.5, 1),
    )
)
_BY_SIZE = {Cause.NO_ROOM, Cause.QUOTA, Cause.OUT_OF_MEMORY}


def lab(size: str, quota: NotebookQuota | None = None) -> LabState:
    (definition,) = [each for each in _SIZES if each.size == size]
    return LabState(
        user=UserInfo("rachel", 1, 1, notebook_quota=quota),
        options=LabOptions("lab:w_1", size),
        status=LabStatus.FAILED,
        internal_url=None,
        resources=definition.resources,
    )


def sizes(size: str, quota: NotebookQuota | None = None) -> Sizes:
    return Sizes.around(lab(size, quota), _SIZES)


@pytest.mark.parametrize("size", ["tiny", "small", "large"])
@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_words_and_a_way_on(cause: Cause, size: str) -> None:
    advice = advise(cause, sizes(size))
    assert str(advice.happened).endswith(".")
    assert str(advice.remedy).endswith(".")
    # Nothing is left to be put in.
    assert "%(" not in f"{advice.happened} {advice.remedy}"


@pytest.mark.parametrize("cause", sorted(set(Cause) - _BY_SIZE))
def test_the_size_is_only_named_where_it_is_to_blame(cause: Cause) -> None:
    advice = advise(cause, sizes("medium"))
    assert not {"Small", "Large", "Tiny", "smaller", "larger"} & set(
        f"{advice.happened} {advice.remedy}".replace(".", "").split()
    )


def test_out_of_memory_names_the_next_larger_size() -> None:
    advice = advise(Cause.OUT_OF_MEMORY, sizes("small"))
    assert "more than 4 GB" in str(advice.happened)
    assert str(advice.remedy) == "Choose Medium, which has 8 GB."


def test_a_size_beyond_the_quota_is_not_suggested() -> None:
    quota = NotebookQuota(cpu=2.0, memory_gib=8.0)
    assert "Medium" in str(advise(Cause.OUT_OF_MEMORY, sizes("small", quota)).remedy)
    largest = advise(Cause.OUT_OF_MEMORY, sizes("medium", quota))
    assert "no larger size for you" in str(largest.remedy)
    # CPU counts as well.
    quota = NotebookQuota(cpu=1.0, memory_gib=100.0)
    small = advise(Cause.OUT_OF_MEMORY, sizes("small", quota))
    assert "no larger size for you" in str(small.remedy)


@pytest.mark.parametrize("cause", [Cause.NO_ROOM, Cause.QUOTA])
def test_a_smaller_size_is_suggested_if_there_is_one(cause: Cause) -> None:
    assert "such as Small" in str(advise(cause, sizes("medium")).remedy)
    assert "smaller" not in str(advise(cause, sizes("tiny")).remedy)


def test_nothing_is_known_of_a_lab_of_long_ago() -> None:
    assert Sizes.around(None, _SIZES) == Sizes()
    advice = advise(Cause.OUT_OF_MEMORY, Sizes())
    assert "ran out of memory" in str(advice.happened)


def test_a_lab_that_waits_for_no_reason_has_no_words() -> None:
    assert words_while_waiting(Cause.INTERNAL) is None
    assert "size" not in str(words_while_waiting(Cause.NO_NODE))
