"""Admits targets to a crawl one by one: opens their scopes, reuses finished ones, skips those that can't be read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crawler.catalog.model import Catalog, Operation
from crawler.client.client import Client
from crawler.run.accepted import AcceptedRules
from crawler.run.details import DetailReader
from crawler.run.outcome import ScopeOutcome
from crawler.run.scope import Scope
from crawler.run.scope_tree import ScopeTree
from crawler.run.targets import SkipReason, Target, TargetPlan
from crawler.snapshot import JournalEntry, ScopeRow, ShardWriter

# An open scope takes about 5 kB. More than a few hundred are open at once only where most of the cloud throttles.
MAX_OPEN = 20_000


@dataclass(frozen=True, slots=True)
class Workload:
    """The targets and tables to crawl. A plan's tables outside of `tables` are parents, which are read and not written.

    `details` are the tables whose records are requested one by one, `settings` the parameter values from the
    configuration, `finished` the scopes of the interrupted crawl, which aren't read again. `accepted` are the rules by
    which incomplete scopes don't count as such in the progress.
    """

    catalog: Catalog
    plans: Sequence[TargetPlan]
    tables: Collection[str]
    details: Collection[str] = ()
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    finished: Sequence[JournalEntry] = ()
    accepted: AcceptedRules | None = None


class Admission:
    """Opens the scopes of one target after the other. `admit` is an iterator for the dispatcher."""

    def __init__(self, workload: Workload, client: Client, writer: ShardWriter, tree: ScopeTree) -> None:
        self._catalog = workload.catalog
        self._plans = workload.plans
        self._tables = frozenset(workload.tables)
        self._details = frozenset(workload.details)
        self._finished = {entry.scope: entry for entry in workload.finished}
        self._client = client
        self._writer = writer
        self._tree = tree
        self._admitted = 0

    def admit(self) -> Iterator[bool]:
        """Admit one more target with each step, and yield whether there was one. The dispatcher steps for new work."""
        for plan in self._plans:
            while len(self._tree.open) >= MAX_OPEN:
                yield False
            self._admitted += 1
            if plan.refusal is not None:
                self._skip(plan, plan.refusal)
            else:
                self._open(plan)
            yield True
        while True:
            yield False

    def skip_remaining(self, reason: SkipReason) -> None:
        """Record the scopes of all targets that weren't admitted."""
        for plan in self._plans[self._admitted :]:
            self._skip(plan, plan.refusal or reason)

    def _open(self, plan: TargetPlan) -> None:
        scopes: dict[str, Scope] = {}
        for table in plan.tables:
            if self._reuse_finished(plan.target, table):
                continue
            scopes[table] = scope = self._scope(plan, self._catalog.operations[table])
            self._tree.open[plan.target, table] = scope
            for parent in scope.operation.parent_tables:
                if parent in scopes:
                    scopes[parent].children.append(scope)
                    scope.open_parents += 1
        for scope in scopes.values():
            if not scope.operation.parents:
                self._tree.submit(scope, {}, is_speculative=False)
            elif len(scopes) < len(plan.tables):
                self._submit_finished(scope)

    def _scope(self, plan: TargetPlan, operation: Operation) -> Scope:
        account_id, region_id, table = plan.target.account_id, plan.target.region_id, operation.table
        is_requested = table in self._tables
        has_details = operation.details is not None and is_requested and table in self._details
        return Scope(
            operation,
            plan.target,
            plan.caller,
            self._client.channel(
                account_id, region_id, operation.product, operation.action, self._catalog.depth(table)
            ),
            self._writer.scope(table, account_id, region_id, has_one_list=not operation.parents)
            if is_requested
            else None,
            DetailReader(self._client, plan.target, plan.caller, operation) if has_details else None,
        )

    def _reuse_finished(self, target: Target, table: str) -> bool:
        """Record a scope that the interrupted crawl has finished; return whether there is one."""
        entry = self._finished.get((table, target.account_id, target.region_id))
        if entry is not None:
            self._tree.reuse_finished(entry)
        return entry is not None

    def _submit_finished(self, scope: Scope) -> None:
        """Submit the lists that rows of finished parents gave. If there is nothing to wait for, the scope ends."""
        target = scope.target
        for parent in scope.operation.parent_tables:
            entry = self._finished.get((parent, target.account_id, target.region_id))
            if entry is None:
                continue
            scope.inherit(parent, ScopeOutcome.of_row(entry.row))
            for known in entry.lists[scope.operation.table] or ():
                parameters = dict(zip(scope.operation.parameters, known.values, strict=True))
                self._tree.submit_once(scope, parameters, is_speculative=known.is_speculative)
        self._tree.end_without_lists(scope)

    def _skip(self, plan: TargetPlan, reason: SkipReason) -> None:
        """Record a target's scopes without a request. Finished scopes are reused all the same."""
        for table in plan.tables:
            if self._reuse_finished(plan.target, table):
                continue
            row = ScopeRow(plan.target.account_id, plan.target.region_id, table, reason.status, table in self._tables)
            row.error_code, row.error_message = reason.code, reason.message
            self._tree.record(row, {}, {})
