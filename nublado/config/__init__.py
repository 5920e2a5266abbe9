"""Configuration: one YAML file, checked completely before anything starts."""
