"""Containers that run: processes of this machine that stand for those of pods."""
