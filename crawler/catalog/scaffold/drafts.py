"""A table's draft: all that an SDK says about one operation, before its parents are known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from crawler.catalog.columns import snake_case
from crawler.catalog.model import EXTRA_COLUMN, FIXED_COLUMNS
from crawler.catalog.scaffold import comments
from crawler.catalog.scaffold.answers import Records, envelope, find_records
from crawler.catalog.scaffold.fields import ColumnsDraft, draft_columns, draft_item
from crawler.catalog.scaffold.names import camel_case, plain, singular, stem
from crawler.catalog.scaffold.paging import PAGING_NAMES, PagingDraft, find_paging, fixed_paging
from crawler.catalog.scaffold.secrets import KnownSecrets
from crawler.catalog.sdk.calls import SdkCall

_REGION = {"regionid", "region"}
_TIMES = re.compile(r"(?:time|date|timestamp|^from|^to|begin|start|end|stop)$|^(?:start|end|begin)", re.IGNORECASE)
_METHODS = ("GET", "POST")
_SCALARS = ("string", "integer")
_NUMBERS_OF_ONE = ("id", "port", "number", "index", "version", "priority", "code")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that a request needs. `placeholder`: its name in braces. `values`: those that its comment lists."""

    wire: str
    placeholder: str
    values: tuple[str, ...] = ()


@dataclass(slots=True)
class TableDraft:
    """One table. `query`: what is always sent. `parameters`: what a parent's row must give.

    `lacking`: parameters that a request needs and that no text can be. `bind`, `values`, `parent`: the proposed parent,
    once it is found; `reason`: why the table isn't on by default.
    """

    call: SdkCall
    name: str
    path: str
    records: Records
    paging: PagingDraft
    columns: ColumnsDraft
    item: str
    envelope: list[str]
    query: dict[str, str]
    query_doubts: list[str]
    filters: list[str]
    lacking: list[str]
    parameters: list[Parameter]
    key: list[str] = field(default_factory=list)
    parent: str = ""
    bind: dict[str, str] = field(default_factory=dict)
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    selection: str = "default"
    reason: str = ""

    @property
    def stem(self) -> str:
        """The singular of the action's noun, to compare with parameters."""
        return stem(self.call.action)

    @property
    def record_stem(self) -> str:
        """The singular of the records' name in the answer."""
        return plain(singular(self.records.path[-1]))

    def require(self, wires: Iterable[str]) -> None:
        """Send these filters, each with a value of a parent's row."""
        taken = {snake_case(parameter.placeholder) for parameter in self.parameters}
        for wire in wires:
            placeholder = _placeholder(wire)
            if placeholder and snake_case(placeholder) not in taken:
                taken.add(snake_case(placeholder))
                self.filters.remove(wire)
                self.query[wire] = f"{{{placeholder}}}"
                self.parameters.append(Parameter(wire, placeholder))
                self.query_doubts.append(f"{wire} by its name: the SDK doesn't say that it is required")

    def column_of(self, wire: str) -> str:
        """Return the name of a top-level column."""
        name = snake_case(wire)
        return f"record_{name}" if name in {*FIXED_COLUMNS, EXTRA_COLUMN} else name

    @property
    def optional_texts(self) -> list[str]:
        """The filters that are texts or numbers, and so could be a value of a parent's row."""
        return [wire for wire in self.filters if self.call.query[wire].node.kind in _SCALARS]

    def identifiers(self) -> dict[str, str]:
        """Return plain name → column for each top-level column that may tell a row from others."""
        return {
            plain(wire): self.column_of(wire)
            for wire in self.columns.tree
            if (kind := self.columns.text_type(wire)) == "string"
            or (kind == "integer" and plain(wire).endswith(_NUMBERS_OF_ONE))
        }

    def scalar_columns(self) -> dict[str, str]:
        """Return plain name → column for each top-level column that may be a parameter's value."""
        kinds = {wire: self.columns.text_type(wire).split("(")[0] for wire in self.columns.tree}
        return {plain(wire): self.column_of(wire) for wire, kind in kinds.items() if kind in _SCALARS}


def refusal(call: SdkCall, records: Records | str) -> str:
    """Return why an operation can't become a table, "" if it can."""
    if call.is_own_gateway:
        return "the SDK sends it through the product's own gateway, with another signature"
    if call.method not in _METHODS:
        return f"the SDK sends it by {call.method or 'no method'}"
    if call.host_parameters:
        return f"its host's name begins with a parameter: {', '.join(call.host_parameters)}"
    if call.has_whole_body or any(found.is_required for found in call.body.values()):
        return "it needs a body"
    if any(plain(name) in PAGING_NAMES for name in call.body):
        return "its paging is in a body"
    if not call.path.startswith("/") or re.search(r"[{}]", re.sub(r"\{\w+\}", "", call.path)):
        return "the SDK has no path for it"
    if any(snake_case(camel_case(name)) in FIXED_COLUMNS for name in call.path_parameters):
        return "its path has a region or an account"
    return records if isinstance(records, str) else ""


def draft_table(call: SdkCall, name: str, *, is_global: bool, known: KnownSecrets = frozenset()) -> TableDraft | str:
    """Return the draft of an operation's table, or the reason why it can't have one."""
    records = find_records(call)
    if isinstance(records, str) or refusal(call, records):
        return refusal(call, records)
    paging = find_paging(call, records.path)
    item = "" if records.record.kind == "struct" and records.record.fields else _item(records)
    columns = draft_item(records.record, item) if item else draft_columns(records.record, known)
    if not columns.tree:
        return "no field of a record can be a column"
    path, parameters = _path(call)
    draft = TableDraft(
        call=call,
        name=name,
        path=path,
        records=records,
        paging=paging,
        columns=columns,
        item=item,
        envelope=envelope(records, call.answer, paging.paths, paging.parameters),
        query={},
        query_doubts=[],
        filters=[],
        lacking=[],
        parameters=parameters,
    )
    _sort_query(draft, is_global=is_global)
    return draft


def _item(records: Records) -> str:
    """Return the name of the one column of a list of values."""
    name = re.sub(r"[^A-Za-z0-9]", "", singular(records.path[-1]))
    return name if re.search("[A-Za-z]", name) else "value"


def _path(call: SdkCall) -> tuple[str, list[Parameter]]:
    """Return the path with placeholders of letters, and its parameters."""
    path = call.path
    parameters: list[Parameter] = []
    for python in call.path_parameters:
        placeholder = camel_case(python)
        taken = {snake_case(found.placeholder) for found in parameters}
        if not placeholder or snake_case(placeholder) in taken:
            placeholder = f"{placeholder or 'parameter'}{'x' * (len(taken) + 1)}"
        path = path.replace(f"{{{python}}}", f"{{{placeholder}}}", 1)
        parameters.append(Parameter(placeholder, placeholder))
    return path, parameters


def _sort_query(draft: TableDraft, *, is_global: bool) -> None:
    """Divide the query's parameters: the region, those of paging, those that a request needs, and filters."""
    taken = {snake_case(parameter.placeholder) for parameter in draft.parameters}
    for wire, found in sorted(draft.call.query.items()):
        if wire in draft.paging.parameters:
            continue
        is_region = plain(wire) in _REGION and not is_global
        if is_region and (found.is_required or (draft.call.style == "RPC" and plain(wire) == "regionid")):
            draft.query[wire] = "{region_id}"
        elif found.is_required and (fixed := fixed_paging(wire)):
            draft.query[wire] = fixed
        elif found.is_required and found.node.kind in {*_SCALARS, "boolean"}:
            placeholder = _placeholder(wire)
            if placeholder and snake_case(placeholder) not in taken:
                taken.add(snake_case(placeholder))
                draft.query[wire] = f"{{{placeholder}}}"
                draft.parameters.append(Parameter(wire, placeholder, comments.allowed_values(found.comment)))
        elif found.is_required:
            draft.filters.append(wire)
            draft.lacking.append(wire)
        else:
            draft.filters.append(wire)


def _placeholder(wire: str) -> str:
    """Return a name of letters in braces for a query's parameter, that no fixed column has."""
    placeholder = re.sub(r"[^A-Za-z]", "", wire)
    return f"Record{placeholder}" if snake_case(placeholder) in FIXED_COLUMNS else placeholder


def needs_time_span(draft: TableDraft) -> bool:
    """Whether a request needs the begin and the end of a time span."""
    return sum(1 for parameter in draft.parameters if _TIMES.search(parameter.wire)) >= 2
