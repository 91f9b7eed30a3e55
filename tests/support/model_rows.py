"""Compares the rows of a crawl with what a model-driven cloud served, list by list and field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from crawler.catalog.columns import Column, snake_case
from crawler.catalog.model import Operation
from crawler.normalizer.redaction import Redaction
from tests.support.expected_records import Comparison, DifferentError
from tests.support.model_crawls import FINGERPRINT_KEY, ModelCrawl
from tests.support.model_server import ServedList, folded

ENVELOPE = ("requestid", "code", "message", "success", "issuccess", "httpcode", "httpstatuscode", "status", "hostid")


def compare(done: ModelCrawl, operation: Operation) -> int:
    """Require that the table has exactly the records of its lists, and nothing in `_extra`; return their number."""
    left, count = done.rows(operation.table), 0
    served = [found for found in done.cloud.lists.values() if found.action == operation.action]
    assert served, f"{operation.action} was never asked for"
    for found in served:
        asked = asked_values(operation, found)
        for record in records_of(operation, found):
            _take(operation, record, left, asked)
            count += 1
    assert not left, f"{operation.table} has {len(left)} rows that no list has: {left[0]}"
    return count


def asked_values(operation: Operation, found: ServedList) -> dict[str, str]:
    """Return column → value, of the parameters of a list that its rows have beside their records' fields."""
    keys = {wire: key for key, text in operation.query.items() for wire in re.findall(r"\{(\w+)\}", text)}
    given = {folded(name): value for name, value in found.parameters.items()}
    own = set(operation.column_names.values())
    return {
        column: given[folded(keys.get(wire, wire))]
        for wire, column in operation.parameter_columns.items()
        if column not in own
    }


def records_of(operation: Operation, found: ServedList) -> list[Any]:
    """Return the records of a list, where the operation says that they are."""
    if operation.records == ("$",):
        columns = {column.wire for column in operation.columns}
        own = {name: value for name, value in found.answer.items() if name in columns or folded(name) not in ENVELOPE}
        return [own]
    node = value_at(found.answer, operation.records)
    return list(node) if isinstance(node, list) else [node]


def value_at(answer: Any, path: Sequence[str]) -> Any:
    """Return the value at a path of an answer; `$[]` is the answer."""
    for step in path:
        answer = answer if step == "$[]" else answer[step]
    return answer


def _take(operation: Operation, record: Any, rows: list[Mapping[str, Any]], asked: Mapping[str, str]) -> None:
    """Remove the row of a record. Raises DifferentError with the difference from the most similar row."""
    redaction = Redaction("fingerprint", "fingerprint", FINGERPRINT_KEY.encode(), scope="account")
    nearest: tuple[int, DifferentError] | None = None
    for index, row in enumerate(rows):
        if any(row[column] != value for column, value in asked.items()):
            continue
        comparison = Comparison(redaction, lambda text: False)
        try:
            comparison.check(record, row, list(operation.parameter_columns.values()))
        except DifferentError as error:
            same = _same_fields(record, row)
            if nearest is None or same > nearest[0]:
                nearest = same, error
            continue
        assert comparison.in_extra == {}, f"{operation.table}: {comparison.in_extra} in _extra"
        del rows[index]
        return
    assert nearest is not None, f"{operation.table} lacks a row for {record}"
    raise DifferentError(f"{operation.table}: {nearest[1]}")


def _same_fields(record: Any, row: Mapping[str, Any]) -> int:
    items = record.items() if isinstance(record, dict) else ()
    return sum(row.get(snake_case(name)) == value for name, value in items)


def marked_texts(node: Any, columns: Sequence[Column]) -> set[str]:
    """Return all texts of a record below the columns that are secret."""
    if not isinstance(node, dict):
        return set()
    return {text for column in columns for text in _marked(node.get(column.wire), column)}


def _marked(value: Any, column: Column) -> set[str]:
    if column.secret:
        return texts_of(value)
    if column.kind == "struct":
        return marked_texts(value, column.children)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for item in inner for text in _marked(item, column.children[0])} if column.children else set()


def texts_of(node: Any) -> set[str]:
    """Return all texts of a value, but not the names of its fields."""
    if isinstance(node, dict | list):
        return {text for item in (node.values() if isinstance(node, dict) else node) for text in texts_of(item)}
    return {node} if isinstance(node, str) and node else set()


_SECRET = re.compile(
    r".*(password|passwd|pwd|(secret|auth|security)_?(data|value|key|token)|private_?key|key_?secret|psk|"
    r"pre_?shared_?key|kube_?config|conn_?pass)"
)


def secret_texts(node: Any) -> set[str]:
    """Return all texts of an answer below a field whose name says that it is a secret."""
    if isinstance(node, list):
        return {text for item in node for text in secret_texts(item)}
    if not isinstance(node, dict):
        return set()
    return {
        text
        for name, value in node.items()
        for text in (texts_of(value) if _SECRET.fullmatch(snake_case(name)) else secret_texts(value))
    }
