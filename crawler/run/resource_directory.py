"""The resource directory: lists the member accounts of an organization and selects those to crawl.

Sources: the API reference of ListAccounts (ResourceDirectoryMaster 2022-04-19), its quotas and its endpoints, and
alibabacloud-resourcedirectorymaster20220419 2.3.1, all checked 2026-11-22. Only the directory's management account and
delegated administrators of a trusted service may call it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from crawler.catalog.model import Paging
from crawler.client.client import Client, RequestCounts, SignedAccount
from crawler.client.request import ApiRequest
from crawler.errors import PaginationError
from crawler.normalizer.exact_json import find
from crawler.run.discovery import read_object
from crawler.run.pagination import WalkStatus, pager_for
from crawler.secret_text import LiteralSecrets
from crawler.snapshot.manifest import SkippedMember
from crawler.text import ACCOUNT_ID, escape_control

PRODUCT = "resourcedirectory"
VERSION = "2022-04-19"
RAM_ACTION = "resourcemanager:ListAccounts"

# By page number, although newer gateways have tokens: an older one ignores MaxResults and returns ten members without a
# token, which looks like the whole list. By page number there is a total to compare with.
_PAGING = Paging("page-number", input_key="PageNumber", limit_key="PageSize", limit=100, total_key="TotalCount")

# A member whose creation is pending or has failed. The values are those of alicloud_resource_manager_accounts in the
# vendor's Terraform provider. ListAccounts documents CreateSuccess, InviteSuccess and Promote*; the last is about the
# upgrade of an existing member, which exists whether the upgrade succeeds or not.
_NOT_CREATED = frozenset({"CreateVerifying", "CreateFailed", "CreateExpired", "CreateCancelled"})
# Undocumented, but clear: no role can be assumed in such an account.
_NOT_THERE = frozenset({"Suspended", "Removed"})
_DELETING = "Deleting"

_LONGEST_NAME = 256
# Many times what a directory of the largest quota has. Each member is tried, and adds thousands of scopes.
_MAX_PAGE_BYTES = 1024 * 1024
_MAX_PAGE_MEMBERS = 10 * _PAGING.limit
MAX_MEMBERS = 20_000

_LISTED = "resourcedirectory ListAccounts returned"


@dataclass(frozen=True, slots=True)
class Member:
    """One member account. `name` is printable; `status` and `deletion` are the directory's values, or empty."""

    account_id: str
    name: str = ""
    status: str = ""
    deletion: str = ""


@dataclass(frozen=True, slots=True)
class MemberList:
    """The members in the order of their account IDs, each once, and whether the list is complete."""

    members: tuple[Member, ...]
    status: WalkStatus
    note: str


@dataclass(frozen=True, slots=True)
class _Page:
    members: tuple[Member, ...]
    total: Any
    token: None = None
    more: None = None

    @property
    def seen(self) -> int:
        return len(self.members)

    @property
    def keys(self) -> list[str]:
        return [member.account_id for member in self.members]

    digests = keys


async def list_members(
    client: Client, caller: SignedAccount, tally: RequestCounts, secrets: LiteralSecrets | None = None
) -> MemberList:
    """Read all pages of ListAccounts, without `secrets` and others in names and statuses.

    Raises ApiError, and PaginationError without a list, an end or an account ID, and for more than `MAX_MEMBERS`.
    """
    read_page = partial(_read_page, (secrets or LiteralSecrets()).clean)
    channel = client.channel(caller.account_id, "", PRODUCT, "ListAccounts")

    async def fetch(parameters: Mapping[str, str]) -> _Page:
        request = ApiRequest(PRODUCT, VERSION, "ListAccounts", "", "/", parameters, {}, max_bytes=_MAX_PAGE_BYTES)
        return await client.call(request, caller, channel, read_page, tally)

    walk = pager_for(_PAGING, fetch)
    members: dict[str, Member] = {}

    async def take(page: _Page, *, restarts: bool) -> None:
        if restarts:
            members.clear()
        for member in page.members:
            members.setdefault(member.account_id, member)
        if len(members) > MAX_MEMBERS:
            raise PaginationError("TooManyMembers", f"{_LISTED} more than {MAX_MEMBERS} members.")

    await walk.run(take)
    return MemberList(tuple(members[account_id] for account_id in sorted(members)), walk.status, walk.note)


def choose_members(
    members: Sequence[Member],
    configured: Collection[str],
    exclude: Collection[str],
    only: Literal["all"] | Sequence[str],
) -> tuple[list[Member], list[SkippedMember]]:
    """Return the members to crawl and the skipped ones. Neither has configured accounts, or those outside of `only`.

    `only` has IDs and names.
    """
    chosen, skipped = [], []
    for member in members:
        if member.account_id in configured:
            continue
        if only != "all" and member.account_id not in only and member.name not in only:
            continue
        reason = _EXCLUDED if member.account_id in exclude else inactive_reason(member)
        if reason:
            skipped.append(SkippedMember(member.account_id, member.name, reason))
        else:
            chosen.append(member)
    return chosen, skipped


_EXCLUDED = "[organization] exclude names it."


def inactive_reason(member: Member) -> str:
    """Return why a member can't be crawled yet or any more, as a sentence; "" for an active one.

    An undocumented status is not a reason: assuming the role shows whether the account exists.
    """
    if member.status in _NOT_CREATED | _NOT_THERE:
        return f"It isn't active: the resource directory has its status as {member.status}."
    if member.deletion == _DELETING:
        return f"It isn't active: the resource directory has its deletion status as {member.deletion}."
    return ""


def _read_page(clean: Callable[[str], str], body: bytes) -> _Page:
    answer = read_object(body)
    accounts = _field_of(answer, "Accounts")
    records = _field_of(accounts, "Account") if isinstance(accounts, dict) else None
    if not isinstance(records, list):
        raise PaginationError("ListMissing", f"{_LISTED} no list of accounts.")
    if len(records) > _MAX_PAGE_MEMBERS:
        raise PaginationError("Excessive", f"{_LISTED} {len(records)} members on a page of {_PAGING.limit}.")
    return _Page(tuple(_member(record, clean) for record in records), _field_of(answer, "TotalCount"))


def _member(record: Any, clean: Callable[[str], str]) -> Member:
    """Return the member of a record, its texts without secrets by `clean`.

    Raises PaginationError without an account ID, since a skipped member is a gap.
    """
    account_id = _text_of(record, "AccountId")
    if not ACCOUNT_ID.fullmatch(account_id):
        raise PaginationError("MemberInvalid", f"{_LISTED} a member without account ID.")
    name = escape_control(clean(_text_of(record, "DisplayName")))[:_LONGEST_NAME]
    return Member(account_id, name, clean(_text_of(record, "Status")), clean(_text_of(record, "DeletionStatus")))


def _text_of(record: Any, name: str) -> str:
    value = _field_of(record, name) if isinstance(record, dict) else None
    return value if isinstance(value, str) else str(value) if type(value) is int else ""


def _field_of(value: Mapping[str, Any], name: str) -> Any:
    found = find(dict(value), name)
    return None if found is None else value[found]
