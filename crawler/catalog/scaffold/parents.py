"""Proposes the key of each table, and the parent whose rows give the parameters that a request needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crawler.catalog.columns import snake_case
from crawler.catalog.scaffold.drafts import Parameter, TableDraft, needs_time_span
from crawler.catalog.scaffold.names import plain, singular

_ENDINGS = ("identifier", "identity", "ids", "id", "names", "name", "arn", "code", "no")
_DEEPEST = 4
# Scores of a binding: the column and the table are named like the parameter, only the table, only the column.
_BOTH, _TABLE, _ABOVE, _KEY = 8, 5, 3, 2


def propose_keys(drafts: Iterable[TableDraft]) -> None:
    """Set the key of each table: the parameters, and the column that is named like the records."""
    for draft in drafts:
        own = draft.scalar_columns()
        given = [snake_case(parameter.placeholder) for parameter in draft.parameters]
        if draft.records.is_object:
            draft.key = given
            continue
        column = draft.column_of(draft.item) if draft.item and own else _own_key(draft, own)
        draft.key = [*(name for name in given if name != column), column] if column else []


def _own_key(draft: TableDraft, own: Mapping[str, str]) -> str:
    """Return the column that identifies a record among its siblings, "" if no name says so."""
    last = plain(singular(draft.records.path[-1]))
    for stem in dict.fromkeys((draft.stem, last, *_tails(draft.stem))):
        for ending in ("id", "identifier", "name", "arn", "identity", ""):
            if stem and stem + ending in own:
                return own[stem + ending]
    return next((own[name] for name in ("id", "name", "arn", "key") if name in own), "")


def _tails(stem: str) -> list[str]:
    """Return the shorter ends of a stem that could still name a record: dbinstance → instance."""
    return [stem[start:] for start in range(1, len(stem) - 3)]


def propose_parents(drafts: Sequence[TableDraft], wanted: Iterable[str]) -> list[TableDraft]:
    """Return the wanted tables with their parents, and those parents' parents.

    `wanted`: actions. A table whose parameters no other table gives is `out`, with the parameters as the reason.
    """
    by_name = {draft.name: draft for draft in drafts}
    decided: dict[str, TableDraft] = {}
    for draft in sorted(drafts, key=lambda found: (len(found.parameters), found.name)):
        if draft.parameters:
            _propose_parent(draft, list(decided.values()))
        if draft.selection != "out" and _depth(draft, by_name) < _DEEPEST:
            decided[draft.name] = draft
    chosen: dict[str, TableDraft] = {}
    for draft in drafts:
        if draft.call.action in set(wanted):
            current: TableDraft | None = draft
            while current is not None and current.name not in chosen:
                chosen[current.name] = current
                current = by_name.get(current.parent)
    _stand_in(list(chosen.values()))
    return [draft for draft in drafts if draft.name in chosen]


def _depth(draft: TableDraft, by_name: Mapping[str, TableDraft]) -> int:
    return 1 + _depth(by_name[draft.parent], by_name) if draft.parent in by_name else 0


def _propose_parent(draft: TableDraft, tables: Sequence[TableDraft]) -> None:
    best, best_score = None, 0
    for table in tables:
        if table.records.is_object or table.name == draft.name:
            continue
        scores = {parameter.placeholder: _score(parameter, table, draft) for parameter in draft.parameters}
        is_given = all(
            score or parameter.values for (score, _), parameter in zip(scores.values(), draft.parameters, strict=True)
        )
        total = sum(score for score, _ in scores.values()) if is_given else 0
        if total > best_score:
            best, best_score = table, total
            draft.bind = {name: column for name, (score, column) in scores.items() if score}
    if best is None or needs_time_span(draft):
        draft.bind = {}
        _leave_out(draft)
        return
    draft.parent = best.name
    draft.values = {p.placeholder: p.values for p in draft.parameters if p.placeholder not in draft.bind}
    if draft.records.is_object:
        draft.selection = "opt-in"
        draft.reason = f"one request for each row of {best.name}, whose list may have the same fields"


def _score(parameter: Parameter, table: TableDraft, draft: TableDraft) -> tuple[int, str]:
    """Return how well a table's rows give a parameter, and the column; (0, "") if they don't."""
    name = plain(parameter.wire)
    for above in table.parameters:
        if plain(above.wire) == name and not parameter.values:
            return _ABOVE, snake_case(above.placeholder)
    own, stem = table.scalar_columns(), _stem(name)
    is_table = stem == table.stem or _step_before(parameter, draft.path) == table.stem
    if name in own:
        score = _BOTH if is_table else _KEY if own[name] in table.key and not parameter.values else 0
        return (score, own[name]) if score else (0, "")
    if is_table:
        ending = next((ending for ending in _ENDINGS if name.endswith(ending)), "")
        for wire in (stem + ending, ending, f"{stem}id", "id", "name"):
            if wire and wire in own:
                return _TABLE, own[wire]
    return 0, ""


def _stem(name: str) -> str:
    """Return a parameter's plain name without its ending: `functionname` → `function`."""
    ending = next((ending for ending in _ENDINGS if name.endswith(ending) and name != ending), "")
    return singular(name.removesuffix(ending)) if ending else singular(name)


def _step_before(parameter: Parameter, path: str) -> str:
    """Return the singular of the path's step before a parameter: `function` of `/functions/{functionName}`."""
    before = path.split(f"/{{{parameter.placeholder}}}")[0] if f"/{{{parameter.placeholder}}}" in path else ""
    return plain(singular(before.rpartition("/")[2]))


def _leave_out(draft: TableDraft) -> None:
    names = ", ".join(parameter.wire for parameter in draft.parameters)
    draft.selection = "out"
    draft.reason = f"needs {names}, which no table gives"[:110]
    if needs_time_span(draft):
        draft.reason = f"needs a time span: {names}"[:110]


def _stand_in(chosen: Sequence[TableDraft]) -> None:
    """Give each table without a parent any root list as one: a file with parameters must name a table.

    Such a table is `out`, so that no request is sent.
    """
    root = next((table.name for table in chosen if not table.parameters and not table.records.is_object), "")
    root = root or next((table.name for table in chosen if not table.parameters), "")
    for draft in chosen:
        if draft.selection == "out":
            draft.parent = root
            draft.values = {p.placeholder: p.values or ("VALUE",) for p in draft.parameters}
