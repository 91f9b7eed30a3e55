"""The resources of the emulated cloud, generated from a seed.

Read `seeded` (deterministic choices) and `region` (the data of one region) first.
"""
