"""The soak: five million functions through faults of every kind, and every row of them judged. See `__main__`.

Reading order: `world` (what there is), `faults` (what goes wrong), `served` (the emulator as a process), `watched` (the
command with a look at what it leaves), `crawling` (one crawl from outside), `expected` and `judge`, `figures`.
"""
