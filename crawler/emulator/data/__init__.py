"""Generates the resources of the emulated cloud from a seed.

Read `seeded` (deterministic choices) and `region` (the data of one region) first.
"""
