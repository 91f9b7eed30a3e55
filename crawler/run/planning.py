"""Plans a run: decides once what must be the same for all processes that share a crawl.

The planner asks for the organization's members and the products' regions, and identifies only as many accounts as that
needs. Each shard identifies its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import anyio.to_thread
import msgspec

from crawler.client.rate_limit import LimitRule
from crawler.config import Config
from crawler.config.sections import Account
from crawler.errors import ConfigError, OutputError
from crawler.run.balance import AccountTargets, Shard, balance, estimate_costs, idle_workers, shard_number
from crawler.run.organization import Membership, assume_members, list_organization, no_account_error
from crawler.run.plan import missing_regions, offered_regions, plan_sha256, plan_targets, resume_conditions
from crawler.run.preparation import PreparedCrawl
from crawler.run.session import MAX_CALLERS, ResolvedAccount, Session
from crawler.run.targets import PlannedTarget
from crawler.snapshot import ScopeRow
from crawler.snapshot.layout import moved_id
from crawler.snapshot.shards.documents import PlannedAccount, RunPlan, ShardAccount

# Services whose limits hold for the key that asks, and so for all processes together.
SHARED = ("sts", "resourcedirectory")
TryAccounts = Callable[[Sequence[Account]], Awaitable[list[ResolvedAccount]]]


@dataclass(frozen=True, slots=True)
class RunSize:
    """The number of shards of a run, and of those that run at once. `shards` None: as many as suit the workers.

    `engine` is what starts the processes of a coordinator; empty for those that start by themselves.
    """

    workers: int
    shards: int | None = None
    engine: str = ""


async def plan_run(
    prepared: PreparedCrawl,
    session: Session,
    key: str,
    size: RunSize,
    snapshot: tuple[str, datetime],
    ledger: Iterable[ScopeRow],
) -> RunPlan:
    """Return the plan of a run. `ledger` is the last crawl's, by which shards are balanced. Raises as `make_plan`.

    `snapshot` is the ID and the start by this machine's clock, which the plan has by the clock of STS.
    """
    identities, membership = await _callers(session)
    accounts = [*session.config.accounts, *membership.members]
    if not accounts:
        raise no_account_error(membership)
    offered = await offered_regions(session, identities)
    targets = plan_targets(session, accounts, offered)
    warnings = [*prepared.warnings, *session.warnings]
    # Reading a large ledger takes a minute, in which the planner's lease is renewed.
    shards, warning = await anyio.to_thread.run_sync(_shards, prepared, targets, size, ledger)
    warnings += [warning] if warning else []
    snapshot_id, started_at = snapshot
    if skew_s := session.clock.skew_s:
        started_at += timedelta(seconds=skew_s)
        snapshot_id = moved_id(snapshot_id, started_at)
    places = _Places(targets)
    planned = [account for account in accounts if account.id in places.by_account]
    members = {account.id for account in membership.members}
    positions = {account.id: position for position, account in enumerate(planned)}
    return RunPlan(
        key=key,
        snapshot_id=snapshot_id,
        started_at=started_at,
        clock_skew_s=skew_s,
        shard_count=len(shards),
        at_once=min(size.workers, len(shards)),
        engine=size.engine,
        output_format=prepared.config.output.format,
        deadline_at=_deadline(prepared, started_at),
        plan_sha256=plan_sha256(session.catalog, targets, session.resolved.tables),
        conditions=run_conditions(prepared),
        tables=list(session.resolved.tables),
        table_sets=[list(tables) for tables in places.table_sets],
        places=places.found,
        accounts=[
            PlannedAccount(
                account.id, session.account_name(account), account.id in members, places.by_account[account.id]
            )
            for account in planned
        ],
        shards=[
            [ShardAccount(positions[account_id], list(regions) if regions else None) for account_id, regions in shard]
            for shard in shards
        ],
        hosts=session.resolved.endpoints.described,
        overhead={name: counts.requests for name, counts in session.overhead.items()},
        warnings=warnings,
        directory=membership.directory,
        left_out=list(membership.left_out),
        not_offered={key: list(regions) for key, regions in missing_regions(session, accounts, offered).items()},
        selection=prepared.selection,
    )


def _deadline(prepared: PreparedCrawl, started_at: datetime) -> datetime | None:
    deadline_s = prepared.config.crawl.deadline_s
    return started_at + timedelta(seconds=deadline_s) if deadline_s else None


def run_conditions(prepared: PreparedCrawl) -> dict[str, str]:
    """Return the conditions that all processes of a run share: name in messages → value or its hash."""
    resolved, config = prepared.resolved, prepared.config
    public = config.public()
    columns = {table: str(schema) for table, schema in prepared.schemas.items()}
    return {
        **resume_conditions(resolved, prepared.redaction),
        "set of accounts or regions": _digest([config.omits_global, sorted(_account_regions(config))]),
        "[crawl] tables": _digest(list(resolved.tables)),
        "[output] format": config.output.format,
        "set of columns": _digest(columns),
        "[organization]": _digest(public["organization"]),
        "[endpoints]": _digest(public["endpoints"]),
        "[rate_limits]": _digest(public["rate_limits"]),
    }


def _account_regions(config: Config) -> Iterator[tuple[str, list[str]]]:
    for account in config.accounts:
        wanted = config.regions_for(account)
        yield account.id, ["all"] if wanted == "all" else sorted(wanted)


def check_run_conditions(plan: RunPlan, prepared: PreparedCrawl) -> None:
    """Raise ConfigError, which names the differences, unless this process has the configuration of the planner."""
    now = run_conditions(prepared)
    changed = sorted(key for key in plan.conditions.keys() | now.keys() if plan.conditions.get(key) != now.get(key))
    if changed:
        raise ConfigError(
            f"this process can't share the run {plan.key!r} of snapshot {plan.snapshot_id}, which was planned with "
            f"another {', another '.join(changed)}; give all processes of a run one configuration and one version"
        )


def shared_rules(rules: Mapping[str, LimitRule], at_once: int) -> dict[str, LimitRule]:
    """Return the rate limits of one of `at_once` processes: those that hold for the asking key are divided."""
    return {
        key: LimitRule(rule.rate / at_once, max(1, rule.burst // at_once)) if key.partition(".")[0] in SHARED else rule
        for key, rule in rules.items()
    }


def in_run(prepared: PreparedCrawl, at_once: int) -> PreparedCrawl:
    """Return the preparation of one of `at_once` processes of a run."""
    resolved = prepared.resolved
    return replace(prepared, resolved=replace(resolved, limit_rules=shared_rules(resolved.limit_rules, at_once)))


async def _callers(session: Session) -> tuple[list[ResolvedAccount], Membership]:
    """Identify accounts until enough work to ask for the regions, or none is left; list the organization."""
    identities = await _some_working(session.config.accounts, session.identify)
    membership = await list_organization(session, identities)
    if sum(identity.refusal is None for identity in identities) >= MAX_CALLERS:
        return identities, membership

    async def assume(members: Sequence[Account]) -> list[ResolvedAccount]:
        return await assume_members(session, members, identities)

    return [*identities, *await _some_working(membership.members, assume)], membership


async def _some_working(accounts: Sequence[Account], try_: TryAccounts) -> list[ResolvedAccount]:
    tried: list[ResolvedAccount] = []
    for first in range(0, len(accounts), MAX_CALLERS):
        tried += await try_(accounts[first : first + MAX_CALLERS])
        if sum(identity.refusal is None for identity in tried) >= MAX_CALLERS:
            break
    return tried


def _shards(
    prepared: PreparedCrawl, targets: Sequence[PlannedTarget], size: RunSize, ledger: Iterable[ScopeRow]
) -> tuple[list[Shard], str]:
    """Return the shards, the heaviest first, and a sentence where more processes were asked for than can work."""
    accounts = [
        AccountTargets(account_id, {region_id: len(tables) for region_id, tables in regions.items()})
        for account_id, regions in _by_account(targets).items()
    ]
    catalog, rules = prepared.resolved.catalog, prepared.resolved.limit_rules
    needed = {table: catalog.operations[table] for table in catalog.with_parents(prepared.resolved.tables)}
    try:
        costs = estimate_costs(accounts, needed, rules, ledger)
    except OutputError:  # a damaged ledger, which `snapshots verify` shows
        costs = estimate_costs(accounts, needed, rules)
    if size.shards is None:
        return balance(costs, shard_number(size.workers, costs)), idle_workers(size.workers, costs)
    shards = balance(costs, size.shards)
    empty = size.shards - len(shards)
    # `--shard I/N` has N processes: those without an account report at once that they have nothing.
    return [*shards, *([] for _ in range(empty))], ""


class _Places:
    """The regions of accounts with their tables, each once: most accounts have the same."""

    def __init__(self, targets: Iterable[PlannedTarget]) -> None:
        self.found: list[dict[str, int]] = []
        self.table_sets: list[tuple[str, ...]] = []
        self.by_account: dict[str, int] = {}
        known_sets: dict[tuple[str, ...], int] = {}
        known: dict[tuple[tuple[str, int], ...], int] = {}
        for account_id, regions in _by_account(targets).items():
            place: dict[str, int] = {}
            for region_id, tables in regions.items():
                if tables not in known_sets:
                    known_sets[tables] = len(self.table_sets)
                    self.table_sets.append(tables)
                place[region_id] = known_sets[tables]
            identity = tuple(place.items())
            if identity not in known:
                known[identity] = len(self.found)
                self.found.append(place)
            self.by_account[account_id] = known[identity]


def _by_account(targets: Iterable[PlannedTarget]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return account → region → tables."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for entry in targets:
        found.setdefault(entry.target.account_id, {})[entry.target.region_id] = entry.tables
    return found


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
