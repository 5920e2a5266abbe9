"""The state of a lab as the API shows it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nublado.models.domain.gafaelfawr import Group, NotebookQuota, UserInfo
from nublado.models.domain.lab import (
    LabOptions,
    LabState,
    LabStatus,
)
from nublado.models.domain.resources import LabResources, Resources
from nublado.models.v1.lab import dump_lab_state

_STATE = LabState(
    user=UserInfo(
        username="rachel",
        uid=1101,
        gid=1101,
        name="Rachel",
        groups=(Group("rachel", 1101), Group("no-gid-group")),
        notebook_quota=NotebookQuota(9.0, 27.0),
    ),
    options=LabOptions(image="registry/repo:tag@sha256:abc", size="small"),
    status=LabStatus.RUNNING,
    internal_url="http://lab.userlabs-rachel:8888/nb/user/rachel/",
    resources=LabResources(
        limits=Resources(1, 3221225472),
        requests=Resources(0.25, 805306368),
    ),
    quota=Resources(9, 28991029248),
)

_SHOWN = (
    '{"user": {"username": "rachel", "name": "Rachel", "uid": 1101, "gid": 1101, '
    '"groups": [{"name": "rachel", "id": 1101}]}, '
    '"options": {"image": "registry/repo:tag@sha256:abc", "size": "small", '
    '"enable_debug": false, "reset_user_env": false}, '
    '"status": "running", '
    '"internal_url": "http://lab.userlabs-rachel:8888/nb/user/rachel/", '
    '"resources": {"limits": {"cpu": 1.0, "memory": 3221225472}, '
    '"requests": {"cpu": 0.25, "memory": 805306368}}, '
    '"quota": {"cpu": 9.0, "memory": 28991029248}}'
)


def test_state_is_shown_in_this_order() -> None:
    assert json.dumps(dump_lab_state(_STATE)) == _SHOWN


def test_what_there_is_not_is_null() -> None:
    state = replace(_STATE, internal_url=None, quota=None)
    shown = dump_lab_state(replace(state, user=replace(state.user, name=None)))
    assert shown["internal_url"] is None
    assert shown["quota"] is None
    assert shown["user"]["name"] is None


@pytest.mark.parametrize("status", LabStatus)
def test_every_status_is_shown_by_its_name(status: LabStatus) -> None:
    shown = dump_lab_state(replace(_STATE, status=status))
    assert json.dumps(shown["status"]) == f'"{status.value}"'
