"""Schema of filters of images: ``dropdownMenu``, and what to keep in a registry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, validates_schema
from semver import Version

from nublado.config.fields import Duration, Integer, Setting, read_text
from nublado.config.schema import ConfigSchema
from nublado.config.sections import Section
from nublado.config.values import found, spelling
from nublado.models.domain.image_filter import ImageFilter, ImageFilters

__all__ = ["ImageFiltersSchema"]


class Moment(Setting[datetime]):
    """A date, or a date and time; UTC unless it has an offset."""

    def _read(self, value: object) -> datetime:
        try:
            moment = datetime.fromisoformat(read_text(value).strip())
            return (
                moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
            )
        except (ValueError, OverflowError) as e:
            raise ValidationError(
                "must be a date such as 2026-01-31, or a date and time such as"
                f" 2026-01-31T12:00:00Z, not {found(value)}"
            ) from e


class SemanticVersion(Setting[Version]):
    """A version in three parts."""

    def _read(self, value: object) -> Version:
        try:
            return Version.parse(read_text(value).strip())
        except ValueError as e:
            raise ValidationError(
                f"must be a semantic version such as 27.0.0, not {found(value)}"
            ) from e


class ImageFilterSchema(ConfigSchema):
    """What keeps images of a kind whose tags name a version."""

    model = ImageFilter
    number = Integer(minimum=0)
    age = Duration()
    cutoff_date = Moment()
    cutoff_version = SemanticVersion()
    cutoff_build = Integer(minimum=0)


class DatedImageFilterSchema(ImageFilterSchema):
    """What keeps images of a kind whose tags name a date."""

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_version(self, _: Any, original: Mapping[str, Any], **__: Any) -> None:
        """Weeklies and dailies are not compared by a version made of their date."""
        if spelling(original, "cutoffVersion") is not None:
            raise ValidationError(
                "is for releases, release candidates and experimental images only;"
                " use cutoffDate",
                "cutoffVersion",
            )


class ImageFiltersSchema(ConfigSchema):
    """Filters by kind of image."""

    model = ImageFilters
    release = Section(ImageFilterSchema)
    weekly = Section(DatedImageFilterSchema)
    daily = Section(DatedImageFilterSchema)
    release_candidate = Section(ImageFilterSchema)
    experimental = Section(ImageFilterSchema)
