"""The soak: crawls five million functions through faults of all kinds and checks every row. See `__main__`.

Reading order: `world` (the data), `faults`, `served` (the emulator as a process), `watched` (the command, with a report
of leaked resources), `crawling` (runs one crawl), `expected` and `judge` (check the result), `figures`.
"""
