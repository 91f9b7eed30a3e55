"""Logs, metrics, traces and the ping URL: how a crawl reports to other systems."""
