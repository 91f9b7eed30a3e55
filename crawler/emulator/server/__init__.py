"""The HTTP server of the emulator: routing, signatures, throttling, paging and envelopes.

Read `server`, then `gateway` and `service`.
"""
