"""Clients of outside systems, one per system."""
