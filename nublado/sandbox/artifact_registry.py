"""Google Artifact Registry's REST API, for the images of the Docker registry.

References
----------
https://cloud.google.com/artifact-registry/docs/reference/rest
"""

from __future__ import annotations

from itertools import count
from urllib.parse import unquote

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.registry import Registry

__all__ = ["ArtifactRegistry"]

_BASE = "/v1/projects/{project}/locations/{location}/repositories/{repository}"
_OPERATION = "/v1/projects/{project}/locations/{location}/operations/{operation}"
_IMAGE_BYTES = 3_500_000_000
_MOST_ON_PAGE = 1000
_MOST_IN_BATCH = 10_000


class ArtifactRegistry:
    """Tells of the repositories named ``PROJECT/REPOSITORY/IMAGE``.

    Parameters
    ----------
    registry
        Has the images.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._untagged: dict[str, set[str]] = {}
        self._operations = count(1)

    def add_routes(self, app: web.Application) -> None:
        """Add the routes to the application of the registry."""
        app.router.add_get(f"{_BASE}/dockerImages", self._list)
        app.router.add_get(f"{_BASE}/dockerImages/{{image}}", self._image)
        package = f"{_BASE}/packages/{{package}}"
        app.router.add_get(f"{package}/tags/{{tag}}", self._tag)
        app.router.add_delete(f"{package}/tags/{{tag}}", self._delete_tag)
        app.router.add_post(f"{package}/versions:batchDelete", self._delete_versions)
        app.router.add_get(_OPERATION, self._operation)

    async def _list(self, request: web.Request) -> web.Response:
        self._count(request, "dockerImages")
        images = self._images(request)
        start = int(request.query.get("pageToken") or 0)
        size = min(int(request.query.get("pageSize") or 100), _MOST_ON_PAGE)
        answer: JSON = {"dockerImages": images[start : start + size]}
        if start + size < len(images):
            answer["nextPageToken"] = str(start + size)
        return web.json_response(answer)

    async def _image(self, request: web.Request) -> web.Response:
        self._count(request, "dockerImage")
        wanted = unquote(request.match_info["image"])
        for image in self._images(request):
            if unquote(image["name"]).endswith(f"/dockerImages/{wanted}"):
                return web.json_response(image)
        return _not_found(request)

    async def _tag(self, request: web.Request) -> web.Response:
        self._count(request, "tag")
        tag = request.match_info["tag"]
        tags = self._registry.repositories.get(_repository_of(request), {})
        if tag not in tags:
            return _not_found(request)
        name = request.path.removeprefix("/v1/")
        version = f"{name.rpartition('/tags/')[0]}/versions/{tags[tag]}"
        return web.json_response({"name": name, "version": version})

    async def _delete_tag(self, request: web.Request) -> web.Response:
        """Take a tag away; its image, which has no name then, stays."""
        self._count(request, "tag")
        repository, tag = _repository_of(request), request.match_info["tag"]
        tags = self._registry.repositories.get(repository, {})
        if tag not in tags:
            return _not_found(request)
        self._untagged.setdefault(repository, set()).add(tags.pop(tag))
        return web.json_response({})

    async def _delete_versions(self, request: web.Request) -> web.Response:
        """Delete images all together, or none of them.

        References
        ----------
        https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.packages.versions/batchDelete
        """
        self._count(request, "versions")
        repository = _repository_of(request)
        names: list[str] = (await request.json()).get("names", [])
        digests = {name.rpartition("/")[2] for name in names}
        tagged = set(self._registry.repositories.get(repository, {}).values())
        untagged = self._untagged.get(repository, set())
        if len(names) > _MOST_IN_BATCH:
            return _failed(400, "INVALID_ARGUMENT", "too many names")
        if unknown := digests - tagged - untagged:
            return _failed(404, "NOT_FOUND", f"{min(unknown)} not found")
        if found := digests & tagged:
            why = f"{min(found)} is tagged, and may not be deleted"
            return _failed(400, "FAILED_PRECONDITION", why)
        untagged -= digests
        match = request.match_info
        place = f"projects/{match['project']}/locations/{match['location']}"
        name = f"{place}/operations/{next(self._operations)}"
        return web.json_response({"name": name, "done": False})

    async def _operation(self, request: web.Request) -> web.Response:
        """Tell of an operation, all of which are over when they are asked for."""
        self._count(request, "operation")
        name = request.path.removeprefix("/v1/")
        response = {"@type": "type.googleapis.com/google.protobuf.Empty"}
        return web.json_response({"name": name, "done": True, "response": response})

    def _images(self, request: web.Request) -> list[JSON]:
        """All images of a Google repository, whatever their names."""
        match = request.match_info
        prefix = f"{match['project']}/{match['repository']}/"
        parent = request.path.partition("/dockerImages")[0].removeprefix("/v1/")
        found = []
        for path, tags in sorted(self._registry.repositories.items()):
            if not path.startswith(prefix):
                continue
            by_digest: dict[str, list[str]] = {}
            for tag, digest in tags.items():
                by_digest.setdefault(digest, []).append(tag)
            name = path.removeprefix(prefix)
            host = f"{match['location']}-docker.pkg.dev"
            found += [
                {
                    "name": f"{parent}/dockerImages/{name}@{digest}",
                    "uri": f"{host}/{path}@{digest}",
                    "tags": names,
                    "imageSizeBytes": str(_IMAGE_BYTES),
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                }
                for digest, names in by_digest.items()
            ]
        return found

    def _count(self, request: web.Request, route: str) -> None:
        agent = request.headers.get("User-Agent", "")
        self._registry.stats.request("registry", request.method, route, agent)


def _repository_of(request: web.Request) -> str:
    """Name that the registry has for the images of a package."""
    match = request.match_info
    package = unquote(match["package"])
    return f"{match['project']}/{match['repository']}/{package}"


def _not_found(request: web.Request) -> web.Response:
    return _failed(404, "NOT_FOUND", f"{request.path} not found")


def _failed(code: int, status: str, message: str) -> web.Response:
    error = {"code": code, "message": message, "status": status}
    return web.json_response({"error": error}, status=code)
