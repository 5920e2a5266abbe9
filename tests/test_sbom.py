"""The bill of materials of a lock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nublado import __version__
from tools.check_lock import Lock
from tools.sbom import SbomError, bill_of_materials, main

_LOCK = Path(__file__).parent.parent / "requirements" / "run.txt"


def test_all_that_is_installed_is_listed_with_hashes(tmp_path: Path) -> None:
    target = tmp_path / "build" / "sbom.json"
    assert main([str(_LOCK), str(target)]) == 0
    listed = json.loads(target.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    project = listed["metadata"]["component"]
    assert (project["name"], project["version"]) == ("nublado", __version__)
    pins = {(pin.name, pin.version) for pin in Lock.read(_LOCK).pins}
    assert {(c["name"], c["version"]) for c in listed["components"]} == pins
    for component in listed["components"]:
        assert any(part["hashes"] for part in component["externalReferences"])
        assert component["bom-ref"] == component["purl"]
    assert {d["ref"] for d in listed["dependencies"]} >= {
        c["bom-ref"] for c in listed["components"]
    }


def test_the_same_lock_gives_the_same_list() -> None:
    assert bill_of_materials(_LOCK) == bill_of_materials(_LOCK)


def test_a_lock_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SbomError, match=r"nowhere\.txt"):
        bill_of_materials(tmp_path / "nowhere.txt")
    assert main([str(tmp_path / "nowhere.txt"), str(tmp_path / "sbom.json")]) == 1
