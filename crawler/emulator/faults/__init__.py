"""Faults on demand: scripts of faults, their effects on a response, and their TOML form."""
