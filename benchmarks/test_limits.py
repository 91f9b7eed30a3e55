"""In virtual time: the time of a crawl compared with the least time, and a bucket that finds an unknown rate."""

from __future__ import annotations

import pytest

from benchmarks.adaptation import find_and_follow, servers, simulate
from benchmarks.limits import (
    FC_FEW,
    NUMBERED,
    SLOW,
    TREE,
    Shape,
    crawl,
    functions_only,
    functions_with_triggers,
    numbered,
    regions,
    tree,
)
from benchmarks.virtual_cloud import ServerBucket, Windows
from crawler.catalog import load_catalog
from crawler.client.rate_limit import LimitRule

CATALOG = load_catalog()


@pytest.mark.parametrize(
    "shape",
    [
        Shape("a chain of pages", 1, regions(1), ["fc_functions"], functions_only(5000), 50 * 0.08),
        Shape("a busy bucket", 1, regions(1), ["fc_functions", "fc_triggers"], functions_with_triggers(400), 0.4),
        Shape("scarce places", 20, regions(2), FC_FEW, functions_with_triggers(2), 0.16, concurrency=4),
        Shape(
            "a slow region",
            1,
            regions(4),
            ["fc_functions"],
            functions_only(2500),
            25 * 2.0,
            concurrency=8,
            slow={"cn-r01": SLOW},
        ),
        Shape("pages by number", 1, regions(1), [NUMBERED], numbered(1950), 0.8),
        Shape("five levels", 1, regions(1), [TREE], tree(20, 2, 2, 3), 0.4),
    ],
    ids=lambda shape: shape.name,
)
def test_a_crawl_takes_the_least_time_and_five_percent_at_most_and_is_never_refused(shape):
    found = crawl(shape, CATALOG)
    assert {str(row.status) for row in found.ledger} == {"complete"}
    assert found.ratio <= 1.05
    assert found.refused == 0


@pytest.mark.parametrize("rate", [5, 20, 50])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nobody_is_refused_where_the_rate_is_right(rate, seed):
    for server in (ServerBucket(rate, 5), ServerBucket(rate, 20), Windows(rate)):
        burst = 1 if isinstance(server, Windows) else int(server.burst)
        run = simulate(LimitRule(rate, burst), server, 60, seed=seed)
        assert run.throttled == []
        assert run.rate(1, 60) >= 0.96 * rate


@pytest.mark.parametrize("hints", [False, True])
@pytest.mark.parametrize("kind", servers())
@pytest.mark.parametrize(
    ("told", "real"), [(50, 25), (50, 10), (20, 5), (20, 2), pytest.param(50, 40, marks=pytest.mark.trust)]
)
def test_a_lower_rate_that_nobody_told_is_found_and_held_and_one_that_rises_is_followed(told, real, kind, hints):
    """Within 10 % after 30 s, under 2 % refused from then on, and within 60 s up again."""
    held = find_and_follow(told, real, servers()[kind], hints=hints)
    assert held.is_within, held
    assert held.waste < (0.02 if real > 2 else 0.032), "at 2 a second the search alone is 1 % of 300 s"
