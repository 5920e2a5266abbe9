"""Schema of CPU and memory, wherever they are configured."""

from __future__ import annotations

from nublado.config.fields import Cores, Memory
from nublado.config.schema import ConfigSchema
from nublado.models.domain.resources import Resources

__all__ = ["ResourcesSchema"]


class ResourcesSchema(ConfigSchema):
    """CPU and memory."""

    model = Resources
    cpu = Cores(required=True)
    memory = Memory(required=True)
