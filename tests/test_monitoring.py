"""The dashboard and the alert rules ask for what the service has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.registry import CollectorRegistry

from nublado.metrics import INSTRUMENTS
from nublado.models.domain.problem import ProblemKind

_ROOT = Path(__file__).parent.parent
_MONITORING = _ROOT / "conf" / "monitoring"
_RUNBOOK = (_ROOT / "nublado" / "templates" / "runbook.md").read_text()
_INFOS = {"nublado_build", "nublado_runbook"}
_METRICS = (_ROOT / "docs" / "operations.md").read_text().partition("## Metrics")[2]
_COLLECTED = re.compile(r'"(nublado_[a-z_]+)"')
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
_ENTRY = re.compile(r"^\(([a-z-]+)\)=$", re.MULTILINE)


def metrics() -> set[str]:
    """Names of all samples that the service has."""
    found = set(_PROCESS)
    for instrument in INSTRUMENTS:
        for metric in instrument.collect():
            suffixes = _SUFFIXES.get(metric.type, ("",))
            found |= {f"{metric.name}{suffix}" for suffix in suffixes}
    collected = (_ROOT / "nublado" / "services" / "metrics.py").read_text()
    for name in _COLLECTED.findall(collected):
        is_counter = name == "nublado_watch_connections"
        suffix = "_total" if is_counter else "_info" if name in _INFOS else ""
        found.add(f"{name}{suffix}")
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((_MONITORING / "rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    dashboard = json.loads((_MONITORING / "dashboard.json").read_text())
    return [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]


def variables() -> list[dict[str, Any]]:
    dashboard = json.loads((_MONITORING / "dashboard.json").read_text())
    return [v for v in dashboard["templating"]["list"] if v["type"] == "query"]


def queries() -> list[str]:
    return [rule["expr"] for rule in rules()] + dashboard_queries()


def parse(query: str) -> Any:
    # Grafana fills in its own interval.
    return promql_parser.parse(query.replace("$__rate_interval", "5m"))


def selected(node: Any) -> Iterator[tuple[str, set[str]]]:
    """Metrics that an expression selects, with the labels by which it does."""
    if isinstance(node, promql_parser.VectorSelector):
        names = {matcher.name for matcher in node.matchers.matchers}
        yield node.name or "", names - {"__name__"}
    elif isinstance(node, promql_parser.MatrixSelector):
        yield from selected(node.vector_selector)
    else:
        for name in ("expr", "lhs", "rhs", "param"):
            child = getattr(node, name, None)
            if child is not None:
                yield from selected(child)
        args = getattr(node, "args", None)
        for child in args or ():
            yield from selected(child)


@pytest.mark.parametrize("query", queries())
def test_queries_select_metrics_that_there_are(query: str) -> None:
    found = list(selected(parse(query)))
    assert found, "selects nothing"
    assert {name for name, _ in found} <= metrics()


@pytest.mark.parametrize("query", ["rate(nublado_labs", "nublado_labs[5m", "sum by ("])
def test_invalid_queries_are_found(query: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(query)


def test_queries_use_labels_that_there_are() -> None:
    labels: dict[str, set[str]] = {}
    for instrument in INSTRUMENTS:
        registry = CollectorRegistry()
        registry.register(instrument)
        names = set(instrument._labelnames)  # type: ignore[attr-defined]
        for metric in instrument.collect():
            for suffix in _SUFFIXES.get(metric.type, ("",)):
                labels[f"{metric.name}{suffix}"] = names | {"le"}
    used = [pair for query in queries() for pair in selected(parse(query))]
    for name, names in used:
        assert names <= labels.get(name, names), name


def test_rules_have_what_whoever_is_woken_needs() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        page, _, entry = rule["annotations"]["runbook_url"].partition("#")
        # The chart, and whoever has none, puts the URL of the platform there.
        assert page == "https://data.example.org/nublado/runbook"
        entries = _ENTRY.findall(_RUNBOOK)
        assert entry in entries or entry == "{{ $labels.kind }}"


def test_variables_of_the_dashboard_have_values_that_there_are() -> None:
    values = re.compile(r"label_values\(([a-z_]+), ([a-z]+)\)")
    for variable in variables():
        found = values.fullmatch(variable["query"]["query"])
        assert found
        assert found[1] in metrics()
        assert f"| `{found[1]}` | `{found[2]}` |" in _METRICS


def test_each_problem_has_an_entry_of_the_runbook() -> None:
    entries = _ENTRY.findall(_RUNBOOK)
    assert [kind.value for kind in ProblemKind if kind not in entries] == []
    for kind in ProblemKind:
        entry = _RUNBOOK.partition(f"({kind.value})=")[2]
        assert entry.lstrip().startswith(f"## {kind.headline}\n")
        # Words may be wrapped differently.
        assert kind.impact in " ".join(entry.partition("\n(")[0].split())


def test_metrics_are_documented() -> None:
    documented = set(re.findall(r"^\| `(nublado_[a-z_]+)` \|", _METRICS, re.MULTILINE))
    suffixes = re.compile(r"_(bucket|count|sum)$")
    histograms = {f"{i._name}" for i in INSTRUMENTS if i._type == "histogram"}  # type: ignore[attr-defined]
    named = {
        name if (base := suffixes.sub("", name)) not in histograms else base
        for name in metrics() - _PROCESS
    }
    assert documented == named
