"""The emulator's HTTP server: routing, signatures, throttling, paging. Read `server`, then `gateway` and `service`."""
