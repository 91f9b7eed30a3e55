"""The checks of `doctor`: one per requirement of a crawl, with a remedy if it isn't met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
from msgspec.structs import replace

from crawler.catalog.model import Details, Operation, Product
from crawler.cli.doctor_check import DoctorCheck
from crawler.cli.local_checks import local_checks
from crawler.cli.render import duration_text
from crawler.client.client import RequestCounts
from crawler.client.clock_skew import CLOCK_WRONG
from crawler.client.credentials import describe
from crawler.client.request import ApiRequest
from crawler.config import Config
from crawler.config.load import OpenSecretsError
from crawler.errors import (
    UNANSWERED_CODES,
    UNREACHABLE_CODE,
    ApiError,
    CatalogError,
    ConfigError,
    DeniedError,
    PaginationError,
    UnsupportedError,
    VanishedError,
)
from crawler.run.details import detail_request
from crawler.run.discovery import read_object
from crawler.run.organization import Membership, find_members
from crawler.run.plan import account_regions
from crawler.run.regions import ProductRegions, host_patterns
from crawler.run.resource_directory import RAM_ACTION
from crawler.run.session import ResolvedAccount, Session, open_session
from crawler.run.system import System
from crawler.run.targets import SkipReason, Target
from crawler.snapshot import DirectoryEntry, Status
from crawler.text import account_label

# Services accept ±15 minutes; a smaller skew than this isn't reported.
_REPORTED_SKEW_S = 60.0
_SET_CLOCK = "Correct this machine's clock with NTP."
_NETWORK = "Check the network, the firewall and [endpoints]."
_UNREACHED = {*UNANSWERED_CODES, "InvalidResponse", "RedirectRefused"}
# The user is waiting, so fewer retries than in a crawl.
_ATTEMPTS = 2


async def run_checks(
    config: Config,
    system: System | None = None,
    open_secrets: OpenSecretsError | None = None,
    *,
    is_offline: bool = False,
) -> list[DoctorCheck]:
    """Run all checks, the cheapest first; with `is_offline` those that need no network.

    Sends one identity request per account, DescribeRegions, and a page of one record of each product's root lists in
    one region, with the details of that record if a crawl requests them. With [organization] it also lists the members
    and assumes the role in each of them. Lists are requested of the first member only, because the role is the same in
    all. `open_secrets` is an error about a configuration file with plain-text keys that others can read.
    """
    system = system or System()
    config = replace(config, retry=replace(config.retry, max_attempts=min(_ATTEMPTS, config.retry.max_attempts)))
    checks, prepared = await local_checks(config, system, open_secrets, is_offline=is_offline)
    if is_offline or prepared is None:
        return checks
    try:
        async with open_session(prepared.resolved, system) as session:
            identities = await session.identify()
            checks += [_check_account(identity) for identity in identities]
            membership = await find_members(session, identities)
            checks += _check_organization(config, membership)
            sample = [identity for identity in membership.identities if identity.refusal is None][:1]
            checks += await _check_lists(session, [*identities, *sample])
            checks.append(_check_clock(session, identities))
    except (ConfigError, CatalogError) as error:
        checks.append(DoctorCheck("configuration", str(error), "Correct the configuration; a crawl would refuse it."))
    return checks


def _count_text(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _check_account(identity: ResolvedAccount) -> DoctorCheck:
    subject, source = f"account {identity.label}", describe(identity.account.credentials)
    if identity.refusal is None:
        return DoctorCheck(subject, f"{source}: credentials belong to this account")
    remedies = {
        "AccountMismatch": "Configure this account's own credentials.",
        CLOCK_WRONG: _SET_CLOCK,
        UNREACHABLE_CODE: _NETWORK,
        "InvalidCredentials": _key_remedy(identity, source),
    }
    return DoctorCheck(subject, identity.refusal.message, remedies.get(identity.refusal.code, f"Check {source}."))


def _key_remedy(identity: ResolvedAccount, source: str) -> str:
    match identity.account.credentials.type:
        case "access_key":
            return f"Compare ID and secret of {source} with those in the RAM console, or create a new key there."
        case "sts":
            return f"Get new temporary keys for {source}: key, secret and token are issued together, and expire."
        case "default":
            return "Check the default credential chain (environment, CLI profile, ECS role)."
        case _:
            return f"Check {source}."


def _check_organization(config: Config, membership: Membership) -> list[DoctorCheck]:
    """Check the resource directory and its members: one check per failing or skipped member, one for all others."""
    directory, members = membership.directory, membership.identities
    if directory is None or config.organization is None:
        return []
    seen = f"account {directory.account_id} lists {directory.members} members; {len(members)} will be crawled"
    checks = [DoctorCheck("resource directory", directory.error_message or seen, _directory_remedy(directory))]
    role = config.organization.role_name
    refused = [(member.label, member.refusal) for member in members if member.refusal is not None]
    if members:
        entered = len(members) - len(refused)
        checks.append(DoctorCheck("members", f"the role {role} can be assumed in {entered} of {len(members)}"))
    for label, refusal in refused:
        remedy = _member_remedy(refusal, role, directory.account_id)
        checks.append(DoctorCheck(f"member {label}", refusal.message, remedy))
    return checks + [
        DoctorCheck(f"member {account_label(member.account_id, member.name)}", f"skipped: {member.reason}")
        for member in membership.left_out
    ]


def _directory_remedy(directory: DirectoryEntry) -> str:
    match directory.status:
        case Status.COMPLETE:
            return ""
        case Status.UNSTABLE:
            return "Try again when no members are being added or removed."
        case Status.DENIED:
            return (
                f"Allow {RAM_ACTION} in the RAM policy of account {directory.account_id}'s credentials. It must be "
                "the directory's management account or a delegated administrator."
            )
        case _ if directory.error_code == "EntityNotExists.ResourceDirectory":
            return "Set [organization] account to the directory's management account, or remove [organization]."
        case _ if directory.error_code in {UNREACHABLE_CODE, *_UNREACHED}:
            return _NETWORK
        case _:
            return f"Fix account {directory.account_id} first, or look up the code in the product's error reference."


def _member_remedy(refusal: SkipReason, role: str, caller_id: str) -> str:
    if refusal.status is not Status.DENIED:
        return _NETWORK if refusal.code == UNREACHABLE_CODE else "Look up the code in the error reference of STS."
    if refusal.code.startswith("EntityNotExist."):
        return f"Create the role {role} in this account, with a trust policy that names account {caller_id}."
    keys = f"the credentials of account {caller_id}, which must belong to a RAM user or role"
    return f"Allow sts:AssumeRole for {keys}, and name that account in the trust policy of the role {role}."


async def _check_lists(session: Session, identities: Sequence[ResolvedAccount]) -> list[DoctorCheck]:
    working = [identity for identity in identities if identity.refusal is None]
    if not working:
        return []
    catalog = session.catalog
    needed = catalog.with_parents(session.resolved.tables)
    operations, products = [catalog.operations[table] for table in needed], catalog.products_of(needed)
    offered = await session.regions(products, *(identity.caller for identity in working))
    checks = [_check_hosts(session, product, offered[product.key]) for product in products]
    checks += [DoctorCheck("regions", warning) for warning in session.warnings]

    async def check(identity: ResolvedAccount, operation: Operation, region_id: str) -> None:
        checks.append(await _check_list(session, identity, operation, region_id))

    async with anyio.create_task_group() as tasks:
        for identity in working:
            try:
                regions = account_regions(session, identity.account, offered)
            except ConfigError as error:
                return [DoctorCheck("regions", str(error), "Correct the regions in [crawl] or of the account.")]
            is_named = session.config.regions_for(identity.account) != "all"
            for operation in operations:
                has = partial(offered[operation.product].has, is_named=is_named)
                region_id = next(filter(has, regions), None)
                if region_id is not None and not operation.parents:
                    tasks.start_soon(check, identity, operation, region_id)
    return sorted(checks, key=lambda check: check.subject)


def _check_hosts(session: Session, product: Product, regions: ProductRegions) -> DoctorCheck:
    """Show where a product is requested, so that a firewall can be compared."""
    patterns = host_patterns(session.resolved.endpoints, product.key, regions.offered)
    shown = [
        f"{pattern} in {_count_text(ids, 'region')}" if "{region}" in pattern else f"{pattern} for {', '.join(ids)}"
        for pattern, ids in patterns.items()
    ]
    return DoctorCheck(f"hosts of {product.key}", "; ".join(shown) or "no region")


async def _check_list(session: Session, identity: ResolvedAccount, operation: Operation, region_id: str) -> DoctorCheck:
    about = partial(
        DoctorCheck, f"{operation.table} in {identity.label} {region_id}", table=operation.table, account=identity.label
    )
    limit = {operation.paging.limit_key: "1"} if operation.paging.limit_key else {}
    query = operation.filled_query({"account_id": identity.account.id, "region_id": region_id})
    request = ApiRequest(
        operation.product,
        operation.version,
        operation.action,
        region_id,
        operation.path,
        {**query, **limit},
        method=operation.method,
    )
    channel = session.client.channel(identity.account.id, region_id, operation.product, operation.action)
    try:
        answer = await session.client.call(request, identity.caller, channel, read_object, RequestCounts())
    except UnsupportedError as error:
        return about(f"not offered or not activated in this region ({error.code})")
    except (ApiError, PaginationError) as error:
        return about(str(error), _remedy(error, operation.ram))
    if operation.details is None or operation.table not in session.resolved.details:
        return about("can be listed")
    return await _check_details(session, identity, operation, operation.details, region_id, answer, about)


async def _check_details(
    session: Session,
    identity: ResolvedAccount,
    operation: Operation,
    details: Details,
    region_id: str,
    answer: Mapping[str, Any],
    about: Callable[..., DoctorCheck],
) -> DoctorCheck:
    """Request the details of the first record of a list."""
    names = record_names(answer, operation, details)
    if names is None:
        return about(f"can be listed; no record to try {details.action} with")
    target = Target(identity.account.id, region_id)
    channel = session.client.channel(*(identity.account.id, region_id), operation.product, details.action)
    request = detail_request(operation, details, target, names)
    try:
        await session.client.call(request, identity.caller, channel, read_object, RequestCounts())
    except VanishedError:
        return about(f"can be listed; no record to try {details.action} with")
    except (ApiError, PaginationError) as error:
        return about(f"{details.action}: {error}", _remedy(error, details.ram))
    return about(f"can be listed, with {details.action} for its details")


def record_names(answer: Mapping[str, Any], operation: Operation, details: Details) -> dict[str, str] | None:
    """Return the values that name the first record of a list in the request for its details; None without them."""
    node: Any = answer
    for step in operation.records:
        node = (
            next((value for key, value in node.items() if _is_same(key, step)), None)
            if isinstance(node, dict)
            else None
        )
    record = node[0] if isinstance(node, list) and node else None
    if not isinstance(record, dict):
        return None
    found = {
        parameter: next((value for key, value in record.items() if _is_same(key, column)), None)
        for parameter, column in details.bind.items()
    }
    return {name: str(value) for name, value in found.items()} if all(found.values()) else None


def _is_same(key: str, name: str) -> bool:
    """Return whether a wire name and a column are of one field."""
    return key.replace("_", "").lower() == name.replace("_", "").lower()


def _remedy(error: ApiError | PaginationError, permission: str) -> str:
    if isinstance(error, DeniedError):
        return f"Allow {permission} in the RAM policy of these credentials."
    if error.code in _UNREACHED:
        return _NETWORK
    if error.code == "TlsFailed":
        return "Check for a TLS proxy between this machine and the cloud; [tls] ca_file accepts a private authority."
    return "Look up the code in the product's error reference."


def _check_clock(session: Session, identities: Sequence[ResolvedAccount]) -> DoctorCheck:
    if all(identity.refusal is not None and identity.refusal.code == UNREACHABLE_CODE for identity in identities):
        return DoctorCheck("clock", "not checked: no service was reached", "Fix the network, then run this again.")
    wrong = [found.refusal.message for found in identities if found.refusal and found.refusal.code == CLOCK_WRONG]
    if wrong:
        return DoctorCheck("clock", wrong[0], _SET_CLOCK)
    skew_s = session.clock.skew_s
    if abs(skew_s) < _REPORTED_SKEW_S:
        return DoctorCheck("clock", "within the 15 minutes that signatures allow")
    side = "behind" if skew_s > 0 else "ahead of"
    return DoctorCheck(
        "clock", f"{duration_text(abs(skew_s))} {side} the cloud's clock; crawls correct this", _SET_CLOCK
    )
