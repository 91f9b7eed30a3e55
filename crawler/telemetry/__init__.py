"""Reports of a crawl to other systems, one module each: `logs`, `metrics`, `tracing` and `ping`."""
