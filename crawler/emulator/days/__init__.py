"""Changes the emulated cloud from one day to the next.

Read `days` first. `rules` lists the fields and lists that change, `values` makes the new values.
"""
