"""Schema of CPU and memory, wherever they are configured."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from marshmallow import ValidationError, validates_schema

from nublado.config.fields import Memory, Millicores
from nublado.config.model import ContainerResources
from nublado.config.schema import ConfigSchema
from nublado.config.sections import Section
from nublado.models.domain.resources import Resources

__all__ = ["ContainerResourcesSchema", "ResourcesSchema"]


class ResourcesSchema(ConfigSchema):
    """CPU and memory."""

    model = Resources
    cpu = Millicores(required=True)
    memory = Memory(required=True)


class ContainerResourcesSchema(ConfigSchema):
    """The limits and requests of a container."""

    model: ClassVar[type[Any]] = ContainerResources
    limits = Section(ResourcesSchema)
    requests = Section(ResourcesSchema)

    @validates_schema
    def check_requests(self, data: dict[str, Any], **_: Any) -> None:
        """Kubernetes refuses to guarantee more than the limit."""
        limits, requests = data.get("limits"), data.get("requests")
        if not limits or not requests:
            return
        errors = {
            resource.name: ["must not be more than the limit"]
            for resource in fields(Resources)
            if getattr(requests, resource.name) > getattr(limits, resource.name)
        }
        if errors:
            raise ValidationError({"requests": errors})
