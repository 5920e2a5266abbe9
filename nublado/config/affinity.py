"""Schemas of affinities, field by field as Kubernetes has them.

They end up as Kubernetes' own JSON rather than in classes: the controller only
passes them on.

References
----------
`Affinity
<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#scheduling>`__.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from marshmallow import ValidationError, validates_schema

from nublado.config import kubernetes_names
from nublado.config.fields import Choice, Integer, Text
from nublado.config.schema import ConfigSchema
from nublado.config.sections import ListOf, MapOf, Section
from nublado.config.values import camel_case, spelling
from nublado.models.domain.kubernetes import JSON

__all__ = ["AffinitySchema"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)

LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
NODE_OPERATORS = (*LABEL_OPERATORS, "Gt", "Lt")
FIELD_OPERATORS = ("In", "NotIn")


class KubernetesSchema(ConfigSchema):
    """A mapping that stays one, in Kubernetes' spelling."""

    empty_text_is_absent = True

    def build(self, data: dict[str, Any]) -> JSON:
        """Create the mapping."""
        return {
            camel_case(name): list(value) if isinstance(value, tuple) else value
            for name, value in data.items()
        }


class LabelRequirementSchema(KubernetesSchema):
    """An element of ``matchExpressions`` of a label selector."""

    key = Text(kubernetes_names.qualified_name, required=True)
    operator = Choice(LABEL_OPERATORS, required=True)
    values = ListOf(Text(str))

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_values(
        self, data: dict[str, Any], original: dict[str, Any], **_: Any
    ) -> None:
        """Each operator accepts values of its own kind."""
        values = data.get("values", ())
        refused = not values and original.get("values")
        if "operator" in data and not refused:
            errors = _values_problems(data["operator"], values)
            if errors:
                raise ValidationError({"values": errors})


class NodeRequirementSchema(LabelRequirementSchema):
    """An element of ``matchExpressions`` of a node selector."""

    operator = Choice(NODE_OPERATORS, required=True)


class NodeFieldSchema(KubernetesSchema):
    """An element of ``matchFields`` of a node selector."""

    key = Choice(("metadata.name",), required=True)
    operator = Choice(FIELD_OPERATORS, required=True)
    values = ListOf(Text(kubernetes_names.dns_subdomain), required=True)

    @validates_schema(skip_on_field_errors=False)
    def check_values(self, data: dict[str, Any], **_: Any) -> None:
        """Fields are compared with one value."""
        if len(data.get("values", ())) > 1:
            raise ValidationError("must be exactly one value", "values")


class NodeSelectorTermSchema(KubernetesSchema):
    """Requirements all of which a node must meet."""

    match_expressions = ListOf(Section(NodeRequirementSchema))
    match_fields = ListOf(Section(NodeFieldSchema))


class PreferredNodeSchema(KubernetesSchema):
    """Nodes that are better than others."""

    meaningful_when_empty = frozenset({"preference"})
    weight = Integer(minimum=1, maximum=100, required=True)
    preference = Section(NodeSelectorTermSchema, required=True)


class NodeSelectorSchema(KubernetesSchema):
    """Terms one of which a node must match."""

    node_selector_terms = ListOf(Section(NodeSelectorTermSchema), required=True)


class NodeAffinitySchema(KubernetesSchema):
    """Which nodes a pod may or should run on."""

    required_during_scheduling_ignored_during_execution = Section(NodeSelectorSchema)
    preferred_during_scheduling_ignored_during_execution = ListOf(
        Section(PreferredNodeSchema)
    )


class LabelSelectorSchema(KubernetesSchema):
    """Which labels an object must have."""

    match_labels = MapOf(kubernetes_names.qualified_name, kubernetes_names.label_value)
    match_expressions = ListOf(Section(LabelRequirementSchema))


class PodAffinityTermSchema(KubernetesSchema):
    """Pods to be near to, or far from.

    An empty selector matches everything, an absent one nothing.
    """

    meaningful_when_empty = frozenset({"label_selector", "namespace_selector"})
    topology_key = Text(kubernetes_names.qualified_name, required=True)
    label_selector = Section(LabelSelectorSchema)
    namespaces = ListOf(Text(kubernetes_names.dns_label))
    namespace_selector = Section(LabelSelectorSchema)
    match_label_keys = ListOf(Text(kubernetes_names.qualified_name))
    mismatch_label_keys = ListOf(Text(kubernetes_names.qualified_name))

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def check_label_keys(
        self, data: dict[str, Any], original: dict[str, Any], **_: Any
    ) -> None:
        """Label keys add to a selector, and contradict each other."""
        errors = {}
        matched = set(data.get("match_label_keys", ()))
        both = matched.intersection(data.get("mismatch_label_keys", ()))
        if both:
            errors["mismatchLabelKeys"] = [
                f"has {', '.join(sorted(both))}, which matchLabelKeys has too"
            ]
        for name in ("matchLabelKeys", "mismatchLabelKeys"):
            key, selector = (
                spelling(original, name),
                spelling(original, "labelSelector"),
            )
            if key and original[key] and not selector:
                errors.setdefault(name, []).append("needs a labelSelector")
        if errors:
            raise ValidationError(errors)


class PreferredPodSchema(KubernetesSchema):
    """Pods that are better to be near to, or far from."""

    weight = Integer(minimum=1, maximum=100, required=True)
    pod_affinity_term = Section(PodAffinityTermSchema, required=True)


class PodAffinitySchema(KubernetesSchema):
    """Which pods a pod must or should be near to, or far from."""

    required_during_scheduling_ignored_during_execution = ListOf(
        Section(PodAffinityTermSchema)
    )
    preferred_during_scheduling_ignored_during_execution = ListOf(
        Section(PreferredPodSchema)
    )


class AffinitySchema(KubernetesSchema):
    """Where pods may or should run."""

    node_affinity = Section(NodeAffinitySchema)
    pod_affinity = Section(PodAffinitySchema)
    pod_anti_affinity = Section(PodAffinitySchema)


def _values_problems(operator: str, values: Sequence[str]) -> Any:
    """Messages about the values of a requirement, by index where it matters."""
    match operator:
        case "Exists" | "DoesNotExist":
            return [f"must not be given with the operator {operator}"] if values else []
        case "Gt" | "Lt":
            if len(values) == 1 and _INTEGER.fullmatch(values[0]):
                return []
            return [f"must be exactly one integer with the operator {operator}"]
        case _ if not values:
            return [f"must have at least one item with the operator {operator}"]
    errors = {}
    for index, value in enumerate(values):
        try:
            kubernetes_names.label_value(value)
        except ValueError as e:
            errors[index] = [str(e)]
    return errors
