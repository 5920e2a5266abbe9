"""Schema of tolerations.

References
----------
`Taints and tolerations
<https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>`__.
"""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, validates_schema

from nublado.config import kubernetes_names
from nublado.config.fields import Choice, Integer, OptionalText, Text
from nublado.config.model import Toleration
from nublado.config.schema import ConfigSchema

__all__ = ["TolerationSchema"]

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class TolerationSchema(ConfigSchema):
    """A toleration, without the combinations that Kubernetes refuses."""

    model = Toleration
    empty_text_is_absent = True
    key = OptionalText(kubernetes_names.qualified_name)
    operator = Choice(("Equal", "Exists"), load_default="Equal")
    value = Text(kubernetes_names.label_value)
    effect = Choice(EFFECTS)
    toleration_seconds = Integer()

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_combination(
        self, data: dict[str, Any], original: dict[str, Any], **_: Any
    ) -> None:
        """Refuse what the API server would refuse."""
        errors = {}
        operator = data.get("operator")
        if operator == "Exists" and data.get("value"):
            errors["value"] = ["must not be given with the operator Exists"]
        if operator == "Equal" and not original.get("key"):
            errors["key"] = ["is required, unless the operator is Exists"]
        if "toleration_seconds" in data and data.get("effect") != "NoExecute":
            errors["tolerationSeconds"] = ["needs the effect NoExecute"]
        if errors:
            raise ValidationError(errors)

    def build(self, data: dict[str, Any]) -> Toleration:
        """Create the toleration."""
        if data["operator"] == "Exists":
            data.pop("value", None)
        return Toleration(**data)
