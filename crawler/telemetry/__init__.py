"""Logs, metrics, traces and the ping URL: the ways in which a crawl reports to other systems."""
