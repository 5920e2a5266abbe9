"""Write the bill of materials of what a lock installs, with the project itself.

Run with the Python of the environment that has cyclonedx-bom::

    python -m tools.sbom requirements/run.txt build/sbom.json

References
----------
https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

__all__ = ["SbomError", "bill_of_materials", "main"]

_VERSION = SchemaVersion.V1_6
_PROJECT = "nublado"


class SbomError(Exception):
    """There is no bill of materials; says why."""


def bill_of_materials(lock: Path) -> dict[str, Any]:
    """List the packages of a lock, with their hashes, as parts of the project.

    The same lock gives the same list.

    Parameters
    ----------
    lock
        Pins with hashes.

    Raises
    ------
    SbomError
        Raised if the lock cannot be read, or the list would not be valid.
    """
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(lock)]
    command += ["--output-reproducible", "--of", "JSON", "-o", "-"]
    command += ["--spec-version", _VERSION.to_version()]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SbomError(done.stderr.strip())
    listed: dict[str, Any] = json.loads(done.stdout)
    listed["metadata"]["component"] = _project()
    # The tool quotes lines of the lock here.
    names = {part["bom-ref"]: part["purl"] for part in listed["components"]}
    for part in listed["components"]:
        part["bom-ref"] = names[part["bom-ref"]]
        del part["description"]
    for part in listed["dependencies"]:
        part["ref"] = names.get(part["ref"], part["ref"])
    problem = JsonStrictValidator(_VERSION).validate_str(json.dumps(listed))
    if problem is not None:
        raise SbomError(str(problem.data))
    return listed


def main(arguments: Sequence[str]) -> int:
    """Write the bill of materials of a lock to a file; returns the exit code."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    lock, target = map(Path, arguments)
    try:
        listed = bill_of_materials(lock)
    except (SbomError, OSError) as e:
        print(f"{lock}: {e}", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(listed, indent=2) + "\n")
    print(f"{target}: {len(listed['components'])} packages of {lock}, valid CycloneDX")
    return 0


def _project() -> dict[str, Any]:
    about = metadata(_PROJECT)
    version = about["Version"]
    return {
        "bom-ref": "root-component",
        "type": "application",
        "name": _PROJECT,
        "version": version,
        "description": about["Summary"],
        "licenses": [{"license": {"id": "MIT"}}],
        "purl": f"pkg:pypi/{_PROJECT}@{version}",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
