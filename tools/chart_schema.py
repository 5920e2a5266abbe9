"""Write the schema of the chart's values, from its defaults and the configuration's.

Run with the Python of the environment that the project is installed in::

    python -m tools.chart_schema
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from nublado.config.json_schema import config_json_schema
from nublado.models.domain.kubernetes import JSON

__all__ = ["SCHEMA", "chart_schema"]

_CHART = Path(__file__).parent.parent / "conf" / "helm" / "nublado"
SCHEMA = _CHART / "values.schema.json"
_DRAFT = "http://json-schema.org/draft-07/schema#"
_PULL_POLICIES = ["", "Always", "IfNotPresent", "Never"]


def chart_schema() -> JSON:
    """Describe the values of the chart.

    Each has the type of its default; what is empty by default is free.
    """
    values = yaml.safe_load((_CHART / "values.yaml").read_text())
    described = _described(values)
    config, definitions = config_json_schema()
    described["properties"]["config"] = config
    described["definitions"] = definitions
    # Charts of which this is a part pass these on.
    described["properties"]["global"] = {"type": "object"}
    described["required"] = ["baseUrl", "config"]
    return {"$schema": _DRAFT, "title": "Values of the chart nublado", **described}


def _described(value: Any, key: str = "") -> JSON:
    if key == "pullPolicy":
        return {"enum": _PULL_POLICIES}
    match value:
        case dict():
            is_free = not value or key in ("annotations", "resources")
            found: JSON = {"type": "object", "additionalProperties": is_free}
            if not is_free:
                found["properties"] = {
                    key: _described(inner, key) for key, inner in value.items()
                }
            return found
        case list():
            return {"type": "array"}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": ["integer", "string"]}
        case _:
            return {"type": ["string", "number"]}


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(chart_schema(), indent=2) + "\n")
    print(f"Written: {SCHEMA}")
