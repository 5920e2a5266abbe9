"""Pure functions from configuration, user and image to Kubernetes objects."""
