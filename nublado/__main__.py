"""``python -m nublado`` is the same as ``nublado``."""

from nublado.cli import main

main()
