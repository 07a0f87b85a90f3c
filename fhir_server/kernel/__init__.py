"""Discover, verify, register and freeze plugins; run their jobs."""
