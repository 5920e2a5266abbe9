# ruff: noqa: INP001
"""JupyterHub as `nublado hub` runs it, on one machine.

What is special about one machine comes from the settings file; the rest is what
a deployment would have as well, see docs/jupyterhub.md.
"""

import json
import os
from pathlib import Path

from nublado.sandbox.lab_names import LabNames

settings = json.loads(Path(os.environ["NUBLADO_HUB_SETTINGS"]).read_text())
directory = settings["directory"]

c = get_config()  # type: ignore[name-defined]  # noqa: F821

# The controller, and who the users are
c.JupyterHub.spawner_class = "nublado"
c.NubladoSpawner.controller_url = settings["controller_url"]
c.NubladoSpawner.token_file = f"{directory}/hub-token"
c.NubladoSpawner.http_timeout = 180
c.NubladoSpawner.poll_interval = settings["poll_interval"]
c.JupyterHub.authenticator_class = "nublado"
c.IngressAuthenticator.gafaelfawr_url = settings["gafaelfawr_url"]
c.IngressAuthenticator.admin_users = {"admin"}

# The controller's page of a spawn, inside of JupyterHub's
c.JupyterHub.template_paths = [str(Path(__file__).parent / "hub-templates")]
c.JupyterHub.template_vars = {"nublado_url": settings["controller_path"]}

# Labs and proxy live on while JupyterHub is down
c.JupyterHub.cleanup_servers = False
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = settings["proxy_api_url"]

# Where everything is
c.JupyterHub.bind_url = settings["bind_url"]
c.JupyterHub.hub_bind_url = settings["hub_bind_url"]
c.JupyterHub.db_url = f"sqlite:///{directory}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{directory}/cookie-secret"
c.JupyterHubHTTPClient.connector_options = {
    "resolver": LabNames(settings["control_url"]),
    "use_dns_cache": False,
}

# A token for JupyterHub's own API
c.JupyterHub.services = [{"name": "operator", "api_token": settings["api_token"]}]
c.JupyterHub.load_roles = [
    {
        "name": "operator",
        "scopes": ["admin:users", "admin:servers", "list:users", "proxy", "shutdown"],
        "services": ["operator"],
    }
]
