"""Nublado: the controller that spawns JupyterLab pods for a science platform."""

__version__ = "0.1.0"
