"""What sets the project up and checks it; no part of the service."""
