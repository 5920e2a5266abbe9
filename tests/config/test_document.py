"""Files that are no usable YAML: one clear problem each, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nublado.config import check

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

MERGE_BOMB = "a: &a {k: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "is empty"),
        (b"# only a comment\n", 1, "is empty"),
        (b"- lab\n", 1, "must be a mapping"),
        (b"lab", 1, "must be a mapping"),
        (b"lab:\n\tsizes: []\n", 2, "never with tabs"),
        (b"lab: [\n", 2, "not valid YAML"),
        (b'lab: "x\n', 2, "not valid YAML"),
        (b"lab: *missing\n", 1, "undefined alias"),
        (b"lab: 1\n---\nlab: 2\n", 2, "single document"),
        ("a: 1\nb: é\n".encode("latin-1"), 2, "not UTF-8"),
        (b"\xff\xfea\x00", 1, "not UTF-8"),
        (b'a: 1\nb: "\x01"\n', 2, "forbids"),
        (b'a: "\\UFFFFFFFF"\n', None, "does not exist"),
        (b'a: "\\uD800"\n', 1, "half a character"),
        (b'"\\uD800": 1\n', 1, "half a character"),
        (b"a: 1\n{{ .Values.lab }}: 1\n", 2, "must be plain text"),
        (b"lab: !!python/object/apply:os.system [x]\n", 1, "not allowed"),
        (b"lab: !!binary aGk=\n", 1, "not allowed"),
        (b"lab: !include x\n", 1, "not allowed"),
        (b"lab: &a [*a]\n", 1, "contains itself"),
        (b"&a\nlab: *a\n", 1, "contains itself"),
        (b"lab: &a\n  b:\n    <<: *a\n", 3, "must name a mapping"),
        (b"lab:\n  <<: 5\n", 2, "must name a mapping"),
        (BOMB.encode(), 1, "too large"),
        (MERGE_BOMB.encode(), 1, "too large"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, None, "nested too deeply"),
        (b"{a: " * 5000, None, "nested too deeply"),
        (b"a: " + b"x" * 3_000_000, None, "larger than"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_unusable_file_has_one_problem(
    content: bytes, line: int | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    problems = check(path)
    assert [(p.path, p.line) for p in problems] == [("", line)]
    assert message in problems[0].message


def test_missing_file_has_one_problem(tmp_path: Path) -> None:
    (problem,) = check(tmp_path / "missing.yaml")
    assert problem.message == "cannot be read: No such file or directory"


def test_directory_has_one_problem(tmp_path: Path) -> None:
    (problem,) = check(tmp_path)
    assert "cannot be read" in problem.message


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbflab: {}\n")
    assert check(path)[0].path == "lab.namespacePrefix"


def test_every_duplicate_key_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("name: a\nname: b\nlab:\n  env:\n    A: 1\n    A: 2\n")
    duplicates = [p for p in check(path) if "more than once" in p.message]
    assert [(p.path, p.line) for p in duplicates] == [("name", 2), ("lab.env.A", 6)]


def test_numbers_that_are_none_are_text(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"logLevel: {'9' * 5000}\nprofile: 0x_\nlab: !!int x\nimages: 1\n")
    assert [p.path for p in check(path)] == ["logLevel", "profile", "lab", "images"]


yaml_like = st.text(alphabet="ab:-[]{}&*!<> \n\t\"'#|%@\\u0é", max_size=200)
keys = st.sampled_from(["lab", "images", "sizes", "volumes", "secrets", "files", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(yaml_like | values.map(lambda value: repr({"lab": value, "images": value})))
def test_no_content_makes_the_check_fail(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content, encoding="utf-8")
    assert check(path)
