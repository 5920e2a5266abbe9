"""What the controller talks about: domain objects and API schemas."""
