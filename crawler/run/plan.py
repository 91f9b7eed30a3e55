"""The plan of a crawl: the accounts whose credentials work, their regions, and the tables in each region."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crawler import __version__
from crawler.catalog.model import Catalog
from crawler.config.resolve import ResolvedConfig
from crawler.config.sections import Account
from crawler.errors import UNREACHABLE_CODE, ConfigError, CrawlError, CredentialsError, UnreachableError
from crawler.normalizer.redaction import Redaction
from crawler.run.organization import Membership, find_members, no_account_error
from crawler.run.regions import ProductRegions, not_offered, select_regions
from crawler.run.session import ResolvedAccount, Session
from crawler.run.targets import PlannedTarget, SkipReason, TargetPlan, interleave

# Accounts that one sentence gives the reasons of.
_MAX_SHOWN = 5


@dataclass(frozen=True, slots=True)
class CrawlPlan:
    """The targets of a crawl with their tables, the members of [organization], and a hash of targets and tables.

    `products`: product → regions. `not_offered`: product → the regions that an account names and the product lacks.
    """

    targets: Sequence[TargetPlan]
    membership: Membership
    sha256: str
    products: Mapping[str, ProductRegions]
    not_offered: Mapping[str, tuple[str, ...]]


async def make_plan(session: Session) -> CrawlPlan:
    """Identify the accounts and the organization's members, find the regions, and return the tables of every target.

    Raises the error of `no_working_account` if no account's credentials work; ConfigError for a region that no product
    has, and if no account is left; CrawlError if only members were to be crawled and they can't be listed.
    """
    configured = await session.identify()
    membership = await find_members(session, configured)
    identities = [*configured, *membership.identities]
    if not identities:
        raise no_account_error(membership)
    offered = await offered_regions(session, identities)
    accounts = [identity.account for identity in identities]
    planned = plan_targets(session, accounts, offered)
    targets = join_identities(planned, identities)
    sha256 = plan_sha256(session.catalog, planned, session.resolved.tables)
    return CrawlPlan(targets, membership, sha256, offered, missing_regions(session, accounts, offered))


async def offered_regions(session: Session, identities: Sequence[ResolvedAccount]) -> Mapping[str, ProductRegions]:
    """Return the regions of the products that the tables need, as the accounts that work get them.

    Raises the error of `no_working_account` if none works.
    """
    working = [identity for identity in identities if identity.refusal is None]
    if not working:
        raise no_working_account(identities)
    catalog = session.catalog
    products = catalog.products_of(catalog.with_parents(session.resolved.tables))
    return await session.regions(products, *(identity.caller for identity in working))


def no_working_account(identities: Sequence[ResolvedAccount]) -> CrawlError:
    """Return the error of a crawl in which the credentials of no account work.

    One account that STS has not judged for now makes it UnreachableError: the next attempt may crawl that account. Else
    a gateway or TLS that stays as it is makes it ConfigError, and CredentialsError remains for judged credentials.
    """
    refusals = [(identity.label, identity.refusal) for identity in identities if identity.refusal is not None]
    temporary = [(label, refusal) for label, refusal in refusals if refusal.is_temporary]
    if temporary:
        judged = len(refusals) - len(temporary)
        accounts = "account" if judged == 1 else "accounts"
        others = f" The credentials of {judged} other {accounts} don't work." if judged else ""
        return UnreachableError(
            f"The cloud can't be reached; try again. No credentials could be used.{others} {_reasons(temporary)}"
        )
    if any(refusal.code == UNREACHABLE_CODE for _, refusal in refusals):
        return ConfigError(f"STS can't be asked; correct [tls], [network] or [endpoints]. {_reasons(refusals)}")
    return CredentialsError(f"No account's credentials work. {_reasons(refusals)}")


def _reasons(refusals: Sequence[tuple[str, SkipReason]]) -> str:
    shown = "; ".join(f"{label}: {refusal.message}" for label, refusal in refusals[:_MAX_SHOWN])
    return shown + (f"; and {len(refusals) - _MAX_SHOWN:,} more accounts" if len(refusals) > _MAX_SHOWN else "")


def missing_regions(
    session: Session, accounts: Iterable[Account], offered: Mapping[str, ProductRegions]
) -> Mapping[str, tuple[str, ...]]:
    """Return product → the regions that an account names and the product lacks."""
    return not_offered((session.config.regions_for(account) for account in accounts), offered)


def plan_targets(
    session: Session, accounts: Iterable[Account], offered: Mapping[str, ProductRegions]
) -> list[PlannedTarget]:
    """Return the tables of every target. Raises ConfigError for a region that no product has, and if none is left."""
    needed = session.catalog.with_parents(session.resolved.tables)
    by_id = {account.id: account for account in accounts}
    regions = {account_id: account_regions(session, account, offered) for account_id, account in by_id.items()}
    planned = []
    known: dict[tuple[str, bool], tuple[str, ...]] = {}  # one tuple for all accounts
    for target in interleave(regions):
        place = target.region_id, session.config.regions_for(by_id[target.account_id]) != "all"
        if place not in known:
            known[place] = tables_in(session.catalog, needed, offered, *place)
        if known[place]:
            planned.append(PlannedTarget(target, known[place]))
    if not planned:
        left_out = any(product.is_global for product in offered.values()) and session.config.omits_global
        hint = "add `--region global` for the products that have no regions" if left_out else "see `acs-inventory plan`"
        raise ConfigError(f"None of the chosen regions has a product of the chosen tables; {hint}.")
    return planned


def join_identities(planned: Iterable[PlannedTarget], identities: Iterable[ResolvedAccount]) -> list[TargetPlan]:
    """Return the targets with the callers of their accounts."""
    by_id = {identity.account.id: identity for identity in identities}
    found = []
    for entry in planned:
        identity = by_id[entry.target.account_id]
        found.append(TargetPlan(entry.target, identity.caller, entry.tables, identity.refusal, identity.name))
    return found


def tables_in(
    catalog: Catalog, needed: Iterable[str], offered: Mapping[str, ProductRegions], region_id: str, is_named: bool
) -> tuple[str, ...]:
    """Return the tables whose products are in a region. `is_named`: the configuration names the region."""
    return tuple(t for t in needed if offered[catalog.operations[t].product].has(region_id, is_named=is_named))


def account_regions(session: Session, account: Account, offered: Mapping[str, ProductRegions]) -> tuple[str, ...]:
    """Return the regions to crawl in an account. A configured one may belong to a product that this crawl doesn't need.

    `offered`: product → regions, of the needed products; a global one is read whatever the regions are. Raises
    ConfigError for a region that no product has.
    """
    wanted = session.config.regions_for(account)
    if wanted == "all":
        return select_regions(wanted, offered)
    known = {key: session.known_regions(product) for key, product in session.catalog.products.items()}
    with_global = not session.config.omits_global and any(product.is_global for product in offered.values())
    return select_regions(wanted, {**known, **offered}, with_global=with_global)


def plan_sha256(catalog: Catalog, plans: Iterable[PlannedTarget], written: Sequence[str]) -> str:
    """Return the hash of the plan's scopes, tables and columns, which the manifest has, too."""
    tables = {table: str(catalog.operations[table].schema) for table in written}
    scopes = sorted([p.target.account_id, p.target.region_id, *p.tables] for p in plans)
    text = json.dumps({"tables": tables, "scopes": scopes}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def resume_conditions(resolved: ResolvedConfig, redaction: Redaction) -> dict[str, str]:
    """Return the resume conditions, without the plan and the fingerprint key itself: name in messages → value."""
    config = resolved.config
    return {
        "version of acs-inventory": __version__,
        "[output] secrets": redaction.mode,
        "[output] unknown": config.output.unknown,
        "[output] fingerprint_scope": redaction.scope,
        "fingerprint key": redaction.fingerprint("the key of this crawl"),
        "[crawl] details": ", ".join(sorted(resolved.details)),
        "[opensearch] functions": ", ".join(sorted(config.opensearch.functions)),
    }


def parents_by_table(catalog: Catalog, tables: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the parent tables of every table that a crawl of these reads."""
    return {table: catalog.operations[table].parent_tables for table in catalog.with_parents(tables)}
