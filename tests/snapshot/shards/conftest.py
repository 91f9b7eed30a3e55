"""Outputs in which the processes of a run meet; requests are retried without a pause."""

from tests.support.bucket_sites import impatient, server  # noqa: F401 - fixtures
from tests.support.run_places import any_place, place  # noqa: F401 - fixtures
