"""Write a comparison as one JSON object, streamed: memory doesn't grow with the number of differences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any

from crawler.audit.diff.comparison import ChangeKind, Difference, TableDiff
from crawler.audit.diff.scopes import ScopePair
from crawler.audit.temporary import no_room

_KINDS: tuple[ChangeKind, ...] = ("added", "removed", "changed")
_IN_MEMORY_BYTES = 4_000_000
_CHUNK = 1 << 16


@dataclass(slots=True)
class DiffResult:
    """The result of a comparison."""

    is_different: bool = False
    has_unknown: bool = False

    @property
    def exit_code(self) -> int:
        """0: equal; 1: different; 3: no known difference, but some scopes or columns are unknown."""
        return 1 if self.is_different else 3 if self.has_unknown else 0


def write_json(old_id: str, new_id: str, tables: Mapping[str, TableDiff], write: Callable[[str], Any]) -> DiffResult:
    """Write the object, one difference per line, and return the result.

    In addition to each table's lists, it has `unknown_columns` and `not_compared` (path → why) if they aren't empty.
    """
    result = DiffResult()
    write(f'{{\n"from": {_json(old_id)},\n"to": {_json(new_id)},\n"tables": {{')
    for number, (table, diff) in enumerate(tables.items()):
        write(f"{',' if number else ''}\n{_json(table)}: {{\n")
        for text in _table_json(diff, result):
            write(text)
        write("}")
    write("\n}\n}\n")
    return result


def _table_json(diff: TableDiff, result: DiffResult) -> Iterator[str]:
    """Yield the lists one after the other. Differences arrive by key, so each list is collected in a file first."""
    with ExitStack() as files:
        lists = {kind: _List(files.enter_context(_spooled())) for kind in _KINDS}
        for difference in diff.differences():
            result.is_different = True
            lists[difference.kind].add(_difference_value(difference))
        for kind in _KINDS:
            yield f'"{kind}": ['
            yield from lists[kind].text()
            yield "],\n"
    result.has_unknown |= bool(diff.unknown_scopes or diff.unknown_columns)
    yield f'"unknown_scopes": {_json([scope_value(pair) for pair in diff.unknown_scopes])}'
    for name, columns in (("unknown_columns", diff.unknown_columns), ("not_compared", diff.not_compared)):
        if columns:
            yield f',\n"{name}": {_json(dict(sorted(columns.items())))}'
    yield "\n"


def _spooled() -> SpooledTemporaryFile[str]:
    return SpooledTemporaryFile(_IN_MEMORY_BYTES, "w+", encoding="utf-8", newline="\n")


class _List:
    """A JSON list that is buffered in memory and, if large, in a file."""

    def __init__(self, file: SpooledTemporaryFile[str]) -> None:
        self._file = file
        self._is_empty = True

    def add(self, value: Any) -> None:
        try:
            self._file.write(("\n" if self._is_empty else ",\n") + _json(value))
        except OSError as error:
            raise no_room(f"differences of more than {_IN_MEMORY_BYTES:,} bytes", error) from error
        self._is_empty = False

    def text(self) -> Iterator[str]:
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            yield chunk


def _difference_value(difference: Difference) -> Any:
    if difference.kind != "changed":
        return difference.key
    return {"key": difference.key, "columns": {path: list(values) for path, values in difference.columns.items()}}


def scope_value(pair: ScopePair) -> dict[str, str]:
    """Return an unknown scope with the status that explains it."""
    return {"account_id": pair.account_id, "region_id": pair.region_id, "status": pair.status}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
