"""Outputs in buckets for every test here; requests are retried without a pause."""

from tests.support.bucket_sites import fake, impatient, server, site  # noqa: F401 - fixtures
