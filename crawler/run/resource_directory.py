"""The resource directory: which member accounts an organization has, and which of them a crawl goes to.

Facts: the API reference of ListAccounts (ResourceDirectoryMaster 2022-04-19), its quotas and its endpoints, and
alibabacloud-resourcedirectorymaster20220419 2.3.1, all checked 2026-11-22. Only the directory's management account and
delegated administrators of a trusted service may ask.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crawler.catalog.model import Paging
from crawler.client.client import Client, RequestCounts, SignedAccount
from crawler.client.request import ApiRequest
from crawler.errors import PaginationError
from crawler.normalizer.exact_json import find
from crawler.run.discovery import read_object
from crawler.run.pagination import WalkStatus, pager_for
from crawler.snapshot.manifest import SkippedMember
from crawler.text import ACCOUNT_ID, printable

PRODUCT = "resourcedirectory"
VERSION = "2022-04-19"
# The China site's; accounts of the international site have resourcedirectory-intl.aliyuncs.com.
ENDPOINT = "https://resourcedirectory.aliyuncs.com"
RAM_ACTION = "resourcemanager:ListAccounts"

# By number though newer gateways have tokens too: one that doesn't know MaxResults would answer ten members and no
# token, and that would pass for the whole list. By number there is a total to compare with.
_PAGING = Paging("page-number", input_key="PageNumber", limit_key="PageSize", limit=100, total_key="TotalCount")

# A member whose creation isn't over, or never will be: in the vendor's Terraform provider, as values of
# alicloud_resource_manager_accounts. ListAccounts itself documents CreateSuccess, InviteSuccess, and Promote*, which is
# about the upgrade of a member that is there, whatever becomes of it.
_NOT_CREATED = frozenset({"CreateVerifying", "CreateFailed", "CreateExpired", "CreateCancelled"})
# Not among the documented values, and unmistakable: nobody could assume a role there.
_NOT_THERE = frozenset({"Suspended", "Removed"})
_DELETING = "Deleting"

_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Member:
    """One member account. `name` is printable; `status` and `deletion` are the directory's words, or empty."""

    account_id: str
    name: str = ""
    status: str = ""
    deletion: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The members by their account IDs, each once; how whole the list is, and how it was walked."""

    members: tuple[Member, ...]
    status: WalkStatus
    note: str


@dataclass(frozen=True, slots=True)
class _Page:
    members: tuple[Member, ...]
    total: Any
    token: None = None

    @property
    def seen(self) -> int:
        return len(self.members)

    @property
    def keys(self) -> list[str]:
        return [member.account_id for member in self.members]

    digests = keys


async def list_members(client: Client, caller: SignedAccount, tally: RequestCounts) -> Listing:
    """Every page of ListAccounts.

    Raises ApiError, and PaginationError where the list isn't there, doesn't end, or has a member without an account ID.
    """
    channel = client.channel(caller.account_id, "", PRODUCT, "ListAccounts")

    async def fetch(parameters: Mapping[str, str]) -> _Page:
        request = ApiRequest(PRODUCT, VERSION, "ListAccounts", "", "/", parameters, {})
        return await client.call(request, caller, channel, _read, tally)

    walk = pager_for(_PAGING, fetch)
    members: dict[str, Member] = {}

    async def take(page: _Page, *, restarts: bool) -> None:
        if restarts:
            members.clear()
        for member in page.members:
            members.setdefault(member.account_id, member)

    await walk.run(take)
    return Listing(tuple(members[account_id] for account_id in sorted(members)), walk.status, walk.note)


def choose_members(
    members: Sequence[Member],
    configured: Collection[str],
    exclude: Collection[str],
    only: Literal["all"] | Sequence[str],
) -> tuple[list[Member], list[SkippedMember]]:
    """The members to crawl, and those left out. A configured account is neither, nor one that `only` doesn't name."""
    chosen, left_out = [], []
    for member in members:
        if member.account_id in configured or (only != "all" and member.account_id not in only):
            continue
        reason = _EXCLUDED if member.account_id in exclude else why_not_active(member)
        if reason:
            left_out.append(SkippedMember(member.account_id, member.name, reason))
        else:
            chosen.append(member)
    return chosen, left_out


_EXCLUDED = "[organization] exclude names it."


def why_not_active(member: Member) -> str:
    """A sentence for a member that the directory says is not there yet, or not for long; "" for all others.

    A status that nobody has documented is no reason: whether the account is there shows when its role is assumed.
    """
    if member.status in _NOT_CREATED | _NOT_THERE:
        return f"It isn't active: the resource directory has its status as {member.status}."
    if member.deletion == _DELETING:
        return f"It isn't active: the resource directory has its deletion status as {member.deletion}."
    return ""


def _read(body: bytes) -> _Page:
    answer = read_object(body)
    accounts = _field(answer, "Accounts")
    records = _field(accounts, "Account") if isinstance(accounts, dict) else None
    if not isinstance(records, list):
        raise PaginationError("ListMissing", "resourcedirectory ListAccounts gave no list of accounts.")
    return _Page(tuple(_member(record) for record in records), _field(answer, "TotalCount"))


def _member(record: Any) -> Member:
    """Folders and messages are named after the ID, and nothing may be left out for want of one."""
    account_id = _text(record, "AccountId")
    if not ACCOUNT_ID.fullmatch(account_id):
        raise PaginationError("MemberInvalid", "resourcedirectory ListAccounts gave a member without an account ID.")
    name = printable(_text(record, "DisplayName"))[:_LONGEST_NAME]
    return Member(account_id, name, _text(record, "Status"), _text(record, "DeletionStatus"))


def _text(record: Any, name: str) -> str:
    value = _field(record, name) if isinstance(record, dict) else None
    return value if isinstance(value, str) else str(value) if type(value) is int else ""


def _field(value: Mapping[str, Any], name: str) -> Any:
    found = find(dict(value), name)
    return None if found is None else value[found]
