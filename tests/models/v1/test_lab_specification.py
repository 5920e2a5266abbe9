"""The body of a request for a lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.constants import DROPDOWN_SENTINEL, SIZE_NAMES
from nublado.exceptions import ValidationProblem, ValidationProblemsError
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.lab import LabSpecification
from nublado.models.v1.lab import parse_lab_specification

_ENV = {"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/"}
_PREFIX = ("body", "env", "JUPYTERHUB_SERVICE_PREFIX")
_OPTIONS = {"image_tag": "w_2077_43", "size": "small"}


def _body(
    options: Mapping[str, object] = {}, env: Mapping[str, object] = {}
) -> dict[str, dict[str, object]]:
    return {"options": {**_OPTIONS, **options}, "env": {**_ENV, **env}}


def _problems(body: object) -> list[tuple[str, tuple[str | int, ...], str]]:
    with pytest.raises(ValidationProblemsError) as caught:
        parse_lab_specification(body)
    return [(p.type, p.location, p.message) for p in caught.value.problems]


def _problem(body: object) -> tuple[str, tuple[str | int, ...], str]:
    (problem,) = _problems(body)
    return problem


# --- What is accepted ----------------------------------------------------


def test_smallest_request() -> None:
    assert parse_lab_specification(_body()) == LabSpecification(
        size="small",
        image=ImageSelection(image_tag="w_2077_43"),
        enable_debug=False,
        reset_user_env=False,
        env=_ENV,
    )


def test_form_data_as_jupyterhub_forwards_it() -> None:
    body = {
        "options": {
            "image_list": ["use_image_from_dropdown"],
            "image_dropdown": ["registry.example.org/sketchbook:w_2077_43"],
            "image_class": [],
            "image_tag": [None],
            "size": ["Small"],
            "enable_debug": ["true"],
            "reset_user_env": None,
            "unknown": ["a", "b"],
        },
        "env": _ENV,
        "namespace_quota": None,
    }
    assert parse_lab_specification(body) == LabSpecification(
        size="small",
        image=ImageSelection(
            image_dropdown="registry.example.org/sketchbook:w_2077_43"
        ),
        enable_debug=True,
        env=_ENV,
    )


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({"image_list": "a:b", "image_dropdown": "c:d"}, {"image_list": "a:b"}),
        ({"image_list": "a:b"}, {"image_list": "a:b"}),
        ({"image_dropdown": "c:d"}, {"image_dropdown": "c:d"}),
        ({"image_class": "latest-weekly"}, {"image_class": "latest-weekly"}),
        (
            {"image_list": "use_image_from_dropdown", "image_tag": "t"},
            {"image_tag": "t"},
        ),
        ({"image_list": "", "image_tag": "t"}, {"image_tag": "t"}),
    ],
)
def test_image_is_chosen_in_one_way(
    options: dict[str, str], chosen: dict[str, str]
) -> None:
    body = {"options": {"size": "small", **options}, "env": _ENV}
    assert parse_lab_specification(body).image == ImageSelection(**chosen)


@pytest.mark.parametrize("size", SIZE_NAMES)
def test_every_size_in_any_case(size: str) -> None:
    for spelling in (size, size.title(), size.upper()):
        assert parse_lab_specification(_body({"size": spelling})).size == size


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        (["TRUE"], True),
        ([False], False),
        ([], False),
        (None, False),
    ],
)
def test_switches(value: object, meant: bool) -> None:
    spec = parse_lab_specification(
        _body({"enable_debug": value, "reset_user_env": value})
    )
    assert spec.enable_debug is meant
    assert spec.reset_user_env is meant


def test_environment_is_taken_as_it_is() -> None:
    env = {"EMPTY": "", "with.dots-and_more": "ä\n\t", "0": "=", "LONG": "x" * 100_000}
    assert parse_lab_specification(_body(env=env)).env == {**_ENV, **env}


def test_environment_is_not_in_the_representation() -> None:
    spec = parse_lab_specification(_body(env={"JUPYTERHUB_API_TOKEN": "gt-secret"}))
    assert "gt-secret" not in repr(spec)


# --- What is not ---------------------------------------------------------


@pytest.mark.parametrize("body", [None, [], "body", 1, True])
def test_body_must_be_an_object(body: object) -> None:
    assert _problem(body) == ("type_error", ("body",), "Not an object")


def test_all_problems_are_told_at_once() -> None:
    body = {"options": {"size": "gigantic", "enable_debug": "maybe"}}
    problems = {(kind, location) for kind, location, _ in _problems(body)}
    assert problems == {
        ("value_error", ("body", "options", "size")),
        ("type_error", ("body", "options", "enable_debug")),
        ("missing", ("body", "env")),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "No image to spawn specified"),
        ({"image_list": "use_image_from_dropdown"}, "No image to spawn specified"),
        ({"image_tag": ""}, "No image to spawn specified"),
        (
            {"image_tag": "a", "image_class": "recommended"},
            "Image specified multiple ways (image_class, image_tag)",
        ),
        (
            {"image_tag": "a", "image_list": "b", "image_dropdown": "c"},
            "Image specified multiple ways (image_list, image_tag)",
        ),
        (
            {"image_tag": "a", "image_dropdown": "c"},
            "Image specified multiple ways (image_dropdown, image_tag)",
        ),
    ],
)
def test_image_must_be_chosen_in_exactly_one_way(
    options: dict[str, str], message: str
) -> None:
    body = {"options": {"size": "small", **options}, "env": _ENV}
    assert _problem(body) == ("value_error", ("body", "options"), message)


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    [
        ("size", None, "missing", "Field required"),
        ("size", [], "missing", "Field required"),
        ("size", ["small", "small"], "value_error", "Too many values for size"),
        ("size", 1, "type_error", "Not a string"),
        ("size", [["small"]], "type_error", "Not a string"),
        ("size", {"small": 1}, "type_error", "Not a string"),
        ("size", "", "value_error", "Must be one of: "),
        ("size", "small ", "value_error", "Must be one of: "),
        ("image_tag", 1, "type_error", "Not a string"),
        ("image_tag", ["a", "b"], "value_error", "Too many values for image_tag"),
        ("image_tag", "\ud800", "value_error", "Not valid Unicode"),
        ("image_class", "latest", "value_error", "Must be one of: "),
        ("enable_debug", 1, "type_error", "Not a boolean"),
        ("enable_debug", "1", "type_error", "Not a boolean"),
        ("enable_debug", {}, "type_error", "Not a boolean"),
        (
            "reset_user_env",
            [True, False],
            "value_error",
            "Too many values for reset_user_env",
        ),
    ],
)
def test_wrong_option_is_located(
    name: str, value: object, kind: str, message: str
) -> None:
    actual_kind, location, actual_message = _problem(_body({name: value}))
    assert actual_kind == kind
    assert location == ("body", "options", name)
    assert actual_message.startswith(message)


@pytest.mark.parametrize(
    ("part", "value", "kind"),
    [
        ("options", None, "type_error"),
        ("options", [], "type_error"),
        ("options", "small", "type_error"),
        ("env", None, "type_error"),
        ("env", ["A=B"], "type_error"),
    ],
)
def test_parts_must_be_objects(part: str, value: object, kind: str) -> None:
    assert _problem(_body() | {part: value}) == (kind, ("body", part), "Not an object")


def test_parts_are_required() -> None:
    assert _problems({}) == [
        ("missing", ("body", "options"), "Field required"),
        ("missing", ("body", "env"), "Field required"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    [
        ("A", 1, "type_error", "Not a string"),
        ("A", None, "type_error", "Not a string"),
        ("A", ["b"], "type_error", "Not a string"),
        ("A", "b\0", "value_error", "Contains what an environment variable"),
        ("A", "\udfff", "value_error", "Contains what an environment variable"),
        ("A", "x" * 2**17, "value_error", "Larger than 130560 bytes"),
        ("", "b", "value_error", "Not a valid name"),
        ("A B", "b", "value_error", "Not a valid name"),
        ("A=B", "b", "value_error", "Not a valid name"),
        ("Ä", "b", "value_error", "Not a valid name"),
        ("A\n", "b", "value_error", "Not a valid name"),
        ("..", "b", "value_error", "Not a valid name"),
        ("..a", "b", "value_error", "Not a valid name"),
        ("a" * 254, "b", "value_error", "Not a valid name"),
    ],
)
def test_what_no_lab_can_have_in_its_environment(
    name: str, value: object, kind: str, message: str
) -> None:
    actual_kind, location, actual_message = _problem(_body(env={name: value}))
    assert actual_kind == kind
    assert location == ("body", "env", name)
    assert actual_message.startswith(message)


def test_environment_is_limited_in_total() -> None:
    env = {f"V{n}": "x" * 100_000 for n in range(8)}
    assert _problem(_body(env=env)) == (
        "value_error",
        ("body", "env"),
        "Larger than 786432 bytes",
    )


def test_service_prefix_is_required() -> None:
    body = {"options": _OPTIONS, "env": {"A": "b"}}
    assert _problem(body) == ("missing", _PREFIX, "Field required")


@pytest.mark.parametrize(
    "prefix",
    ["", "nb/user", "http://x/", "/a b", "/a?b", "/a#b", "/a\n", "/ä", "/a\\b"],
)
def test_service_prefix_must_be_a_path(prefix: str) -> None:
    problem = _problem(_body(env={"JUPYTERHUB_SERVICE_PREFIX": prefix}))
    assert problem == ("value_error", _PREFIX, "Not an absolute path")


def test_number_of_reported_problems_is_bounded() -> None:
    env = {f"V{n}": 0 for n in range(1000)}
    assert len(_problems(_body(env=env))) == 50


# --- Anything ------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=20,
)


def _near(valid: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return valid | valid.map(lambda value: [value]) | _JSON


_NEARLY_VALID = st.fixed_dictionaries(
    {
        "options": st.fixed_dictionaries(
            {"size": _near(st.sampled_from(SIZE_NAMES))},
            optional={
                "image_list": _near(st.sampled_from([DROPDOWN_SENTINEL, "a:b"])),
                "image_dropdown": _near(st.just("a:b")),
                "image_class": _near(st.just("recommended")),
                "image_tag": _near(st.text()),
                "enable_debug": _near(st.booleans()),
            },
        )
        | _JSON,
        "env": st.dictionaries(st.text(), st.text() | _JSON).map(_ENV.__or__) | _JSON,
    }
)


@given(body=_JSON | _NEARLY_VALID)
def test_any_body_gives_a_specification_or_located_problems(body: object) -> None:
    problems: Sequence[ValidationProblem] = ()
    spec = None
    try:
        spec = parse_lab_specification(body)
    except ValidationProblemsError as exc:
        problems = exc.problems
    assert (spec is None) == bool(problems)
    for problem in problems:
        assert problem.type in {"missing", "type_error", "value_error"}
        assert problem.location[0] == "body"
        assert problem.message
    if spec:
        assert spec.size in SIZE_NAMES
        assert spec.env["JUPYTERHUB_SERVICE_PREFIX"].startswith("/")
        assert all((name + value).encode() for name, value in spec.env.items())
