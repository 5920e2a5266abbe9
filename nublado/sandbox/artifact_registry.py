"""Google Artifact Registry's REST API, for the images of the Docker registry.

References
----------
https://cloud.google.com/artifact-registry/docs/reference/rest
"""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.registry import Registry

__all__ = ["ArtifactRegistry"]

_BASE = "/v1/projects/{project}/locations/{location}/repositories/{repository}"
_IMAGE_BYTES = 3_500_000_000
_MOST_ON_PAGE = 1000


class ArtifactRegistry:
    """Tells of the repositories named ``PROJECT/REPOSITORY/IMAGE``.

    Parameters
    ----------
    registry
        Has the images.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def add_routes(self, app: web.Application) -> None:
        """Add the routes to the application of the registry."""
        app.router.add_get(f"{_BASE}/dockerImages", self._list)
        app.router.add_get(f"{_BASE}/dockerImages/{{image}}", self._image)
        app.router.add_get(f"{_BASE}/packages/{{package}}/tags/{{tag}}", self._tag)

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
        project, repository = (
            request.match_info["project"],
            request.match_info["repository"],
        )
        package, tag = (
            unquote(request.match_info["package"]),
            request.match_info["tag"],
        )
        tags = self._registry.repositories.get(f"{project}/{repository}/{package}", {})
        if tag not in tags:
            return _not_found(request)
        name = request.path.removeprefix("/v1/")
        version = f"{name.rpartition('/tags/')[0]}/versions/{tags[tag]}"
        return web.json_response({"name": name, "version": version})

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


def _not_found(request: web.Request) -> web.Response:
    error = {
        "code": 404,
        "message": f"{request.path} not found",
        "status": "NOT_FOUND",
    }
    return web.json_response({"error": error}, status=404)
