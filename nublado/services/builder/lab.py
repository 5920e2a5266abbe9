"""Builds the Kubernetes objects of labs.

Everything here is a pure function of the configuration and the arguments: the
same input gives the same objects, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from nublado.config.model import LabConfig, LabSizeDefinition
from nublado.config.platform import Platform
from nublado.constants import SERVICE_PREFIX
from nublado.exceptions import InsufficientQuotaError, InvalidLabSizeError
from nublado.models.domain.gafaelfawr import GafaelfawrUser, UserInfo
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import (
    LabObjectNames,
    LabObjects,
    LabOptions,
    LabSpecification,
    LabState,
    LabStatus,
    RemainingLabObjects,
)
from nublado.models.domain.resources import Resources
from nublado.models.domain.spawn_record import SpawnRecord
from nublado.services.builder.lab_environment import (
    lab_environment,
    names_not_of_the_user,
    resources_of_environment,
)
from nublado.services.builder.lab_metadata import lab_metadata
from nublado.services.builder.lab_objects import LabObjectsBuilder, SecretData
from nublado.services.builder.lab_pod import LabPodBuilder

__all__ = ["LabBuilder", "quota_of"]

_NOTHING_DISCOVERED = "{}"


class LabBuilder:
    """Builds the objects of any user's lab.

    Parameters
    ----------
    config
        How labs are built.
    platform
        What labs are told of the platform.
    """

    def __init__(self, config: LabConfig, platform: Platform) -> None:
        self._config = config
        self._platform = platform
        self._sizes = {size.size: size for size in config.sizes}

    def names(self, username: str) -> LabObjectNames:
        """Names of the objects of a user's lab."""
        return LabObjectNames.of(username, self._config.namespace_of(username))

    def check_quota(self, user: UserInfo, size: str) -> None:
        """Check that a user may have a lab of a size.

        Raises
        ------
        InsufficientQuotaError
            If their quota is too small, or allows no lab at all.
        InvalidLabSizeError
            If the size is not configured.
        """
        definition = self._size(size)
        quota = user.notebook_quota
        if quota is None:
            return
        if not (quota.spawn and definition.resources.limits.fits(quota.resources)):
            raise InsufficientQuotaError

    def pending_state(
        self,
        user: UserInfo,
        spec: LabSpecification,
        image: ResolvedImage,
        now: datetime | None = None,
    ) -> LabState:
        """State of a lab of which nothing has been made yet.

        Parameters
        ----------
        user, spec, image
            Who wants which lab.
        now
            When it was asked for.

        Raises
        ------
        InvalidLabSizeError
            If the size is not configured.
        """
        return LabState(
            user=user,
            options=_options(spec, image),
            status=LabStatus.PENDING,
            internal_url=None,
            resources=self._size(spec.size).resources,
            quota=quota_of(user),
            path=spec.env.get(SERVICE_PREFIX),
            created=now,
        )

    def build(
        self,
        user: GafaelfawrUser,
        spec: LabSpecification,
        image: ResolvedImage,
        secrets: SecretData,
        pull_secret: JSON | None = None,
        discovery: str | None = None,
        request_id: str | None = None,
    ) -> LabObjects:
        """Build all objects of a lab.

        Parameters
        ----------
        user
            Whose lab it is; their token becomes part of the lab's secret.
        spec
            What was asked for.
        image
            The image that was asked for.
        secrets
            Of each secret that the configuration names, its data; must hold
            every key that it names.
        pull_secret
            The secret to pull images with, if one is configured.
        discovery
            What the service discovery answered last, as JSON; None if it never
            has.
        request_id
            Id of the request in the log, where there is one.

        Raises
        ------
        InvalidLabSizeError
            If the size is not configured.
        """
        record = SpawnRecord(
            user=user.info,
            options=_options(spec, image),
            image=image,
            request_id=request_id,
        )
        size = self._size(spec.size)
        env = lab_environment(self._config, self._platform, spec, size, image)
        builder = LabObjectsBuilder(self._config, self.names(user.username))
        return LabObjects(
            namespace=builder.namespace(user.info),
            secret=builder.secret(user.token, secrets),
            env_config_map=builder.env_config_map(env, record),
            remaining=self.complete(record, env, pull_secret, discovery),
        )

    def complete(
        self,
        record: SpawnRecord,
        env: Mapping[str, str],
        pull_secret: JSON | None = None,
        discovery: str | None = None,
    ) -> RemainingLabObjects:
        """Build what comes after the environment, as `build` did.

        The resources are those of the environment, so that they agree even if
        the sizes have been configured differently since.

        Parameters
        ----------
        record
            Record of the request.
        env
            Data of the environment config map.
        pull_secret
            The secret to pull images with, if one is configured.
        discovery
            What the service discovery answered last, as JSON; None if it never
            has.

        Raises
        ------
        MalformedLabError
            If the environment does not tell the lab's resources.
        """
        names = self.names(record.user.username)
        resources = resources_of_environment(env)
        objects = LabObjectsBuilder(self._config, names)
        trusted = names_not_of_the_user(self._config, env)
        pod = LabPodBuilder(
            self._config, names, record.user, resources, trusted, self._platform
        )
        if self._platform.repertoire_url is None:
            discovery = None
        elif discovery is None:
            discovery = _NOTHING_DISCOVERED
        return RemainingLabObjects(
            others=tuple(objects.remaining(record.user, pull_secret, discovery)),
            pod=pod.build(record.image),
        )

    def deletion_mark(self, username: str) -> JSON:
        """Build what says that a user's lab is being deleted.

        A controller that finds it goes on with a deletion that was cut off,
        rather than with the lab.
        """
        names = self.names(username)
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": lab_metadata(self._config, names, names.deletion_mark),
            "immutable": True,
        }

    def _size(self, size: str) -> LabSizeDefinition:
        definition = self._sizes.get(size)
        if definition is None:
            raise InvalidLabSizeError(size)
        return definition


def quota_of(user: UserInfo) -> Resources | None:
    """Resources that a user's lab may use; None where there is no limit."""
    return user.notebook_quota.resources if user.notebook_quota else None


def _options(spec: LabSpecification, image: ResolvedImage) -> LabOptions:
    return LabOptions(
        image=image.reference_with_digest,
        size=spec.size,
        enable_debug=spec.enable_debug,
        reset_user_env=spec.reset_user_env,
    )
