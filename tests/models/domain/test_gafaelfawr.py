"""Users as Gafaelfawr describes them."""

from __future__ import annotations

from typing import Any

import pytest

from nublado.models.domain.gafaelfawr import (
    GafaelfawrUser,
    Group,
    NotebookQuota,
    UserInfo,
    parse_user_info,
)

_FULL: dict[str, Any] = {
    "username": "rachel",
    "name": "Rachel",
    "email": "rachel@example.org",
    "uid": 1101,
    "gid": 1102,
    "groups": [{"name": "rachel", "id": 1101, "new": 1}, {"name": "no-gid-group"}],
    "quota": {
        "api": {"tap": 500},
        "notebook": {"cpu": 9.0, "memory": 27, "spawn": False},
    },
}


def test_all_that_is_known_is_understood() -> None:
    assert parse_user_info(_FULL) == UserInfo(
        username="rachel",
        uid=1101,
        gid=1102,
        name="Rachel",
        groups=(Group("rachel", 1101), Group("no-gid-group", None)),
        notebook_quota=NotebookQuota(cpu=9.0, memory_gib=27.0, spawn=False),
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": None, "groups": None, "quota": None},
        {"name": "", "groups": [], "quota": {}},
        {"quota": {"api": {}, "notebook": None}},
    ],
)
def test_optional_parts_may_be_absent(more: dict[str, object]) -> None:
    data = {"username": "rachel", "uid": 0, "gid": 0, **more}
    assert parse_user_info(data) == UserInfo("rachel", 0, 0)


def test_memory_may_be_fractional_and_spawning_is_allowed_by_default() -> None:
    notebook = {"cpu": 1, "memory": 1.5}
    info = parse_user_info(_FULL | {"quota": {"notebook": notebook}})
    assert info.notebook_quota == NotebookQuota(cpu=1.0, memory_gib=1.5, spawn=True)
    assert info.notebook_quota.resources.memory == 3 * 2**29


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"username": ""}, "username: "),
        ({"username": None}, "username: "),
        ({"uid": -1}, "uid: "),
        ({"uid": "1101"}, "uid: "),
        ({"uid": True}, "uid: "),
        ({"uid": 2**31}, "uid: "),
        ({"gid": 1.5}, "gid: "),
        ({"groups": {}}, "groups: "),
        ({"groups": [{"id": 1}]}, "groups.0.name: "),
        ({"groups": [{"name": "a", "id": -5}]}, "groups.0.id: "),
        ({"groups": ["a"]}, "groups.0: "),
        ({"quota": []}, "quota: "),
        ({"quota": {"notebook": {"cpu": 1}}}, "quota.notebook.memory: "),
        (
            {"quota": {"notebook": {"cpu": "nan", "memory": 1}}},
            "quota.notebook.cpu: ",
        ),
        (
            {"quota": {"notebook": {"cpu": 1, "memory": 1e308}}},
            "quota.notebook.memory: ",
        ),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_user_info(_FULL | change)


@pytest.mark.parametrize("data", [None, [], [1], "rachel", 1])
def test_what_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="Invalid input type"):
        parse_user_info(data)


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"username: .*; .*uid: .*; .*gid: "):
        parse_user_info({})


def test_groups_that_a_file_system_knows() -> None:
    info = parse_user_info(_FULL)
    assert info.groups_with_id == (Group("rachel", 1101),)
    assert info.supplemental_groups == [1101]


def test_token_is_not_in_the_representation() -> None:
    user = GafaelfawrUser(parse_user_info(_FULL), "gt-secret")
    assert "gt-secret" not in repr(user)
    assert user.username == "rachel"
