"""`[organization]`: finds the member accounts to crawl in addition to the configured ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from crawler.config.sections import Account
from crawler.errors import ApiError, ConfigError, CrawlError, DeniedError, PaginationError
from crawler.run.resource_directory import Member, MemberList, choose_members, list_members
from crawler.run.session import ResolvedAccount, Session
from crawler.snapshot import DirectoryEntry, Status
from crawler.snapshot.manifest import SkippedMember


@dataclass(frozen=True, slots=True)
class Membership:
    """The members to crawl and the skipped ones. `directory` is None without [organization]."""

    identities: tuple[ResolvedAccount, ...] = ()
    left_out: tuple[SkippedMember, ...] = ()
    directory: DirectoryEntry | None = None


async def find_members(session: Session, identities: Sequence[ResolvedAccount]) -> Membership:
    """List the organization's members and try the role in each member to crawl.

    `identities` are those of the configured accounts. If the directory can't be listed, `directory` has the error, and
    the configured accounts are crawled without members. Raises ConfigError for a member that the command line names
    and the directory doesn't have.
    """
    config = session.config
    if config.organization is None or config.directory_account is None:
        return Membership()
    account = config.directory_account
    directory_account = next((found for found in identities if found.account.id == account.id), None)
    if directory_account is None:
        [directory_account] = await session.identify([account])
    listing, directory = await _list_members(session, directory_account)
    if listing is None:
        return Membership(directory=directory)
    _check_named(session, listing)
    configured = [other.id for other in config.accounts]
    chosen, left_out = choose_members(listing.members, configured, config.organization.exclude, config.members)
    members = await session.assume(
        [_account_of(member) for member in chosen], config.organization.role_name, directory_account.caller
    )
    for member in left_out:
        structlog.get_logger().info("member_left_out", account_id=member.account_id, reason=member.reason)
    return Membership(tuple(members), tuple(left_out), directory)


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
    known = {member.account_id for member in listing.members}
    for account_id in session.config.members if session.config.members != "all" else ():
        if account_id not in known:
            raise ConfigError(f"--account: {account_id} is neither configured nor a member of the resource directory.")


def _account_of(member: Member) -> Account:
    return Account(id=member.account_id, name=member.name or None)


def no_account_error(membership: Membership) -> CrawlError:
    """Return the error of a crawl of members only that has no account to crawl."""
    directory = membership.directory
    if directory is not None and not directory.is_listed:
        return CrawlError(directory.error_message)
    reasons = " ".join(f"{member.account_id}: {member.reason}" for member in membership.left_out)
    return ConfigError(f"No account is left to crawl. {reasons}".rstrip())
