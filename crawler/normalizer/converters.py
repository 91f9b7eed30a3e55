"""Values as received → values as declared, one compiled function per column.

Whatever the schema doesn't know, or knows with another type, is reported to a `ExtraFields` with its path; the value in
the column is then null. Nothing is rounded and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from crawler.catalog.columns import Column
from crawler.normalizer.exact_json import InvalidJsonError, parse, swap_case
from crawler.normalizer.extra import Convert, ExtraEntry, ExtraFields, path_name
from crawler.normalizer.redaction import Redaction
from crawler.normalizer.scalars import read_json, read_string, reader
from crawler.text import is_encodable

# Where a field of an object goes: its column's name, the type whose values need no reading since they are as declared
# (None: all need it), the function for any other value, and the one for a value that doesn't fit. A tuple: this is
# taken apart for every field of every record.
_Target = tuple[str, type | None, Convert, Convert]


class Compiler:
    """Makes the functions for one way with secrets. `careful` also looks into every text (see `needs_care`)."""

    def __init__(self, redaction: Redaction, *, careful: bool, unknown: Callable[[Any], Any] | None = None) -> None:
        """`unknown` makes what stands in `_extra` for fields that nobody knows; the redaction's own by default."""
        self._redaction = redaction
        self._careful = careful
        self._unknown = unknown or redaction.unknown

    def convert(self, column: Column) -> Convert:
        """The function for a column and everything below it."""
        if column.is_embedded:
            return self._embedded(column)
        match column.kind:
            case "struct":
                return self.struct({child.wire: child for child in column.children}, misfit=self._misfit(column))
            case "list":
                return self._list(column)
            case "map":
                return self._map(column)
            case _:
                return self._secret(column) if column.secret else self._scalar(column)

    def struct(
        self, columns: dict[str, Column], *, misfit: Convert, names: dict[str, str] | None = None
    ) -> Callable[[Any, ExtraFields], dict[str, Any] | None]:
        """The function for an object with these fields, by wire name; `names` overrides the columns' own."""
        known = {wire: self._target(column, (names or {}).get(wire)) for wire, column in columns.items()}
        by_wire = {swap_case(wire): target for wire, target in known.items()} | known
        unknown = self._unknown

        def convert(value: Any, drift: ExtraFields) -> dict[str, Any] | None:
            if type(value) is not dict:
                misfit(value, drift)
                return None
            row: dict[str, Any] = {}
            entries, count = drift.entries, len(drift.entries)
            for wire, item in value.items():
                target = by_wire.get(wire)
                if target is None:
                    step = path_name(wire)
                    entries.append(ExtraEntry(step, step, unknown(item), is_unknown=True))
                    count += 1
                    continue
                name, fits, read, misfit_field = target
                if item is None:
                    continue
                if type(item) is fits and name not in row:
                    row[name] = item
                    continue
                if row.get(name) is None:
                    row[name] = read(item, drift)
                else:  # the same field in both cases of its first letter
                    misfit_field(item, drift)
                if len(entries) != count:
                    step = path_name(wire)
                    drift.prefix(count, step, step)
                    count = len(entries)
            return row

        return convert

    def _target(self, column: Column, name: str | None) -> _Target:
        fits: type | None = None
        if not column.secret and not column.is_embedded:
            fits = {"string": None if self._careful else str, "boolean": bool}.get(column.kind)
        return name or column.name, fits, self.convert(column), self._misfit(column)

    def _list(self, column: Column) -> Convert:
        item, misfit = self.convert(column.children[0]), self._misfit(column)

        def convert(value: Any, drift: ExtraFields) -> Any:
            if type(value) is not list:
                return misfit(value, drift)
            row = []
            entries, count = drift.entries, len(drift.entries)
            for index, element in enumerate(value):
                row.append(None if element is None else item(element, drift))
                if len(entries) != count:
                    drift.prefix(count, f"[{index}]", "[]")
                    count = len(entries)
            return row

        return convert

    def _map(self, column: Column) -> Convert:
        item, misfit, careful = self.convert(column.children[0]), self._misfit(column), self._careful

        def convert(value: Any, drift: ExtraFields) -> Any:
            if type(value) is not dict or (careful and not all(map(is_encodable, value))):
                return misfit(value, drift)
            row = []
            entries, count = drift.entries, len(drift.entries)
            for name, element in value.items():
                row.append((name, None if element is None else item(element, drift)))
                if len(entries) != count:
                    drift.prefix(count, path_name(name), "*")
                    count = len(entries)
            return row

        return convert

    def _embedded(self, column: Column) -> Convert:
        """JSON text inside a string: read as what is in it. Empty text holds nothing; other text that is no JSON is a
        misfit. An object or list that comes as itself is read too, as nothing is lost.

        Beside secrets nobody can say what an unknown field is: its text is hidden also where unknown fields are kept.
        """
        unknown = self._redaction.unknown_beside_secrets if column.has_secret else self._unknown
        compiler = Compiler(self._redaction, careful=self._careful, unknown=unknown)
        read, misfit = compiler.convert(replace(column, is_embedded=False)), self._misfit(column)

        def convert(value: Any, drift: ExtraFields) -> Any:
            if value == "":
                return None
            if type(value) is not str:
                drift.coerced += isinstance(value, dict | list)
                return read(value, drift) if isinstance(value, dict | list) else misfit(value, drift)
            try:
                found = parse(value.encode())
            except (InvalidJsonError, UnicodeEncodeError):
                return misfit(value, drift)
            count = len(drift.entries)
            row = None if found is None else read(found, drift)
            if len(drift.entries) > count and not drift.entries[-1].path:  # as received, not as read
                del drift.entries[count:]
                return misfit(value, drift)
            return row

        return convert

    def _misfit(self, column: Column) -> Convert:
        keep = self._redaction.secret_node if column.has_secret else self._redaction.guarded_tree

        def misfit(value: Any, drift: ExtraFields) -> None:
            if value is not None:
                drift.entries.append(ExtraEntry("", "", keep(value), is_unknown=False))

        return misfit

    def _secret(self, column: Column) -> Convert:
        """A secret is read as any value, to see whether it fits; what is written is what stands for it."""
        misfit, redaction = self._misfit(column), self._redaction
        if column.kind == "json":
            return partial(read_json, misfit, redaction.secret_tree)
        read = reader(column, misfit)
        fits = str if column.kind == "string" and redaction.mode != "keep" else None

        def convert(value: Any, drift: ExtraFields) -> Any:
            if type(value) is fits:
                return redaction.hidden(value)
            if read(value, drift) is None:
                return None
            if redaction.mode == "keep" and isinstance(value, str) and not is_encodable(value):
                return misfit(value, drift)
            return redaction.secret(value)

        return convert

    def _scalar(self, column: Column) -> Convert:
        misfit = self._misfit(column)
        if column.kind == "json":
            return partial(read_json, misfit, self._redaction.guarded_tree if self._careful else None)
        if column.kind == "string" and self._careful:
            return self._careful_string(misfit)
        return reader(column, misfit)

    def _careful_string(self, misfit: Convert) -> Convert:
        guarded = self._redaction.guarded

        def convert(value: Any, drift: ExtraFields) -> Any:
            if isinstance(value, str) and not is_encodable(value):
                return misfit(value, drift)
            return read_string(misfit, guarded(value), drift)

        return convert
