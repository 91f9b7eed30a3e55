"""`[organization]`: finds the member accounts to crawl in addition to the configured ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import structlog

from crawler.config.sections import Account
from crawler.errors import (
    UNANSWERED_CODES,
    UNREACHABLE_CODE,
    ApiError,
    ConfigError,
    CrawlError,
    DeniedError,
    PaginationError,
    UnreachableError,
)
from crawler.run.resource_directory import MemberList, choose_members, list_members
from crawler.run.session import ResolvedAccount, Session
from crawler.snapshot import DirectoryEntry, Status
from crawler.snapshot.manifest import SkippedMember


@dataclass(frozen=True, slots=True)
class Membership:
    """The members to crawl and the skipped ones. `directory` is None without [organization].

    `identities` are those of the members whose role was tried.
    """

    identities: tuple[ResolvedAccount, ...] = ()
    left_out: tuple[SkippedMember, ...] = ()
    directory: DirectoryEntry | None = None
    members: tuple[Account, ...] = ()


async def find_members(session: Session, identities: Sequence[ResolvedAccount]) -> Membership:
    """List the organization's members, see `list_organization`, and try the role in each member to crawl."""
    membership = await list_organization(session, identities)
    return replace(membership, identities=tuple(await assume_members(session, membership.members, identities)))


async def list_organization(session: Session, identities: Sequence[ResolvedAccount]) -> Membership:
    """List the organization's members, and choose those to crawl.

    `identities` are those of the configured accounts. If the directory can't be listed, `directory` has the error, and
    the configured accounts are crawled without members. Raises ConfigError for a member that the command line names
    and the directory doesn't have.
    """
    config = session.config
    if config.organization is None or config.directory_account is None:
        return Membership()
    listing, directory = await _list_members(session, await _directory_account(session, identities))
    if listing is None:
        return Membership(directory=directory)
    _check_named(session, listing)
    configured = [other.id for other in config.accounts]
    chosen, left_out = choose_members(listing.members, configured, config.organization.exclude, config.members)
    for member in left_out:
        named = {"account_name": member.name} if member.name else {}
        structlog.get_logger().info("member_left_out", account_id=member.account_id, **named, reason=member.reason)
    members = tuple(Account(id=member.account_id, name=member.name or None) for member in chosen)
    return Membership((), tuple(left_out), directory, members)


async def assume_members(
    session: Session, members: Sequence[Account], identities: Sequence[ResolvedAccount]
) -> list[ResolvedAccount]:
    """Try the organization's role in these members, with the credentials of the account that lists them."""
    config = session.config
    if not members or config.organization is None:
        return []
    source = await _directory_account(session, identities)
    return await session.assume(members, config.organization.role_name, source.caller)


async def _directory_account(session: Session, identities: Sequence[ResolvedAccount]) -> ResolvedAccount:
    """Return the identity of the account that lists the members. The command line may have left it out."""
    account = session.config.directory_account
    assert account is not None, "the caller checks that there is an organization"
    found = next((identity for identity in identities if identity.account.id == account.id), None)
    return found or (await session.identify([account]))[0]


async def _list_members(
    session: Session, directory_account: ResolvedAccount
) -> tuple[MemberList | None, DirectoryEntry]:
    """Return the members, None if they can't be listed, and the entry of the manifest."""
    account_id = directory_account.account.id
    if directory_account.refusal is not None:
        refusal = directory_account.refusal
        entry = _failed(account_id, Status.FAILED, refusal.code, refusal.message)
        return None, entry
    try:
        tally, secrets = session.overhead["directory"], session.system.secrets
        listing = await list_members(session.client, directory_account.caller, tally, secrets)
    except (ApiError, PaginationError) as error:
        status = Status.DENIED if isinstance(error, DeniedError) else Status.FAILED
        request_id = error.request_id if isinstance(error, ApiError) else ""
        return None, _failed(account_id, status, error.code, error.message, request_id)
    note = "" if listing.status == "complete" else f"Members may be missing: {listing.note}."
    code = "" if listing.status == "complete" else listing.status.capitalize()
    entry = DirectoryEntry(
        account_id=account_id,
        status=Status(listing.status),
        members=len(listing.members),
        error_code=code,
        error_message=note,
    )
    return listing, entry


def _failed(account_id: str, status: Status, code: str, message: str, request_id: str = "") -> DirectoryEntry:
    reason = f"The resource directory can't be listed, so its members aren't crawled: {message}"
    structlog.get_logger().warning("directory_not_listed", account_id=account_id, code=code, reason=reason)
    return DirectoryEntry(
        account_id=account_id, status=status, error_code=code, error_message=reason, request_id=request_id
    )


def _check_named(session: Session, listing: MemberList) -> None:
    """Raise ConfigError unless each ID or name of the command line is that of one member."""
    if session.config.members == "all":
        return
    ids = {member.account_id for member in listing.members}
    by_name: dict[str, list[str]] = {}
    for member in listing.members:
        by_name.setdefault(member.name, []).append(member.account_id)
    in_file = session.config.in_file
    configured = {account.id: account.name for account in in_file.accounts} if in_file is not None else {}
    for text in session.config.members:
        if text in ids:
            continue
        named = by_name.get(text, [])
        shown = f"--account: {text[:80]!a}"
        if not named:
            near = get_close_matches(text, [*filter(None, (*by_name, *configured.values())), *configured, *ids], n=1)
            hint = f'; did you mean "{near[0]}"?' if near else "; `acs-inventory plan` lists the accounts"
            raise ConfigError(f"{shown} is neither configured nor a member of the resource directory{hint}")
        if len(named) > 1:
            raise ConfigError(f"{shown} is the name of the members {' and '.join(named[:5])}; give one of the IDs")
        if named[0] in configured:
            raise ConfigError(
                f"{shown} is the member {named[0]}, which [[accounts]] has under another name; give its ID"
            )


def no_account_error(membership: Membership) -> CrawlError:
    """Return the error of a crawl of members only that has no account to crawl."""
    directory = membership.directory
    if directory is not None and not directory.is_listed:
        is_unanswered = directory.error_code in UNANSWERED_CODES or directory.error_code == UNREACHABLE_CODE
        return (UnreachableError if is_unanswered else CrawlError)(directory.error_message)
    reasons = " ".join(f"{member.account_id}: {member.reason}" for member in membership.left_out)
    return ConfigError(f"No account is left to crawl. {reasons}".rstrip())
