"""How the emulated cloud changes from one day to the next.

Read `days` first; `rules` lists the kinds of change and `values` makes the new values.
"""
