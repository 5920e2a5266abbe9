"""The pod in which operators have all file systems: created and removed."""
