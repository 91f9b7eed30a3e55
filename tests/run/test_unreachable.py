"""A cloud that can't be reached is exit code 13: nothing was judged, and another attempt may help."""

from __future__ import annotations

import anyio
import pytest

from crawler.emulator.faults.effects import Error, Refuse, Throttle
from crawler.errors import CredentialsError, ExitCode, UnreachableError
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, site

ONE_ATTEMPT = "\n[retry]\nmax_attempts = 1\n"
TABLES = {"tables": '["fc_functions", "opensearch_app_groups"]', "regions": '["cn-hangzhou"]'}


def crawled(folder, cloud, change=str, **crawl):
    async def main():
        async with site(folder, cloud) as here:
            return await here.crawl(here.config(ONE_ATTEMPT, change=change, **{**TABLES, **crawl}))

    return anyio.run(main)


@pytest.mark.parametrize(
    "fault", [Refuse(), Throttle(), Error(status=503, code="ServiceUnavailable")], ids=["cut", "throttled", "down"]
)
def test_credentials_that_no_service_has_judged_are_never_called_wrong(tmp_path, fault):
    cloud = fast_cloud()
    cloud.faults.add(fault, product="sts")
    with pytest.raises(UnreachableError, match="The cloud can't be reached; try again") as told:
        crawled(tmp_path, cloud)
    assert told.value.exit_code == ExitCode.UNREACHABLE
    assert "credentials work" not in str(told.value)
    assert BIG in str(told.value)
    assert SMALL in str(told.value)


def test_the_sentence_names_the_host_that_was_not_reached(tmp_path):
    cloud = fast_cloud()
    cloud.faults.add(Refuse(), product="sts")
    with pytest.raises(UnreachableError, match=r"ConnectionFailed: The connection to 127\.0\.0\.1:[0-9]+ broke"):
        crawled(tmp_path, cloud)


def test_one_account_that_was_not_judged_makes_another_attempt_worth_it(tmp_path):
    cloud = fast_cloud()
    cloud.faults.add(Refuse(), product="sts", account=SMALL)
    with pytest.raises(UnreachableError, match="The credentials of 1 other account don't work"):
        crawled(tmp_path, cloud, lambda text: text.replace("${EMULATOR_KEY_SECRET_1}", "wrong"))


def test_accounts_that_were_all_judged_are_refused(tmp_path):
    def wrong(text):
        return text.replace("${EMULATOR_KEY_SECRET_1}", "wrong").replace("${EMULATOR_KEY_SECRET_2}", "wrong")

    with pytest.raises(CredentialsError, match="No account's credentials work") as told:
        crawled(tmp_path, fast_cloud(), wrong)
    assert told.value.exit_code == ExitCode.CREDENTIALS


def test_one_account_that_works_is_crawled(tmp_path):
    cloud = fast_cloud()
    cloud.faults.add(Refuse(), product="sts", account=SMALL)
    result = crawled(tmp_path, cloud)
    assert result.exit_code == ExitCode.PARTIAL
    assert {row.error_code for row in result.ledger if row.account_id == SMALL} == {"Unreachable"}


def test_lists_without_an_answer_commit_nothing_and_ask_for_another_attempt(tmp_path):
    cloud = fast_cloud()
    for product in ("fc", "opensearch"):
        cloud.faults.add(Refuse(), product=product)
    result = crawled(tmp_path, cloud)
    assert (result.exit_code, result.manifest) == (ExitCode.UNREACHABLE, None)
    assert {row.error_code for row in result.ledger} == {"ConnectionFailed"}


def test_a_product_without_an_answer_beside_a_whole_one_is_a_partial_snapshot(tmp_path):
    cloud = fast_cloud()
    cloud.faults.add(Refuse(), product="opensearch")
    assert crawled(tmp_path, cloud).exit_code == ExitCode.PARTIAL


def test_a_wrong_session_token_is_answered_with_its_remedy(tmp_path):
    cloud = fast_cloud()
    cloud.faults.add(Error(status=400, code="InvalidSecurityToken.MismatchWithAccessKey"), product="sts")
    with pytest.raises(CredentialsError, match="get new temporary keys: key, secret and token are issued together"):
        crawled(tmp_path, cloud)
