"""The Helm chart: what it makes of values, and which values it takes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nublado.config import load
from nublado.models.domain.kubernetes import JSON
from tests.chart import CHART, helm, objects, render, values_for
from tools.chart_schema import SCHEMA, chart_schema

_CONFIGS = Path(__file__).parent / "data" / "configs"
_RULES = CHART.parent.parent / "monitoring" / "rules.yaml"
_EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
_EXAMPLE_RUNBOOK = "https://data.example.org/nublado/runbook"
_RUNBOOK = "https://lsst.example.net/labs/runbook"
_ALL: dict[str, Any] = {
    "annotations": {"example.org/team": "platform"},
    "priorityClassName": "platform",
    "podDisruptionBudget": {"enabled": True},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prom"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prom"}},
    },
}


def of_kind(kind: str, found: list[JSON]) -> JSON:
    (obj,) = (obj for obj in found if obj["kind"] == kind)
    return obj


def test_helm_has_nothing_to_criticise(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values_for(_CONFIGS / "files.yaml") | _ALL))
    made = helm("lint", "--strict", str(CHART), "--values", str(file))
    assert made.returncode == 0, made.stdout
    assert "[WARNING]" not in made.stdout


@pytest.mark.parametrize("missing", ["baseUrl", "config"])
def test_values_that_are_missing_are_named(tmp_path: Path, missing: str) -> None:
    values = values_for(_CONFIGS / "e2e.yaml")
    del values[missing]
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    made = helm("template", "nublado", str(CHART), "--values", str(file))
    assert made.returncode != 0
    assert missing in made.stderr


def test_configuration_is_what_was_given(tmp_path: Path) -> None:
    config = _CONFIGS / "files.yaml"
    rendered = objects(render(values_for(config), tmp_path))
    written = tmp_path / "config.yaml"
    written.write_text(of_kind("ConfigMap", rendered)["data"]["config.yaml"])
    assert load(written) == load(config)


def test_what_is_off_is_not_made(tmp_path: Path) -> None:
    kinds = {
        obj["kind"]
        for obj in objects(render(values_for(_CONFIGS / "e2e.yaml"), tmp_path))
    }
    assert not kinds & {"ServiceMonitor", "PodDisruptionBudget", "PrometheusRule"}


def test_what_is_on_is_made(tmp_path: Path) -> None:
    values = values_for(_CONFIGS / "e2e.yaml") | _ALL
    values["baseUrl"] = "https://lsst.example.net"
    values["config"]["pathPrefix"] = "/labs"
    found = objects(render(values, tmp_path))
    monitor = of_kind("ServiceMonitor", found)
    assert monitor["metadata"]["labels"]["release"] == "prom"
    service = of_kind("Service", found)
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    rules = of_kind("PrometheusRule", found)
    assert rules["metadata"]["labels"]["release"] == "prom"
    ours = _RULES.read_text().replace(_EXAMPLE_RUNBOOK, _RUNBOOK)
    assert _RUNBOOK in ours
    assert rules["spec"] == yaml.safe_load(ours)
    budget = of_kind("PodDisruptionBudget", found)
    pod = of_kind("Deployment", found)["spec"]["template"]
    selected = budget["spec"]["selector"]["matchLabels"]
    assert selected.items() <= pod["metadata"]["labels"].items()
    assert budget["spec"]["maxUnavailable"] == 1
    assert pod["spec"]["priorityClassName"] == "platform"


def test_a_platform_may_have_a_runbook_of_its_own(tmp_path: Path) -> None:
    values = values_for(_CONFIGS / "e2e.yaml") | _ALL
    values["config"]["runbookUrl"] = "https://docs.example.net/nublado"
    rules = of_kind("PrometheusRule", objects(render(values, tmp_path)))
    links = {
        rule["annotations"]["runbook_url"].partition("#")[0]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
    }
    assert links == {"https://docs.example.net/nublado"}


def test_rights_of_fsadmin_are_granted_only_with_it(tmp_path: Path) -> None:
    def roles(config: Path) -> set[str]:
        found = objects(render(values_for(config), tmp_path))
        return {o["metadata"]["name"] for o in found if o["kind"] == "Role"}

    without = roles(_CONFIGS / "e2e.yaml")
    assert roles(_CONFIGS / "operators.yaml") - without == {"nublado-fsadmin"}


def test_every_object_has_labels_and_the_annotations_that_were_given(
    tmp_path: Path,
) -> None:
    found = objects(render(values_for(_CONFIGS / "files.yaml") | _ALL, tmp_path))
    assert len(found) > 12
    for obj in found:
        metadata = obj["metadata"]
        assert metadata["labels"]["app.kubernetes.io/instance"] == "nublado", obj
        assert metadata["annotations"]["example.org/team"] == "platform", obj


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_deployments(tmp_path: Path, example: Path) -> None:
    found = objects(render(yaml.safe_load(example.read_text()), tmp_path))
    written = tmp_path / "config.yaml"
    written.write_text(of_kind("ConfigMap", found)["data"]["config.yaml"])
    load(written)


def test_there_is_an_example_for_each_kind_of_site() -> None:
    assert len(_EXAMPLES) == 3


_NOTES = """apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data:
  notes: |
    {{- include "notes" . | nindent 4 }}
"""


def test_notes_say_where_it_is(tmp_path: Path) -> None:
    # Helm shows notes only once it has installed, so they are made an object.
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    notes = chart / "templates" / "NOTES.txt"
    text = f'{{{{- define "notes" }}}}{notes.read_text()}{{{{- end }}}}'
    notes.with_name("_notes.tpl").write_text(text)
    notes.with_name("notes.yaml").write_text(_NOTES)
    values = values_for(_CONFIGS / "files.yaml")
    values["networkPolicy"] = {"enabled": False}
    show = ("--show-only", "templates/notes.yaml")
    (shown,) = objects(render(values, tmp_path, *show, chart=chart))
    told = shown["data"]["notes"]
    assert "kubectl -n nublado rollout status deploy/nublado" in told
    assert "https://data.example.org/nublado/admin" in told
    assert "https://data.example.org/files" in told
    assert _EXAMPLE_RUNBOOK in told
    assert "WARNING: networkPolicy.enabled is false" in told


def _paths(values: Any, path: str = "") -> Iterator[str]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _paths(value, f"{path}.{key}".lstrip("."))
    else:
        yield path.partition(".nginx.")[0]


def test_readme_has_each_value() -> None:
    readme = (CHART / "README.md").read_text()
    listed = set(re.findall(r"^\| `([^`]+)`", readme, re.MULTILINE))
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert listed == set(_paths(values))


def test_schema_is_that_of_values_and_configuration() -> None:
    written = json.loads(SCHEMA.read_text())
    assert written == chart_schema(), "run python -m tools.chart_schema"


@pytest.mark.parametrize(
    "config",
    [path for path in sorted(_CONFIGS.glob("*.yaml")) if path.stem != "broken"],
    ids=lambda path: path.stem,
)
def test_configurations_are_values(tmp_path: Path, config: Path) -> None:
    render(values_for(config), tmp_path)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"image": {"tga": "1"}}, "tga"),
        ({"podDisruptionBudget": {"enabled": "perhaps"}}, "enabled"),
        ({"config": {"labs": {}}}, "labs"),
        ({"config": {"lab": {"spawnTimeout": []}, "images": {}}}, "source"),
        ({"config": {"images": {"source": {"type": "docker"}}}}, "lab"),
    ],
)
def test_mistakes_in_values_are_refused_by_helm(
    tmp_path: Path, changes: dict[str, Any], place: str
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values_for(_CONFIGS / "e2e.yaml") | changes))
    made = helm("template", "nublado", str(CHART), "--values", str(file))
    assert made.returncode != 0
    assert "values don't meet the specifications of the schema" in made.stderr
    assert place in made.stderr
