"""Answers that aren't pages of tables: their bytes, values and records are bounded by what they are for."""

from __future__ import annotations

import json

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.client.client import RequestCounts, SignedAccount
from crawler.config.sections import Account
from crawler.errors import ApiError, FatalError, PaginationError, TransientError
from crawler.run.discovery import StsCall, caller_identity, describe_regions, read_object
from crawler.run.resource_directory import MAX_MEMBERS, list_members
from crawler.run.session import _AT_ONCE, ResolvedAccount, _concurrently
from crawler.testing import FakeProvider, FakeSender, answer, client_over

ACCOUNT = "1000000000000001"
CALLER = SignedAccount(ACCOUNT, FakeProvider())
FC = load_catalog().products["fc"]
MIB = 1 << 20
HOSTS = dict.fromkeys(("fc", "sts", "resourcedirectory"), "https://127.0.0.1:1")


def client(answers):
    sender = FakeSender(answers)
    return client_over(sender, HOSTS), sender


async def regions(body: bytes):
    made, sender = client([answer(body=body)])
    found = await describe_regions(made, FC, CALLER, "cn-hangzhou", RequestCounts())
    assert {request.max_bytes for request in sender.sent} == {MIB}
    return found


async def identity(body: bytes):
    made, sender = client([answer(body=body)])
    found = await caller_identity(StsCall(made, ACCOUNT, RequestCounts()), FakeProvider().credentials)
    assert {request.max_bytes for request in sender.sent} == {MIB // 4}
    return found


async def members(body: bytes):
    made, sender = client([answer(body=body)])
    try:
        return await list_members(made, CALLER, RequestCounts())
    finally:
        assert {request.max_bytes for request in sender.sent} == {MIB}


def wrapped(body: bytes) -> bytes:
    """The answers of all three operations in one."""
    good = {
        "AccountId": ACCOUNT,
        "Regions": {"Region": [{"RegionId": "cn-hangzhou"}]},
        "Accounts": {"Account": [{"AccountId": ACCOUNT}]},
        "TotalCount": 1,
    }
    return json.dumps(good).encode()[:-1] + b',"more":' + body + b"}"


async def test_answers_of_the_usual_size_are_taken():
    body = wrapped(b"[" + b"1," * 1000 + b"1]")
    assert list((await regions(body)).hosts) == ["cn-hangzhou"]
    assert await identity(body) == ACCOUNT
    assert [member.account_id for member in (await members(body)).members] == [ACCOUNT]


EXCESSIVE = {
    "digits": b"9" * 900_000,
    "depth": b"[" * 200_000 + b"]" * 200_000,
    "numbers": b"[" + b"1," * 600_000 + b"1]",
    "names": b"{" + b",".join(b'"%d":1' % n for n in range(600_000)) + b"}",
}


@pytest.mark.parametrize("ask", [regions, identity, members])
@pytest.mark.parametrize("more", EXCESSIVE.values(), ids=EXCESSIVE)
async def test_an_excessive_answer_is_an_error_of_its_kind(ask, more):
    """T47: of STS, of DescribeRegions and of the resource directory; each caller knows the error."""
    with pytest.raises((ApiError, PaginationError)) as caught:
        await ask(wrapped(more))
    assert caught.value.code in {"Excessive", "InvalidResponse"}


@pytest.mark.parametrize("number", [501, 45_000])
async def test_more_regions_than_the_cloud_will_ever_have_are_refused(number):
    """T47: each of them would add a hundred scopes to each account."""
    body = json.dumps({"Regions": {"Region": [{"RegionId": f"cn-{n}"} for n in range(number)]}}).encode()
    with pytest.raises(PaginationError, match=f"Excessive: fc DescribeRegions returned {number} regions"):
        await regions(body)


async def test_a_page_of_the_directory_with_far_more_members_than_were_asked_for_is_refused():
    """T47."""
    body = json.dumps({"Accounts": {"Account": [{"AccountId": str(n)} for n in range(45_000)]}}).encode()
    with pytest.raises(PaginationError, match=r"Excessive: .* 45000 members on a page of 100"):
        await members(body)


async def test_a_directory_that_does_not_end_is_cut_off():
    """T47: at several times the members of the largest quota."""
    asked = []

    def page(request):
        number = len(asked)
        asked.append(number)
        records = [{"AccountId": str(10**15 + 100 * number + n)} for n in range(100)]
        return answer(body=json.dumps({"Accounts": {"Account": records}, "TotalCount": 10**9}).encode())

    made, _ = client(page)
    with pytest.raises(PaginationError, match=f"TooManyMembers: .* more than {MAX_MEMBERS} members"):
        await list_members(made, CALLER, RequestCounts())
    assert len(asked) == MAX_MEMBERS // 100 + 1


@pytest.mark.parametrize("body", [b'{"AccountId": "1000\xff"}', b'{"AccountId": "1000', b"<html>"])
async def test_a_damaged_answer_is_asked_for_again(body):
    """F88."""
    made, sender = client([answer(body=body), answer(body=wrapped(b"1"))])
    assert await caller_identity(StsCall(made, ACCOUNT, RequestCounts()), FakeProvider().credentials) == ACCOUNT
    assert len(sender.sent) == 2


async def test_a_redirect_is_asked_for_again_at_the_same_host():
    """F89: one in a list of many pages fails nothing; the last attempt's is the error."""
    moved = answer(302, headers={"Location": "https://evil.example/?token=canary"})
    made, sender = client([moved, moved, answer(body=wrapped(b"1"))])
    assert await caller_identity(StsCall(made, ACCOUNT, RequestCounts()), FakeProvider().credentials) == ACCOUNT
    assert {request.url.partition("/?")[0] for request in sender.sent} == {"https://127.0.0.1:1/"}
    made, sender = client([moved])
    with pytest.raises(TransientError, match=r"RedirectRefused: the answer is a redirect to evil\.example") as caught:
        await caller_identity(StsCall(made, ACCOUNT, RequestCounts()), FakeProvider().credentials)
    assert "canary" not in str(caught.value)
    assert len(sender.sent) == 8


def test_excess_is_final_and_damage_is_not():
    """T47."""
    with pytest.raises(FatalError, match="Excessive"):
        read_object(b"[" + b"1," * 600_000 + b"1]")
    with pytest.raises(TransientError, match="InvalidResponse"):
        read_object(b'{"a": 1')


async def test_a_directory_of_any_size_is_tried_by_a_bounded_number_of_tasks():
    """T47, P11: the results come in the order of the accounts."""
    accounts = [Account(id=str(10**15 + n)) for n in range(3 * _AT_ONCE)]
    busy = most = 0

    async def one(account: Account) -> ResolvedAccount:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await anyio.lowlevel.checkpoint()
        busy -= 1
        return ResolvedAccount(account, CALLER)

    found = await _concurrently(accounts, one)
    assert [each.account for each in found] == accounts
    assert most == _AT_ONCE
    assert await _concurrently([], one) == []
