from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from nublado.cli import main


def test_tags_come_in_the_order_of_the_menu() -> None:
    names = ["exp_x", "d_2026_11_19", "recommended", "w_2026_45", "w_2026_46"]
    result = CliRunner().invoke(
        main, ["tags", "--json", *names, "--alias", "recommended"]
    )
    assert result.exit_code == 0
    shown = json.loads(result.output)
    assert [tag["tag"] for tag in shown] == [
        "recommended",
        "w_2026_46",
        "w_2026_45",
        "d_2026_11_19",
        "exp_x",
    ]
    assert shown[1] == {
        "tag": "w_2026_46",
        "type": "Weekly",
        "display_name": "Weekly 2026_46",
        "cycle": None,
        "version": "2026.46.0",
    }


def test_tags_are_read_from_standard_input() -> None:
    text = "w_2026_45_c0027.001\n\nw_2026_45_c0026.001\n"
    result = CliRunner().invoke(main, ["tags", "--cycle", "27"], input=text)
    assert result.exit_code == 0
    expected = "Weekly 2026_45 (SAL Cycle 0027, Build 001)"
    assert result.output.splitlines() == [
        f"w_2026_45_c0027.001  Weekly  {expected}  2026.45.0+c0027.001"
    ]


def test_no_tags_are_no_mistake() -> None:
    result = CliRunner().invoke(main, ["tags", "--json"], input="")
    assert result.exit_code == 0
    assert json.loads(result.output) == []


def test_a_cycle_has_to_be_a_number() -> None:
    result = CliRunner().invoke(main, ["tags", "--cycle", "x", "w_2026_45"])
    assert result.exit_code == 2
    assert "--cycle" in result.output


@pytest.mark.parametrize("name", ["", "a b", "lab:w_2026_45", "-x", "é", "a" * 129])
@pytest.mark.parametrize("option", [[], ["w_1", "--alias"]])
def test_what_is_no_tag_is_refused(name: str, option: list[str]) -> None:
    arguments = ["tags", *option, name] if option else ["tags", "--", name]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert f"{name!r} is no tag" in result.output
