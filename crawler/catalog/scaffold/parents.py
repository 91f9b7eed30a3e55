"""Proposes the key of each table, and the parent whose rows give the parameters that a request needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from crawler.catalog.columns import snake_case
from crawler.catalog.scaffold.drafts import Parameter, TableDraft, needs_time_span
from crawler.catalog.scaffold.names import noun, plain, singular, verb, words
from crawler.catalog.sdk.calls import SdkCall

_ENDINGS = ("identifier", "identity", "ids", "id", "names", "name", "arn", "code", "no")
_NAMES_OF_ONE = ("id", "name", "identifier", "identity", "arn", "no")
_VERBS_OF_ONE = {"Get", "Delete", "Update", "Modify", "Describe", "Release", "Remove"}
_OF = ("for", "of", "by", "in")
_DEEPEST = 4
_SHORTEST_STEM = 3
# IDs of what a record lies in or belongs to.
_FOREIGN = {
    "regionid", "zoneid", "vpcid", "vswitchid", "instanceid", "resourcegroupid", "resourceid", "ownerid", "accountid",
    "userid", "aliuid", "parentid", "requestid", "taskid", "orderid",
}  # fmt: skip
# Scores of a binding: the column and the table are named like the parameter, only the table, only the column. A table
# whose name only ends like the parameter has a point less.
_BOTH, _TABLE, _ABOVE, _KEY = 8, 5, 3, 2


def propose_keys(drafts: Iterable[TableDraft], calls: Iterable[SdkCall]) -> None:
    """Set the key of each table: the parameters, and the column by which other calls name one record.

    A key of parameters alone would merge all records of a list.
    """
    named = _names_of_records(calls)
    for draft in drafts:
        given = [snake_case(parameter.placeholder) for parameter in draft.parameters]
        if draft.records.is_object:
            draft.key = given
            continue
        own = {name: column for name, column in draft.identifiers().items() if column not in given}
        column = draft.column_of(draft.item) if draft.item and own else _own_key(draft, own, named)
        draft.key = [*given, column] if column else []


def _names_of_records(calls: Iterable[SdkCall]) -> dict[str, list[str]]:
    """Return stem → plain names of the parameters by which calls such as GetRole and DeleteRole name one record."""
    named: dict[str, list[str]] = {}
    for call in calls:
        stem = plain(noun(call.action))
        if verb(call.action) in _VERBS_OF_ONE:
            names = [plain(name) for name in (*call.path_parameters, *(wire for wire, _ in call.query_names))]
            own = (name for name in names if name.startswith(stem) and name.removeprefix(stem) in _NAMES_OF_ONE)
            named.setdefault(stem, []).extend(own)
    return named


def _own_key(draft: TableDraft, own: Mapping[str, str], named: Mapping[str, list[str]]) -> str:
    """Return the column that identifies a record among its siblings, "" if no name says so."""
    for name in named.get(draft.stem, ()):
        ending = name.removeprefix(draft.stem)
        if column := own.get(name) or own.get(ending if ending in _ENDINGS else ""):
            return column
    own_words = words(noun(draft.call.action))
    initials = "".join(word[0] for word in own_words)
    for stem in dict.fromkeys((draft.stem, draft.record_stem, *_tails(draft.stem), initials)):
        for ending in ("id", "identifier", "arn", "identity", ""):
            if stem and stem + ending in own and (len(stem) >= _SHORTEST_STEM or ending == "id"):
                return own[stem + ending]
    last = singular(own_words[-1])
    ids = {name: column.split("_")[:-1] for name, column in own.items() if column.endswith("_id")}
    # SnatEntryId of SnatTableEntries, RepoId of Repositories.
    shortened = [name for name, parts in ids.items() if parts[-1] == last and set(parts) <= {*own_words, last}]
    shortened += [name for name, parts in ids.items() if len(parts) == 1 and last.startswith(parts[0])]
    other = next((own_words[place + 1 :] for place, word in enumerate(own_words) if word in _OF), [])
    foreign = tuple(f"{word}id" for word in other)  # the task of ScanResultsByTask
    alone = [name for name in own if name.endswith("id") and name not in _FOREIGN and not name.endswith(foreign)]
    for name in ("id", *shortened, *(alone if len(alone) == 1 else ())):
        if name in own:
            return own[name]
    names = (stem + "name" for stem in (draft.stem, draft.record_stem, *_tails(draft.stem)))
    return next((own[name] for name in (*names, "name", "arn", "key") if name in own), "")


def _tails(stem: str) -> list[str]:
    """Return the shorter ends of a stem that could still name a record: dbinstance → instance."""
    return [stem[start:] for start in range(1, len(stem) - 3)]


def needed_by_name(draft: TableDraft, stems: Collection[str]) -> str:
    """Return the optional parameter that names a record of another table, where the action does so, too; "" for none.

    The SDK of `ram` doesn't say that ListPoliciesForRole needs a RoleName, and that ListPolicyVersions needs a
    PolicyName. `stems`: the stems of the tables.
    """
    own = plain(noun(draft.call.action))
    is_whole = draft.paging.keys["style"] != "none"  # a list in pages is more often of all records
    for wire in draft.optional_texts if not draft.parameters else ():
        found = _stem(plain(wire))
        is_named = own.endswith(tuple(f"{word}{found}" for word in _OF)) or (own.startswith(found) and not is_whole)
        if is_named and found in stems and found not in {draft.stem, plain(wire)}:
            return wire
    return ""


def require_by_name(drafts: Sequence[TableDraft]) -> None:
    """Make each such parameter one that a request needs, with those beside it that the other table has, too."""
    above = {draft.stem: draft for draft in drafts if not draft.parameters and not draft.records.is_object}
    for draft in drafts:
        if wire := needed_by_name(draft, above):
            stem = _stem(plain(wire))
            own = above[stem].scalar_columns()
            others = [name for name in draft.optional_texts if plain(name).startswith(stem) and plain(name) in own]
            draft.require(dict.fromkeys([wire, *others]))


def propose_parents(drafts: Sequence[TableDraft], wanted: Iterable[str]) -> list[TableDraft]:
    """Return the wanted tables with their parents, and those parents' parents.

    `wanted`: actions. A table whose parameters no other table gives is `out`, with the parameters as the reason.
    """
    by_name = {draft.name: draft for draft in drafts}
    decided: dict[str, TableDraft] = {}
    for draft in sorted(drafts, key=lambda found: (len(found.parameters), found.name)):
        if draft.lacking:
            draft.selection, draft.reason = "out", f"needs {', '.join(draft.lacking)}, which a person must give"[:110]
        elif draft.parameters:
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
    # A parameter called Name or Id means the operation's own noun.
    own, stem = table.scalar_columns(), draft.stem if name in _ENDINGS else _stem(name)
    less = _distance({stem, _step_before(parameter, draft.path)}, table)
    if name in own:
        if less is None:
            less = _distance(_beginnings(parameter.wire), table)
        is_key = own[name] in table.key and not parameter.values
        return (_BOTH - less, own[name]) if less is not None else (_KEY, own[name]) if is_key else (0, "")
    if less is None:
        return 0, ""
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), "")
    key = table.key[-1] if table.key else ""
    names = (own.get(table.stem + ending, ""), own.get(ending, ""), key)
    return next(((_TABLE - less, found) for found in names if found in own.values()), (0, ""))


def _distance(stems: Iterable[str], table: TableDraft) -> int | None:
    """Return 0 if the table's records have one of these names, 1 if its name ends with one; None else."""
    found = [stem for stem in stems if len(stem) >= _SHORTEST_STEM]
    if table.stem in found or table.record_stem in found:
        return 0
    return 1 if any(table.stem.endswith(stem) for stem in found) else None


def _beginnings(wire: str) -> set[str]:
    """Return the names with which a parameter begins: `listener` of ListenerPort."""
    parts = words(wire)
    return {"".join(parts[:end]) for end in range(1, len(parts))}


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
        if draft.selection == "out" and draft.parameters:
            draft.parent = root
            draft.values = {p.placeholder: p.values or ("VALUE",) for p in draft.parameters}
