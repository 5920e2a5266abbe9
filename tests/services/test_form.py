"""What the form offers to whom, and what it tells of earlier labs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nublado.config import load
from nublado.config.environment import Environment
from nublado.config.model import Config
from nublado.models.domain.gafaelfawr import NotebookQuota, UserInfo
from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.models.domain.image_filter import ImageFilter, ImageFilters
from nublado.models.domain.lab import LabOptions, LabState, LabStatus
from nublado.models.domain.node import Node
from nublado.models.domain.resources import LabResources, Resources
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag
from nublado.sandbox.tags import make_tags
from nublado.services.builder.lab import LabBuilder
from nublado.services.form import FormService, LastChoice
from nublado.services.form_images import ImageChoices, choose_images
from nublado.services.history import History
from nublado.services.image_inventory import ImageInventory
from nublado.services.lab.record import LabTable
from nublado.services.observed.pod_end import EndReason

CONFIG = Path(__file__).parent.parent / "data" / "configs" / "e2e.yaml"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
RACHEL = UserInfo("rachel", 1101, 1101)
PLACE = "registry.example.org/sciplat/lab"
GIB = 2**30
TAGS = {
    "recommended": "sha256:b",
    "r30_0_1": "sha256:a",
    "w_2026_48": "sha256:c",
    "w_2026_47": "sha256:b",
    "w_2026_46": "sha256:d",
    "d_2026_11_30": "sha256:e",
    "d_2026_12_24": "sha256:f",
    "exp_d_2026_11_30_test": "sha256:g",
}


class Images:
    """Stands for the service of images, of which the form sees what is known."""

    def __init__(self, inventory: ImageInventory) -> None:
        self.inventory = inventory


def inventory_of(tags: dict[str, str], config: Config) -> ImageInventory:
    images = RSPImageCollection(
        RSPImage("registry.example.org", "sciplat/lab", RSPImageTag.parse(tag), digest)
        for tag, digest in tags.items()
    )
    node = Node("node", eligible=True, sizes={"sha256:b": 3_500_000_000})
    return ImageInventory.build(config.images, images, [node], NOW)


class Platform:
    """A form service, and what it knows."""

    def __init__(self, config: Config, filters: ImageFilters | None = None) -> None:
        self.labs = LabTable()
        self.history = History()
        self.images = Images(inventory_of(TAGS, config))
        self.service = FormService(
            config.lab,
            LabBuilder(config.lab, Environment().platform),
            self.images,  # type: ignore[arg-type]
            filters or ImageFilters(),
            labs=self.labs,
            history=self.history,
        )

    def had(self, kind: HistoryKind = HistoryKind.SPAWN, **details: Any) -> None:
        """Note what a user had."""
        entry = HistoryEntry(
            kind=kind,
            username="rachel",
            ended=NOW - timedelta(hours=2),
            result=details.pop("result", Result.SUCCEEDED),
            **details,
        )
        self.history.note(entry)

    def has(self, status: LabStatus, image: str, size: str = "small") -> None:
        """Let a user have a lab."""
        limits = Resources(1.0, 3 * GIB)
        state = LabState(
            user=RACHEL,
            options=LabOptions(image=image, size=size, enable_debug=True),
            status=status,
            internal_url=None,
            resources=LabResources.from_limits(limits),
            path="/nb/user/rachel/",
            created=NOW,
        )
        record = self.labs.get_or_add("rachel")
        assert record.adopt(state, "uid", record.changes)


@pytest.fixture
def config() -> Config:
    loaded = load(CONFIG)
    small, large = loaded.lab.sizes
    medium = replace(
        small,
        size="medium",
        resources=LabResources.from_limits(Resources(2.0, 8 * GIB)),
    )
    return replace(loaded, lab=replace(loaded.lab, sizes=(small, medium, large)))


@pytest.fixture
def platform(config: Config) -> Platform:
    return Platform(config)


def chosen_size(platform: Platform, user: UserInfo = RACHEL) -> str:
    (size,) = [s.size for s in platform.service.form(user).sizes if s.is_default]
    return size


# --- Images ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "built", "days", "is_about"),
    [
        ("recommended", "2026-11-19", 12, True),
        ("w_2026_47", "2026-11-19", 12, True),
        ("d_2026_11_30", "2026-11-30", 1, False),
        ("exp_d_2026_11_30_test", "2026-11-30", 1, False),
        ("r30_0_1", None, None, False),
        ("d_2026_12_24", None, None, False),
    ],
)
def test_age_is_that_of_the_name(
    config: Config, tag: str, built: str | None, days: int | None, is_about: bool
) -> None:
    choices = choose_images(inventory_of(TAGS, config), ImageFilters(), NOW)
    image = choices.find(f"{PLACE}:{tag}")
    assert image is not None
    shown = image.built.isoformat() if image.built else None
    assert (shown, image.days) == (built, days)
    assert image.is_about is is_about


def test_image_that_machines_have_is_told_so(config: Config) -> None:
    choices = choose_images(inventory_of(TAGS, config), ImageFilters(), NOW)
    recommended = choices.menu[0]
    assert recommended.tag == "recommended"
    assert recommended.is_recommended
    assert recommended.is_fast
    assert recommended.size == 3_500_000_000
    daily = choices.find(f"{PLACE}:d_2026_11_30")
    assert daily is not None
    assert not daily.is_fast
    assert not daily.is_recommended


def test_menu_is_offered_whatever_filters_say(config: Config) -> None:
    nothing = ImageFilters(weekly=ImageFilter(number=0))
    everywhere = dict.fromkeys(TAGS.values(), 3_500_000_000)
    inventory = ImageInventory.build(
        config.images,
        inventory_of(TAGS, config).images,
        [Node("node", eligible=True, sizes=everywhere)],
        NOW,
    )
    assert "w_2026_48" in [image.tag for image in inventory.menu()]
    offered = tags_of(choose_images(inventory, nothing, NOW))
    assert "w_2026_48" in offered
    assert "w_2026_46" not in offered


def tags_of(choices: ImageChoices) -> list[str]:
    return [image.tag for group in choices.groups for image in group.images]


def test_long_list_describes_the_newest_of_each_kind(config: Config) -> None:
    choices = choose_images(inventory_of(make_tags(3000), config), ImageFilters(), NOW)
    described = tags_of(choices)
    assert choices.described == len(described) == 150
    assert choices.count == 150 + len(choices.older)
    assert len(choices.older) > 2000
    assert choices.place == PLACE
    assert not set(described) & {image.tag for image in choices.older}
    kinds = [group.title for group in choices.groups]
    assert len(kinds) == len(set(kinds)) > 5
    for newest in ("recommended", "w_2026_47", "d_2026_11_19", "r30_0_1"):
        assert newest in described
    for oldest in ("d_2022_07_04",):
        assert oldest in {image.tag for image in choices.older}


def test_short_list_describes_all(config: Config) -> None:
    choices = choose_images(inventory_of(TAGS, config), ImageFilters(), NOW)
    assert choices.older == ()
    assert choices.count == len(TAGS)


def test_choices_are_made_once_for_each_inventory(
    config: Config, platform: Platform
) -> None:
    first = platform.service.form(RACHEL).images
    assert platform.service.form(RACHEL).images is first
    platform.images.inventory = inventory_of(TAGS, config)
    assert platform.service.form(RACHEL).images is not first


# --- The last choice ------------------------------------------------------


def test_without_a_past_the_recommended_image_is_chosen(platform: Platform) -> None:
    form = platform.service.form(RACHEL)
    assert form.chosen is not None
    assert form.chosen.tag == "recommended"
    assert not form.is_last_choice
    assert form.gone is None
    assert form.lab is None
    assert form.last_end is None
    assert chosen_size(platform) == "small"


def test_what_somebody_had_last_is_chosen_again(platform: Platform) -> None:
    platform.had(image=f"{PLACE}:w_2026_46@sha256:d", size="small")
    platform.had(
        image=f"{PLACE}:d_2026_11_30@sha256:e", size="medium", enable_debug=True
    )
    platform.had(HistoryKind.DELETION)
    platform.had(HistoryKind.FILESERVER_CREATION)
    form = platform.service.form(RACHEL)
    assert form.chosen is not None
    assert form.chosen.tag == "d_2026_11_30"
    assert form.is_last_choice
    assert form.enable_debug
    assert chosen_size(platform) == "medium"
    assert chosen_size(platform, replace(RACHEL, username="mary")) == "small"


def test_lab_that_is_kept_counts_more_than_the_past(platform: Platform) -> None:
    platform.had(image=f"{PLACE}:w_2026_46@sha256:d", size="small")
    platform.has(LabStatus.TERMINATED, f"{PLACE}:w_2026_48@sha256:c", "medium")
    form = platform.service.form(RACHEL)
    assert form.chosen is not None
    assert form.chosen.tag == "w_2026_48"
    assert form.enable_debug
    assert form.lab is None
    assert chosen_size(platform) == "medium"


def test_recommended_stays_recommended_when_it_has_moved(platform: Platform) -> None:
    platform.had(image=f"{PLACE}:recommended@sha256:old", size="small")
    form = platform.service.form(RACHEL)
    assert form.chosen is not None
    assert form.chosen.reference == f"{PLACE}:recommended@sha256:b"
    assert form.is_last_choice


def test_image_that_has_lost_its_tag_is_found_by_its_digest(
    platform: Platform,
) -> None:
    platform.had(image=f"{PLACE}:w_2026_48_rc@sha256:c", size="small")
    form = platform.service.form(RACHEL)
    assert form.chosen is not None
    assert form.chosen.tag == "w_2026_48"
    assert form.gone is None


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (f"{PLACE}:w_2026_01@sha256:z", "Weekly 2026_01"),
        ("elsewhere.example.org/lab:w_2026_48", "Weekly 2026_48"),
        ("what is this", "what is this"),
    ],
)
def test_image_that_is_gone_is_named(platform: Platform, image: str, name: str) -> None:
    platform.had(image=image, size="medium")
    form = platform.service.form(RACHEL)
    assert form.gone == name
    assert form.chosen is not None
    assert form.chosen.tag == "recommended"
    assert not form.is_last_choice
    assert chosen_size(platform) == "medium"


def test_image_that_filters_leave_out_is_gone(config: Config) -> None:
    filters = ImageFilters(daily=ImageFilter(number=0))
    platform = Platform(config, filters)
    platform.had(image=f"{PLACE}:d_2026_11_30@sha256:e", size="small")
    assert platform.service.form(RACHEL).gone == "Daily 2026_11_30"


def test_old_image_of_thousands_is_chosen_again(
    config: Config, platform: Platform
) -> None:
    platform.images.inventory = inventory_of(make_tags(3000), config)
    platform.had(image=f"{PLACE}:d_2022_07_04@sha256:e", size="small")
    form = platform.service.form(RACHEL)
    assert form.chosen is not None
    assert form.chosen.tag == "d_2022_07_04"
    assert not form.chosen.is_described
    assert form.is_last_choice


def test_what_others_remember_counts_where_nothing_is_known(
    platform: Platform,
) -> None:
    remembered = LastChoice(f"{PLACE}:w_2026_46", "medium", enable_debug=True)
    form = platform.service.form(RACHEL, remembered)
    assert form.chosen is not None
    assert form.chosen.tag == "w_2026_46"
    assert form.is_last_choice
    assert form.enable_debug
    assert [s.size for s in form.sizes if s.is_default] == ["medium"]

    platform.had(image=f"{PLACE}:w_2026_48@sha256:c", size="small")
    form = platform.service.form(RACHEL, remembered)
    assert form.chosen is not None
    assert form.chosen.tag == "w_2026_48"
    assert not form.enable_debug


def test_size_alone_may_be_remembered(platform: Platform) -> None:
    form = platform.service.form(RACHEL, LastChoice(None, "medium"))
    assert form.chosen is not None
    assert form.chosen.tag == "recommended"
    assert form.gone is None
    assert [s.size for s in form.sizes if s.is_default] == ["medium"]


# --- Sizes ----------------------------------------------------------------


def test_sizes_tell_what_they_are_good_for(config: Config, platform: Platform) -> None:
    purposes = [str(s.purpose) for s in platform.service.form(RACHEL).sizes]
    assert purposes == [
        "For looking around, and for small notebooks.",
        "For most work.",
        "For large catalogues and many images at a time.",
    ]
    sizes = tuple(replace(s, description="Ours") for s in config.lab.sizes)
    own = Platform(replace(config, lab=replace(config.lab, sizes=sizes)))
    assert {s.purpose for s in own.service.form(RACHEL).sizes} == {"Ours"}


def test_sizes_beyond_the_quota_are_not_allowed(platform: Platform) -> None:
    poor = replace(RACHEL, notebook_quota=NotebookQuota(2.0, 8.0))
    platform.had(image=f"{PLACE}:recommended@sha256:b", size="large")
    form = platform.service.form(poor)
    allowed = [s.size for s in form.sizes if s.is_allowed]
    assert allowed == ["small", "medium"]
    assert form.quota == Resources(2.0, 8 * GIB)
    assert chosen_size(platform, poor) == "small"
    assert platform.service.form(RACHEL).quota is None


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        (NotebookQuota(9.0, 27.0, spawn=False), "may not run labs"),
        (NotebookQuota(0.1, 1.0), "quota is too small"),
    ],
)
def test_refusal_is_explained(
    platform: Platform, quota: NotebookQuota, words: str
) -> None:
    form = platform.service.form(replace(RACHEL, notebook_quota=quota))
    assert words in str(form.refusal)


def test_no_images_are_a_refusal(config: Config, platform: Platform) -> None:
    platform.images.inventory = inventory_of({}, config)
    form = platform.service.form(RACHEL)
    assert "No images are known" in str(form.refusal)
    assert form.chosen is None


# --- Labs that are, and were ----------------------------------------------


@pytest.mark.parametrize(
    ("status", "may_be_replaced"),
    [
        (LabStatus.PENDING, True),
        (LabStatus.RUNNING, True),
        (LabStatus.TERMINATING, False),
    ],
)
def test_lab_that_is_there_is_told(
    platform: Platform, status: LabStatus, may_be_replaced: bool
) -> None:
    platform.has(status, f"{PLACE}:w_2026_48@sha256:c", "medium")
    lab = platform.service.form(RACHEL).lab
    assert lab is not None
    assert (lab.status, lab.image, lab.size) == (status, "Weekly 2026_48", "Medium")
    assert lab.path == "/nb/user/rachel/"
    assert lab.may_be_replaced is may_be_replaced


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("recommended@sha256:b", "Recommended (Weekly 2026_47)"),
        ("recommended@sha256:d", "Weekly 2026_46"),
        ("recommended@sha256:old", "recommended"),
        ("w_2026_01@sha256:z", "Weekly 2026_01"),
    ],
)
def test_lab_that_is_there_has_the_name_of_its_own_image(
    platform: Platform, image: str, name: str
) -> None:
    platform.has(LabStatus.RUNNING, f"{PLACE}:{image}")
    lab = platform.service.form(RACHEL).lab
    assert lab is not None
    assert lab.image == name


@pytest.mark.parametrize(
    ("cause", "size", "words"),
    [
        (EndReason.OUT_OF_MEMORY, "small", "Your lab needed more than 3 GB."),
        (EndReason.OUT_OF_MEMORY, "small", "choose Medium, which has 8 GB"),
        (EndReason.OUT_OF_MEMORY, "large", "There is no larger size for you"),
        (EndReason.OUT_OF_MEMORY, "gone", "Your lab ran out of memory."),
        (EndReason.EVICTED, "small", "ran short of something"),
        (EndReason.NODE_LOST, "small", "has failed"),
        (EndReason.DELETED, "small", "Somebody has removed your lab"),
        (EndReason.FAILED, "small", "has ended with an error"),
    ],
)
@pytest.mark.parametrize("cleared_away", [True, False])
def test_end_of_the_last_lab_is_told(
    platform: Platform, cause: EndReason, size: str, words: str, cleared_away: bool
) -> None:
    image = f"{PLACE}:w_2026_48@sha256:c"
    platform.had(image=image, size=size)
    platform.had(HistoryKind.LAB_ENDED, image=image, size=size, cause=cause.value)
    if cleared_away:
        platform.had(HistoryKind.DELETION)
    end = platform.service.form(RACHEL).last_end
    assert end is not None
    assert end.moment == NOW - timedelta(hours=2)
    assert words in f"{end.happened} {end.remedy or ''}"


def test_size_to_choose_next_is_one_that_the_quota_allows(platform: Platform) -> None:
    poor = replace(RACHEL, notebook_quota=NotebookQuota(1.0, 3.0))
    platform.had(
        HistoryKind.LAB_ENDED, cause=EndReason.OUT_OF_MEMORY.value, size="small"
    )
    end = platform.service.form(poor).last_end
    assert end is not None
    assert "There is no larger size for you" in str(end.remedy)


def test_spawn_that_failed_is_told_without_its_reason(platform: Platform) -> None:
    platform.had(image=f"{PLACE}:w_2026_48@sha256:c", result=Result.FAILED)
    end = platform.service.form(RACHEL).last_end
    assert end is not None
    assert end.happened is None


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (HistoryKind.SPAWN, Result.SUCCEEDED),
        (HistoryKind.SPAWN, Result.CANCELLED),
        (HistoryKind.LAB_RESTARTED, Result.FAILED),
    ],
)
def test_what_came_after_an_end_is_all_that_counts(
    platform: Platform, kind: HistoryKind, result: Result
) -> None:
    platform.had(HistoryKind.LAB_ENDED, cause=EndReason.EVICTED.value)
    platform.had(kind, result=result)
    assert platform.service.form(RACHEL).last_end is None
