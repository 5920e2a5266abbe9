"""Pure functions that read objects, events and errors of Kubernetes back."""
