"""Errors in XML and pages of proxies, at every call of a crawl: identity, roles, members, regions and lists."""

from __future__ import annotations

import anyio
import pytest

from crawler.emulator import CloudOrganization, Error, HtmlFault, Throttle
from crawler.errors import ConfigError
from crawler.snapshot.status import Status
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, scope_statuses, site

RETRY = "\n[retry]\nmax_delay = 0.01\n"
SLOW_DOWN = Throttle(status=400, retry_after_ms=1, form="xml")
STALE = Error(status=400, code="InvalidTimeStamp.Expired", form="xml")


def crawl_with(folder, cloud, **crawl):
    async def main():
        async with site(folder, cloud) as here:
            config = here.config(RETRY, tables='["fc_functions"]', regions='["cn-hangzhou"]', **crawl)
            return await here.crawl(config)

    return anyio.run(main)


@pytest.mark.parametrize("fault", [SLOW_DOWN, STALE], ids=["throttle", "resign"])
def test_f91_every_call_reads_a_passing_error_in_xml_and_goes_on(tmp_path, fault):
    """F91: as for the same code in JSON, the call is tried again, and the crawl is complete."""
    cloud = fast_cloud(accounts=(BIG, SMALL), organization=CloudOrganization())
    actions = ("GetCallerIdentity", "AssumeRole", "ListAccounts", "DescribeRegions", "ListFunctions")
    rules = [cloud.faults.add(fault, action=action, times=1) for action in actions]
    result = crawl_with(tmp_path, cloud)
    assert [rule.fired for rule in rules] == [1] * len(actions)
    assert (result.exit_code, scope_statuses(result)) == (0, {})
    assert {row.account_id for row in result.ledger} == {BIG, SMALL}
    assert result.requests.retries == len(actions)


@pytest.mark.parametrize("status", [400, 403, 407])
def test_f91_the_page_of_a_proxy_at_sts_is_no_verdict_about_the_credentials(tmp_path, status):
    """F91."""
    cloud = fast_cloud(accounts=(BIG,))
    cloud.faults.add(HtmlFault(status=status), product="sts")
    with pytest.raises(ConfigError, match=rf"STS can't identify the credentials: Http{status}: "):
        crawl_with(tmp_path, cloud)


def test_f91_the_page_of_a_firewall_at_a_list_is_a_failure_without_a_permission(tmp_path):
    """F91."""
    cloud = fast_cloud(accounts=(BIG, SMALL))
    cloud.faults.add(HtmlFault(status=403), account=SMALL, action="ListFunctions")
    rows = [row for row in crawl_with(tmp_path, cloud).ledger if row.account_id == SMALL]
    assert [(row.status, row.error_code) for row in rows] == [(Status.FAILED, "Http403")]
    assert "fc:" not in rows[0].error_message
