"""Checks of the service's health, each of which looks at what is in memory."""
