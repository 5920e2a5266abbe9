"""Repertoire, the service discovery, as far as the controller needs it."""

from __future__ import annotations

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.stats import Stats

__all__ = ["DISCOVERY_PATH", "REPERTOIRE_PATH", "Repertoire"]

REPERTOIRE_PATH = "/repertoire"
DISCOVERY_PATH = f"{REPERTOIRE_PATH}/discovery"


class Repertoire:
    """Knows the services of a made-up platform.

    Parameters
    ----------
    stats
        What is counted.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    async def answer(self, request: web.Request) -> web.Response:
        """Tell all services, to anybody."""
        agent = request.headers.get("User-Agent", "")
        self._stats.request("repertoire", request.method, "discovery", agent)
        return web.json_response(discovery(f"{request.scheme}://{request.host}"))


def discovery(base_url: str) -> JSON:
    """Answer of the service discovery of a platform."""
    return {
        "applications": ["gafaelfawr", "nublado", "repertoire", "tap"],
        "datasets": {
            "dp1": {
                "description": "Data Preview 1",
                "butler_config": f"{base_url}/api/butler/repo/dp1/butler.yaml",
                "services": {
                    "tap": {
                        "url": f"{base_url}/api/tap",
                        "openapi": f"{base_url}/api/tap/openapi.json",
                        "versions": {
                            "tap-1.1": {
                                "url": f"{base_url}/api/tap",
                                "ivoa_standard_id": "ivo://ivoa.net/std/TAP",
                            }
                        },
                    }
                },
            }
        },
        "influxdb_databases": {},
        "services": {
            "internal": {
                "gafaelfawr": {
                    "url": f"{base_url}/auth",
                    "openapi": f"{base_url}/auth/openapi.json",
                    "versions": {"v1": {"url": f"{base_url}/auth/api/v1"}},
                }
            },
            "ui": {"nublado": {"url": f"{base_url}/nb/"}},
        },
    }
