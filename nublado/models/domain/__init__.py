"""What the services talk about: dataclasses without I/O."""
