"""Images of a repository in Google Artifact Registry.

References
----------
https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.dockerImages
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

import requests

from nublado.config.model import GoogleSourceConfig
from nublado.exceptions import (
    ConfigurationError,
    ConfigurationProblem,
    GoogleRegistryError,
)
from nublado.models.domain.source_report import SourceReport
from nublado.timeout import Timeout

if TYPE_CHECKING:
    from google.cloud.artifactregistry_v1 import ArtifactRegistryClient

__all__ = ["GoogleImage", "GoogleRegistryClient"]

_ENDPOINT = "https://artifactregistry.googleapis.com"
_PAGE = 1000
_REQUEST_SECONDS = 30.0
_RETRIES = 3
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class GoogleImage:
    """An image: its tags, its digest, and its size in bytes if it is known."""

    tags: tuple[str, ...]
    digest: str
    size: int | None


class GoogleRegistryClient:
    """The repository that a configuration names; used by all threads.

    Its credentials come from the environment (workload identity).

    Parameters
    ----------
    config
        Which repository, and which image in it.
    endpoint
        URL to use, without credentials, in place of Google.

    Raises
    ------
    ConfigurationError
        Raised if the client library is not installed.
    """

    def __init__(self, config: GoogleSourceConfig, endpoint: str | None = None) -> None:
        _check_installed()
        self.registry = f"{config.location}-docker.pkg.dev"
        self.repository = f"{config.project_id}/{config.repository}/{config.image}"
        self._parent = (
            f"projects/{config.project_id}/locations/{config.location}"
            f"/repositories/{config.repository}"
        )
        # Names of resources have slashes of their own.
        self._image = quote(config.image, safe="")
        self._package = f"{self._parent}/packages/{self._image}"
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._connected: ArtifactRegistryClient | None = None
        self.report = self._new_report()

    def images(self, timeout: Timeout) -> Iterator[GoogleImage]:
        """List the images that have tags.

        Parameters
        ----------
        timeout
            How long it may take.

        Raises
        ------
        GoogleRegistryError
            Raised if they cannot be listed.
        """
        from google.cloud.artifactregistry_v1 import ListDockerImagesRequest

        self.report = report = self._new_report()
        prefix = f"{self.registry}/{self.repository}@"
        request = ListDockerImagesRequest(parent=self._parent, page_size=_PAGE)
        with _Attempt("listing images") as attempt:
            pages = self._client().list_docker_images(
                request,
                retry=attempt.retry(timeout),
                timeout=timeout.at_most(_REQUEST_SECONDS),
            )
            for page in pages.pages:
                report.pages += 1
                for image in page.docker_images:
                    timeout.left()
                    if image.tags and image.uri.startswith(prefix):
                        digest = image.uri.removeprefix(prefix)
                        size = int(image.image_size_bytes) or None
                        report.tags += len(image.tags)
                        report.digests.update(dict.fromkeys(image.tags, "list"))
                        yield GoogleImage(tuple(image.tags), digest, size)

    def _new_report(self) -> SourceReport:
        if self._endpoint is not None:
            return SourceReport(self._endpoint)
        return SourceReport(_ENDPOINT, credentials="workload identity")

    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Look up the digest of a tag, or whether there is a digest.

        Returns
        -------
        str or None
            The digest; None if there is no such image.

        Raises
        ------
        GoogleRegistryError
            Raised if the registry fails.
        """
        from google.api_core.exceptions import NotFound

        find = self._find_image if ":" in reference else self._find_tag
        with _Attempt("looking for an image") as attempt:
            try:
                name = find(reference, attempt, timeout)
            except NotFound:
                return None
        return name.rpartition("@" if "@" in name else "/")[2]

    def delete(self, images: Collection[GoogleImage], timeout: Timeout) -> None:
        """Delete images together, with all tags that they have.

        Images that have tags cannot be deleted, so these go first.

        Parameters
        ----------
        images
            Images with all of their tags, 50 at most.
        timeout
            How long it may take.

        Raises
        ------
        GoogleRegistryError
            Raised if they cannot be deleted.

        References
        ----------
        https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.packages.versions/batchDelete
        """
        for image in images:
            for tag in image.tags:
                self._delete_tag(tag, timeout)
        names = [f"{self._package}/versions/{image.digest}" for image in images]
        with _Attempt("deleting images") as attempt:
            operation = self._client().batch_delete_versions(
                {"parent": self._package, "names": names},
                retry=attempt.retry(timeout),
                timeout=_REQUEST_SECONDS,
            )
            operation.result(timeout=timeout.left())  # type: ignore[no-untyped-call]

    def _delete_tag(self, tag: str, timeout: Timeout) -> None:
        from google.api_core.exceptions import NotFound

        name = f"{self._package}/tags/{tag}"
        with _Attempt(f"deleting tag {tag}") as attempt, suppress(NotFound):
            self._client().delete_tag(
                {"name": name}, retry=attempt.retry(timeout), timeout=_REQUEST_SECONDS
            )

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._connected is not None:
                self._connected.transport.close()  # type: ignore[no-untyped-call]

    def _find_image(self, digest: str, attempt: _Attempt, timeout: Timeout) -> str:
        name = f"{self._parent}/dockerImages/{self._image}@{digest}"
        image = self._client().get_docker_image(
            name=name,
            retry=attempt.retry(timeout),
            timeout=timeout.at_most(_REQUEST_SECONDS),
        )
        return str(image.name)

    def _find_tag(self, tag: str, attempt: _Attempt, timeout: Timeout) -> str:
        name = f"{self._package}/tags/{tag}"
        found = self._client().get_tag(
            {"name": name},
            retry=attempt.retry(timeout),
            timeout=timeout.at_most(_REQUEST_SECONDS),
        )
        return str(found.version)

    def _client(self) -> ArtifactRegistryClient:
        """Connect, at first use only: finding credentials may need requests."""
        with self._lock:
            if self._connected is None:
                self._connected = _connect(self._endpoint)
            return self._connected


class _Attempt:
    """Makes errors of Google's client ours, after so many retries."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._retries = _RETRIES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        if isinstance(
            error, GoogleAPIError | GoogleAuthError | requests.RequestException
        ):
            reason = f"{type(error).__name__}: {error}"
            message = f"Google Artifact Registry failed {self._what}: {reason}"
            raise GoogleRegistryError(message) from error

    def retry(self, timeout: Timeout):  # type: ignore[no-untyped-def]
        """Make the rule by which the client retries."""
        from google.api_core.retry import Retry

        return Retry(
            predicate=self._is_passing,
            initial=_FIRST_PAUSE,
            maximum=_LONGEST_PAUSE,
            timeout=timeout.left(),
        )

    def _is_passing(self, error: Exception) -> bool:
        from google.api_core.exceptions import InternalServerError, ServiceUnavailable

        passing = InternalServerError | ServiceUnavailable | requests.ConnectionError
        if not isinstance(error, passing):
            return False
        self._retries -= 1
        return self._retries >= 0


def _connect(endpoint: str | None) -> ArtifactRegistryClient:
    """Connect by REST: gRPC's threads do not outlive a fork."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.artifactregistry_v1 import ArtifactRegistryClient
    from google.cloud.artifactregistry_v1.services.artifact_registry.transports import (
        ArtifactRegistryRestTransport,
    )

    if endpoint is None:
        return ArtifactRegistryClient(transport="rest")
    url = urlsplit(endpoint)
    return ArtifactRegistryClient(
        transport=ArtifactRegistryRestTransport(
            host=url.netloc,
            url_scheme=url.scheme,
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        )
    )


def _check_installed() -> None:
    try:
        found = find_spec("google.cloud.artifactregistry_v1")
    except ModuleNotFoundError:
        found = None
    if found is None:
        message = (
            "type google needs the package google-cloud-artifact-registry; install"
            " it with pip install 'nublado[google]'"
        )
        problem = ConfigurationProblem("images.source", None, message)
        raise ConfigurationError("configuration", [problem])
