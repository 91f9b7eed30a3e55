"""Whole crawls in which a gateway, a resolver or one answer fails: the rest is complete, and no row is lost."""

from __future__ import annotations

import socket
import threading

import anyio
import pytest

from crawler.client import name_lookup
from crawler.emulator import Body, Error, Redirect
from tests.support.crawl_runner import BIG, SMALL, scope_statuses, site

HERE, DEAD = "cn-hangzhou", ("cn-dead-1", "cn-dead-2", "cn-dead-3", "cn-dead-4", "cn-dead-5", "cn-dead-6")
RETRY = "\n[retry]\nmax_attempts = {attempts}\nmax_delay = 0.01\n"
BROKEN = b'{"code": "Forb\xff\xfeidden", "functions": [], "nextToken": "x"}'


def crawled(folder, *, prepare=None, change=str, attempts=4, **crawl):
    async def main():
        async with site(folder) as here:
            if prepare is not None:
                prepare(here.cloud.faults)
            return here, await here.crawl(
                here.config(RETRY.format(attempts=attempts), change=change, tables='["fc_functions"]', **crawl)
            )

    return anyio.run(main, backend_options={"use_uvloop": True})


def functions_of(here):
    return [len(here.cloud.records(account, HERE, "fc.ListFunctions")) for account in (BIG, SMALL)]


@pytest.mark.parametrize(
    "effect",
    [
        Redirect(location="https://elsewhere.example/?token=canary"),
        Body(body=BROKEN),
        Body(body=BROKEN, status=403),
        Body(body=b'{"Code": "Forbidden.RAM", "Mess', status=403),
        Body(body=b"<html>busy</html>", status=404),
    ],
    ids=["redirect", "broken code", "broken code of an error", "cut error", "HTML as JSON"],
)
def test_a_page_that_is_damaged_or_redirected_once_loses_nothing(tmp_path, effect):
    """F88, F89: the same request is sent again, to the same host."""

    def once(faults):
        faults.add(effect, action="ListFunctions", product="fc", account=BIG, nth=(2,))

    here, result = crawled(tmp_path, prepare=once, regions=f'["{HERE}"]')
    assert result.exit_code == 0
    assert len(here.rows("fc_functions")) == sum(functions_of(here))
    assert result.requests.retries == 1


@pytest.mark.parametrize(
    ("effect", "code", "said"),
    [
        (
            Redirect(location="https://elsewhere.example/?token=canary"),
            "RedirectRefused",
            "redirect to elsewhere.example",
        ),
        (Body(body=BROKEN), "InvalidResponse", "no complete JSON"),
        (Body(body=BROKEN, status=400), "InvalidResponse", "HTTP 400 and no complete JSON"),
    ],
    ids=["redirect", "broken code", "broken code of an error"],
)
def test_a_list_that_is_always_damaged_or_redirected_fails_with_the_last_reason(tmp_path, effect, code, said):
    """F88, F89."""

    def always(faults):
        faults.add(effect, action="ListFunctions", product="fc", account=BIG)

    _, result = crawled(tmp_path, prepare=always, attempts=3, regions=f'["{HERE}"]')
    assert result.exit_code == 3
    [reason] = result.manifest.scopes.not_complete
    assert (reason.account_id, reason.status, reason.error_code) == (BIG, "failed", code)
    assert said in reason.error_message
    assert "canary" not in reason.error_message
    assert reason.requests == 3


def test_regions_whose_names_are_not_answered_fail_alone(tmp_path, monkeypatch):
    """F85, F18: with uvloop, and with more such names than it has threads for lookups."""
    answered, real = threading.Event(), socket.getaddrinfo

    def resolver(host, *more):
        if "dead" in str(host):
            answered.wait(60)
        return real("127.0.0.1" if host == "localhost" else host, *more)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(name_lookup, "PATIENCE_S", 0.1)

    def by_name(text):
        before, table, after = text.partition("[endpoints.fc]\n")
        regions = "".join(f'{region} = "https://fcv3.{region}.aliyuncs.com"\n' for region in DEAD)
        return (
            before + table + regions + after.replace(f'{HERE} = "http://127.0.0.1:', f'{HERE} = "http://localhost:', 1)
        )

    def unlisted(faults):  # so that the regions are those of the configuration
        faults.add(Error(status=404, code="InvalidAction.NotFound"), action="DescribeRegions")

    try:
        here, result = crawled(
            tmp_path, prepare=unlisted, change=by_name, attempts=2, regions=str([HERE, *DEAD]).replace("'", '"')
        )
    finally:
        answered.set()
    assert result.exit_code == 3
    assert len(here.rows("fc_functions")) == sum(functions_of(here))
    assert scope_statuses(result) == {
        (account, region, "fc_functions"): "failed" for account in (BIG, SMALL) for region in DEAD
    }
    assert {row.error_code for row in result.ledger if row.status == "failed"} == {"DnsFailed"}
