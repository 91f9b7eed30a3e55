"""Where an answer has its records, and which of its fields belong to the envelope."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from crawler.catalog.model import ENVELOPE, WHOLE_ANSWER, WHOLE_LIST, is_answer_name
from crawler.catalog.scaffold.names import noun, plain, singular
from crawler.catalog.scaffold.paging import PAGING_NAMES, is_paged
from crawler.catalog.sdk.calls import SdkCall
from crawler.catalog.sdk.models import Field, TypeNode

_ERRORS = {"httpstatuscode", "errorcode", "errormessage", "errormsg", "dynamiccode", "dynamicmessage", "msg"}
# Plain names of fields about the request; `status` may be a record's own.
_ABOUT_THE_REQUEST = {*map(plain, ENVELOPE), *_ERRORS} - {"status"}
_DEEPEST = 4
# An answer with so many other fields beside its list is one record that has a list.
_MANY_FIELDS = 3
_SCALARS = {"string", "integer", "number", "boolean"}


@dataclass(frozen=True, slots=True)
class Records:
    """The records of an answer. `path` as in [operation] records; `record`: the type of one record.

    `is_object`: the path leads to one record in place of a list. `doubt`: why a person must confirm the path.
    """

    path: tuple[str, ...]
    record: TypeNode
    is_object: bool = False
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    path: tuple[str, ...]
    node: TypeNode


def find_records(call: SdkCall) -> Records | str:
    """Return the records of an answer, or the reason why it has none."""
    answer = call.answer
    if answer.kind == "list" and answer.item is not None:
        return Records(WHOLE_LIST, answer.item)
    if answer.kind != "struct" or not answer.fields:
        return "the SDK doesn't describe the answer"
    own = _own_fields(answer)
    if not own:
        return "the answer has no list and no record"
    lists = sorted(_lists(answer, ()), key=lambda place: len(place.path))
    if not lists or _is_one_record(call, lists, answer):
        return _one_record(own, answer, has_lists=bool(lists))
    return _best(call, lists)


def _own_fields(node: TypeNode, paging_names: Collection[str] = PAGING_NAMES) -> list[Field]:
    """Return the fields that are neither the envelope's nor paging's."""
    other = {*_ABOUT_THE_REQUEST, *paging_names}
    return [field for field in node.fields if plain(field.wire) not in other]


def own_scalars(node: TypeNode) -> list[str]:
    """Return the wire names of an object's own scalars: what a record has, and an envelope hasn't."""
    return [field.wire for field in _own_fields(node) if field.node.kind in _SCALARS]


def _lists(node: TypeNode, path: tuple[str, ...]) -> Iterator[_Place]:
    for field in node.fields:
        if not is_answer_name(field.wire):
            continue
        if field.node.kind == "list":
            yield _Place((*path, field.wire), field.node)
        elif field.node.kind == "struct" and len(path) < _DEEPEST - 1:
            yield from _lists(field.node, (*path, field.wire))


def _is_one_record(call: SdkCall, lists: list[_Place], answer: TypeNode) -> bool:
    """Whether the lists are fields of one record, as in an answer of DescribeXxxAttribute.

    The request has no paging, and the answer several values beside a list or beside the object around it.
    """
    if call.action.startswith("List") or is_paged(call):
        return False
    beside, node = [answer], answer
    for step in _best(call, lists).path[:-1]:
        node = node.named[step].node
        beside.append(node)
    return any(len(own_scalars(found)) >= _MANY_FIELDS for found in beside)


def _one_record(own: list[Field], answer: TypeNode, *, has_lists: bool) -> Records:
    doubt = "the answer is one record; is it a list inside of it?" if has_lists else ""
    if len(own) == 1 and own[0].node.kind in {"struct", "map"} and is_answer_name(own[0].wire):
        return Records((own[0].wire,), own[0].node, is_object=True, doubt=doubt)
    # Nothing is paged here, so a count is the record's own.
    return Records(WHOLE_ANSWER, TypeNode("struct", tuple(_own_fields(answer, ()))), is_object=True, doubt=doubt)


def _best(call: SdkCall, lists: list[_Place]) -> Records:
    """Return the list whose name is the action's, else the first of records at the lowest depth."""
    wanted = plain(singular(noun(call.action)))

    def score(place: _Place) -> tuple[bool, bool, bool]:
        item = place.node.item or TypeNode("json")
        names = [plain(singular(step)) for step in place.path]
        is_named = any(name == wanted for name in names)
        return (item.kind in {"struct", "map"}, is_named, any(name and name in wanted for name in names))

    best = max(lists, key=score)
    rivals = [p for p in lists if p is not best and score(p)[0] == score(best)[0] and len(p.path) <= len(best.path)]
    others = ", ".join(".".join(place.path) for place in rivals[:3])
    doubt = f"or {others}" if rivals else ""
    return Records(best.path, best.node.item or TypeNode("json"), doubt=doubt)


def envelope(records: Records, answer: TypeNode, paging_paths: set[str], sent: set[str]) -> list[str]:
    """Return the paths of fields beside the records, or above them, that neither paging nor any answer has.

    `sent`: paging's query parameters, which answers may repeat.
    """
    if records.path in (WHOLE_ANSWER, WHOLE_LIST):
        return []
    known = paging_paths | {path.rpartition(".")[0] for path in paging_paths}
    paths, node = [], answer
    for depth, step in enumerate(records.path):
        known_here = {step, *sent}
        names = [each.wire for each in node.fields if each.wire not in known_here and is_answer_name(each.wire)]
        if depth == 0:
            names = [name for name in names if name[:1].lower() + name[1:] not in ENVELOPE]
        paths += [".".join((*records.path[:depth], name)) for name in names]
        node = node.named[step].node
    return sorted(path for path in paths if path not in known)
