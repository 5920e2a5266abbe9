"""Everything that talks to Kubernetes."""
