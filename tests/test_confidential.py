"""Values that come back in errors, in whatever disguise."""

from __future__ import annotations

import html
import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nublado.confidential import Confidential, current_confidential, hide, keeping
from nublado.redaction import REDACTED

SECRET = 'Tr1n!ty="q\\uote"/é/<&>+%41 x'
TOKEN = "gt-a1b2c3d4e5f6g7h8.i9j0k1l2m3n4o5p6"


def secrets(*values: str | bytes) -> Confidential:
    confidential = Confidential()
    confidential.add_secrets(values)
    return confidential


def of_user(**env: str) -> Confidential:
    confidential = Confidential()
    confidential.add_settings(env)
    return confidential


def go_quoted(text: str) -> str:
    """Write a text as Go's ``%q``, or ``%+q`` for what is not ASCII."""
    plain = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}

    def escape(character: str) -> str:
        code = ord(character)
        if character in plain:
            return plain[character]
        if 0x20 <= code < 0x7F:
            return character
        if code < 0x20:
            return f"\\x{code:02x}"
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return "".join(map(escape, text))


def go_json(text: str) -> str:
    """Write a text as Go's ``encoding/json``, which escapes for HTML too."""
    dumped = json.dumps(text, ensure_ascii=False)[1:-1]
    for character in "<>&":
        dumped = dumped.replace(character, f"\\u{ord(character):04x}")
    return dumped


def base64_within(before: bytes, after: bytes) -> Callable[[str], str]:
    return lambda text: b64encode(before + text.encode() + after).decode()


DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of Go": go_json,
    "%q": go_quoted,
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "URL": lambda text: quote(text, safe=""),
    "URL, lower case": lambda text: "".join(f"%{b:02x}" for b in text.encode()),
    "path": quote,
    "form": quote_plus,
    "HTML": html.escape,
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: urlsafe_b64encode(text.encode()).decode(),
    "base64 unpadded": lambda text: b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: encodebytes(text.encode() * 5).decode(),
    "base64 + 1": base64_within(b"x", b""),
    "base64 + 2": base64_within(b'{"', b'"}'),
    "base64 in a word": lambda text: "xyz" + b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in a word": lambda text: "abc" + text.encode().hex().upper(),
    "%v of bytes": lambda text: f"[{' '.join(map(str, text.encode()))}]",
    "%#v of bytes": lambda text: f"[]byte{{{', '.join(map(hex, text.encode()))}}}",
}
"""How servers write what they quote."""


PACKED = {name for name in DISGUISES if name.startswith(("base64", "hexa", "%v", "%#"))}


@pytest.mark.parametrize("outer", DISGUISES)
def test_disguises_do_not_help(outer: str) -> None:
    for inner, write in DISGUISES.items():
        if inner in PACKED and outer in PACKED:
            continue
        for value in (SECRET, TOKEN, "hunter2"):
            quoted = DISGUISES[outer](write(value))
            shown = hide(f"it denied: Invalid value: {quoted}", [secrets(value)])
            assert shown.startswith("it denied: Invalid value: ")
            assert REDACTED in shown
            assert quoted not in shown
            for disguise in DISGUISES.values():
                assert disguise(value) not in shown


VALUES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"),
    min_size=8,
    max_size=60,
).filter(lambda text: len(text.strip()) >= 8)
NAMES = st.sampled_from(sorted(DISGUISES))


@settings(max_examples=300, deadline=None)
@given(value=VALUES, name=NAMES, before=st.text(max_size=20), after=st.text(max_size=9))
@example(value="00000000", name="base64 + 1", before="0", after="0")
def test_no_secret_survives(value: str, name: str, before: str, after: str) -> None:
    quoted = DISGUISES[name](value)
    shown = hide(f"{before} {quoted} {after}", [secrets(value)])
    assert REDACTED in shown
    assert quoted not in shown or quoted in f"{before} {after} {REDACTED}"


@settings(max_examples=200, deadline=None)
@given(value=VALUES, name=st.sampled_from(["plain", "JSON", "%q", "base64"]))
def test_beginnings_that_were_cut_off_are_hidden(value: str, name: str) -> None:
    value = "s3cr3t-w0rd" + value
    quoted = DISGUISES[name](value)
    for end in range(18, len(quoted)):
        for ellipsis in ("", "..."):
            shown = hide(f"invalid: {quoted[:end]}{ellipsis}", [secrets(value)])
            assert quoted[:end] not in shown
            assert shown.startswith("invalid: ")


ORDINARY = (
    'configmaps "rachel-nb-env" is forbidden: User "system:serviceaccount:nublado:'
    'nublado" cannot create resource "configmaps" in API group "" in the namespace'
    ' "userlabs-rachel"',
    'Pod "rachel-nb" is invalid: spec.containers[0].image: Required value',
    'admission webhook "validate.kyverno.svc-fail" denied the request: resource'
    " Pod/userlabs-rachel/rachel-nb was blocked due to the following policies:"
    " science-images: true is not allowed, 1 violation",
    "etcdserver: request timed out",
)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(VALUES, max_size=20), text=st.sampled_from(ORDINARY))
def test_other_texts_stay_as_they_are(values: list[str], text: str) -> None:
    confidential = secrets(*(f"\N{SNOWMAN}{value}" for value in values))
    assert hide(text, [confidential, Confidential()]) == text


@pytest.mark.parametrize("text", ORDINARY)
def test_short_and_common_values_leave_messages_readable(text: str) -> None:
    env = of_user(
        A="1", B="true", C="science", D="rachel", E="", F="/", G="nublado", H="request"
    )
    assert hide(text, [env]) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('Invalid value: "science": must be', 'Invalid value: "<redacted>": must be'),
        ("data: Invalid value: true", "data: Invalid value: <redacted>"),
        (r"{\"C\":\"science\",\"B\":\"x\"}", r"{\"C\":\"<redacted>\",\"B\":\"x\"}"),
        ("map[A:1 B:true C:science]", "map[A:<redacted> B:<redacted> C:<redacted>]"),
        ('{Name:"C", Value:"science"}', '{Name:"C", Value:"<redacted>"}'),
        ("C=science B=truely", "C=<redacted> B=truely"),
        ("A: 10, limit: 1, status: true", "A: 10, limit: 1, status: true"),
    ],
)
def test_short_values_are_hidden_where_they_stand_as_values(
    text: str, shown: str
) -> None:
    assert hide(text, [of_user(A="1", B="true", C="science")]) == shown


def test_passwords_in_urls_are_values_of_their_own() -> None:
    env = of_user(DATABASE="postgres://neo:p455/w0rd@db.example.org/x")
    assert hide("p455/w0rd, neo", [env]) == "<redacted>, neo"


@pytest.mark.parametrize(
    "text",
    [
        "postgres://neo:{}@db.example.org/x",
        "a postgres://neo@db https://x/ (redis://:{}@cache) rachel@example.org",
        "mail@example.org amqp://neo:{}@queue\nhttp://proxy:8080 @",
        "https://a:b/" + "c" * 300 + "://user:{}@host",
    ],
)
def test_passwords_are_found_in_urls_wherever_they_stand(text: str) -> None:
    env = of_user(SETTING=text.format("p455/w0rd:x"))
    assert hide("p455/w0rd:x", [env]) == REDACTED


@pytest.mark.parametrize(
    "text", ["a://", "a://:", "a://b:@ ", "a://b:" + "c" * 400, "://:", "a://b:c d@"]
)
def test_texts_that_are_full_of_beginnings_of_urls_hold_no_password(text: str) -> None:
    env = of_user(SETTING=text * 20_000)
    assert hide("c d is what://it:says", [env]) == "c d is what://it:says"


def test_names_of_objects_are_told_all_the_same() -> None:
    env = of_user(HOME="/home/trinity-of-zion", USER="trinity-of-zion", X="x1y2z3a4b5")
    public = ["ConfigMap", "userlabs-trinity-of-zion", "trinity-of-zion-nb-env"]
    text = 'configmaps "trinity-of-zion-nb-env" is forbidden: x1y2z3a4b5'
    expected = text.replace("x1y2z3a4b5", REDACTED)
    assert hide(text, [env], public) == expected


def test_names_that_speak_of_secrets_make_short_values_secret() -> None:
    env = of_user(DB_PASSWORD="hunter2", AWS_SECRET_ACCESS_KEY="abcd", COLOUR="purple")
    assert hide("hunter2 abcd purple", [env]) == "<redacted> <redacted> purple"


def test_what_secrets_hold_is_secret_too() -> None:
    login = b64encode(b"robot:pa55-w0rd").decode()
    auths = {"registry.example.org": {"username": "robot", "auth": login}}
    docker = json.dumps({"auths": auths}).encode()
    lines = b"db.example.org:5432:lsst:rachel:correct-horse\nother:line-of-secrets\n"
    confidential = secrets(docker, lines, b"\xff\xfe\x00binary\x80")
    for part in ("pa55-w0rd", login, "other:line-of-secrets"):
        assert hide(f"refused: {part}", [confidential]) == "refused: <redacted>"
    encoded = b64encode(b"\xff\xfe\x00binary\x80").decode()
    assert encoded not in hide(f"refused: {encoded}", [confidential])
    assert hide("registry.example.org", [confidential]) == "registry.example.org"


def test_many_values_that_begin_alike_cost_little() -> None:
    env = {f"V{i}": "aaaaaaaa" * (i % 40) + str(i) for i in range(50_000)}
    text = "a" * 4096
    assert hide(text, [of_user(**env)]).endswith(REDACTED)


def test_values_belong_to_a_context() -> None:
    mine = secrets(TOKEN)
    with keeping(mine):
        assert current_confidential() is mine
    assert hide(TOKEN, [current_confidential()]) == TOKEN
