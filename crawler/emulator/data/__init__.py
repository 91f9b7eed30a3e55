"""Generates the emulated cloud's resources from a seed. Read `seeded` (deterministic choices) and `region` first."""
