"""The record of a request for a lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.exceptions import MalformedLabError
from nublado.models.domain.gafaelfawr import Group, NotebookQuota, UserInfo
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.lab import LabOptions
from nublado.models.domain.spawn_record import SpawnRecord, request_id_in

_RECORD = SpawnRecord(
    user=UserInfo(
        username="rachel",
        uid=1101,
        gid=1101,
        name="Räihä",
        groups=(Group("rachel", 1101), Group("no-gid-group")),
        notebook_quota=NotebookQuota(0.1, 1.7, spawn=True),
    ),
    options=LabOptions("r/i:t@sha256:abc", "small", enable_debug=True),
    image=ResolvedImage(
        reference="r/i:t", digest="sha256:abc", tag="t", display_name="T"
    ),
    request_id="6d250bb7f7aa609b",
)


def _changed(change: Callable[[Any], object]) -> str:
    record = json.loads(_RECORD.to_json())
    change(record)
    return json.dumps(record)


def test_record_survives_being_written() -> None:
    assert SpawnRecord.from_json(_RECORD.to_json()) == _RECORD


def test_records_without_the_id_of_a_request_are_those_of_before() -> None:
    before = SpawnRecord.from_json(_changed(lambda r: r.pop("request_id")))
    assert before == replace(_RECORD, request_id=None)
    assert "request_id" not in json.loads(before.to_json())


@pytest.mark.parametrize("damaged", [None, 1, "", "two\nlines", "x" * 65])
def test_what_is_no_id_of_a_request_costs_no_lab(damaged: object) -> None:
    record = SpawnRecord.from_json(_changed(lambda r: r.update(request_id=damaged)))
    assert record == replace(_RECORD, request_id=None)


def test_unknown_fields_are_ignored() -> None:
    def add(record: Any) -> None:
        record["new"] = record["user"]["new"] = record["options"]["new"] = 1

    assert SpawnRecord.from_json(_changed(add)) == _RECORD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "has version None"),
        (_changed(lambda r: r.update(version=2)), "has version 2"),
        (_changed(lambda r: r.pop("user")), "User in record of the spawn"),
        (_changed(lambda r: r["user"].pop("uid")), "uid: "),
        (_changed(lambda r: r.pop("options")), "no valid image"),
        (_changed(lambda r: r["options"].update(size=1)), "no valid size"),
        (
            _changed(lambda r: r["options"].update(enable_debug="yes")),
            "no valid enable_debug",
        ),
        (_changed(lambda r: r.update(image=[])), "no valid reference"),
        (_changed(lambda r: r["image"].pop("digest")), "no valid digest"),
    ],
)
def test_rubbish_is_named(text: str, reason: str) -> None:
    with pytest.raises(MalformedLabError, match=reason):
        SpawnRecord.from_json(text)


_PATHS = st.lists(st.sampled_from(["version", "user", "options", "image", "groups"]))


@given(path=_PATHS, value=st.none() | st.integers() | st.text() | st.lists(st.text()))
def test_no_damage_raises_anything_else(path: list[str], value: object) -> None:
    def damage(record: Any) -> None:
        for name in path[:-1]:
            below = record.get(name)
            if isinstance(below, dict):
                record = below
        record[path[-1] if path else "version"] = value

    with suppress(MalformedLabError):
        assert SpawnRecord.from_json(_changed(damage))


@pytest.mark.parametrize(
    ("text", "request_id"),
    [
        (_RECORD.to_json(), _RECORD.request_id),
        # Whatever else has become of the record.
        (_changed(lambda r: r.update(version=2, user=None)), _RECORD.request_id),
        (_changed(lambda r: r.pop("request_id")), None),
        (_changed(lambda r: r.update(request_id=7)), None),
        ("[]", None),
        ("no JSON", None),
        ("[" * 100_000, None),
    ],
)
def test_request_id_is_read_alone(text: str, request_id: str | None) -> None:
    assert request_id_in(text) == request_id
