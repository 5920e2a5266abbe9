"""What JupyterHub needs to have its labs spawned by the controller.

Runs within JupyterHub's process, and knows the controller by its REST API
alone: nothing here imports the service, and the service imports nothing of this.
"""

from __future__ import annotations

from nublado.jupyterhub.authenticator import IngressAuthenticator
from nublado.jupyterhub.spawner import NubladoSpawner

__all__ = ["IngressAuthenticator", "NubladoSpawner"]
