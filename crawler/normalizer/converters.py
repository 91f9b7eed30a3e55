"""Converts values as received to values as declared, with one compiled function per column.

Unknown fields and type mismatches are added to an `ExtraFields` with their paths; the column's value is then null.
No value is rounded or guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from crawler.catalog.columns import Column
from crawler.normalizer.exact_json import InvalidJsonError, parse, toggle_initial_case
from crawler.normalizer.extra import Convert, ExtraEntry, ExtraFields, path_name
from crawler.normalizer.local_times import with_offsets
from crawler.normalizer.redaction import Mode, Redaction
from crawler.normalizer.scalars import read_json, read_string, reader
from crawler.text import is_encodable

# The target of a field: its column, the type whose values need no conversion (None: all need it), the function for
# other values, and the one for values that don't fit. A tuple, because every field of every record unpacks it.
_Target = tuple[str, type | None, Convert, Convert]


class Compiler:
    """Compiles the functions for one mode. `scan_texts` also scans every text and name (see `has_secret_markers`).

    Each function redacts by the redaction of its record. `unknown` redacts unknown fields for `_extra`.
    """

    def __init__(
        self, mode: Mode, *, scan_texts: bool, unknown: Callable[[Redaction, Any], Any] = Redaction.unknown
    ) -> None:
        self._mode = mode
        self._scan_texts = scan_texts
        self._unknown = unknown

    def convert(self, column: Column) -> Convert:
        """Return the function for a column and its children."""
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
        """Return the function for an object with these fields, by wire name. `names` overrides the names of columns."""
        zoned = {wire: column.zone for wire, column in columns.items() if column.zone}
        known = {wire: self._target(column, (names or {}).get(wire)) for wire, column in columns.items()}
        by_wire = {toggle_initial_case(wire): target for wire, target in known.items()} | known
        unknown, scan_texts = self._unknown, self._scan_texts

        def convert(value: Any, extra: ExtraFields) -> dict[str, Any] | None:
            if type(value) is not dict:
                misfit(value, extra)
                return None
            if zoned:
                value = with_offsets(value, zoned)
            row: dict[str, Any] = {}
            entries, count = extra.entries, len(extra.entries)
            for wire, item in value.items():
                target = by_wire.get(wire)
                if target is None:
                    step = path_name(extra.redaction.hide(wire) if scan_texts else wire)
                    entries.append(ExtraEntry(step, step, unknown(extra.redaction, item), is_unknown=True))
                    count += 1
                    continue
                name, fits, read, misfit_field = target
                if item is None:
                    continue
                if type(item) is fits and name not in row:
                    row[name] = item
                    continue
                if row.get(name) is None:
                    row[name] = read(item, extra)
                else:  # the same field with both cases of its first letter
                    misfit_field(item, extra)
                if len(entries) != count:
                    step = path_name(wire)
                    extra.prefix(count, step, step)
                    count = len(entries)
            return row

        return convert

    def _target(self, column: Column, name: str | None) -> _Target:
        fits: type | None = None
        if not column.secret and not column.is_embedded:
            fits = {"string": None if self._scan_texts else str, "boolean": bool}.get(column.kind)
        return name or column.name, fits, self.convert(column), self._misfit(column)

    def _list(self, column: Column) -> Convert:
        item, misfit = self.convert(column.children[0]), self._misfit(column)

        def convert(value: Any, extra: ExtraFields) -> Any:
            if type(value) is not list:
                return misfit(value, extra)
            row = []
            entries, count = extra.entries, len(extra.entries)
            for index, element in enumerate(value):
                row.append(None if element is None else item(element, extra))
                if len(entries) != count:
                    extra.prefix(count, f"[{index}]", "[]")
                    count = len(entries)
            return row

        return convert

    def _map(self, column: Column) -> Convert:
        item, misfit, scan_texts = self.convert(column.children[0]), self._misfit(column), self._scan_texts

        def convert(value: Any, extra: ExtraFields) -> Any:
            if type(value) is not dict or (scan_texts and not all(map(is_encodable, value))):
                return misfit(value, extra)
            row = []
            entries, count = extra.entries, len(extra.entries)
            names = extra.redaction.hide_names(value) if scan_texts else value
            for name, element in zip(names, value.values(), strict=True):
                row.append((name, None if element is None else item(element, extra)))
                if len(entries) != count:
                    extra.prefix(count, path_name(name), "*")
                    count = len(entries)
            return row

        return convert

    def _embedded(self, column: Column) -> Convert:
        """Return the function for JSON text in a string, which is read as its content.

        Empty text is null; other text that isn't JSON doesn't fit. An object or list itself is read, too, without loss.
        The text of unknown fields next to secrets is redacted even if unknown fields are kept.
        """
        unknown = Redaction.unknown_beside_secrets if column.has_secret else self._unknown
        compiler = Compiler(self._mode, scan_texts=self._scan_texts, unknown=unknown)
        read, misfit = compiler.convert(replace(column, is_embedded=False)), self._misfit(column)

        def convert(value: Any, extra: ExtraFields) -> Any:
            if value == "":
                return None
            if type(value) is not str:
                extra.coerced += isinstance(value, dict | list)
                return read(value, extra) if isinstance(value, dict | list) else misfit(value, extra)
            try:
                found = parse(value.encode())
            except (InvalidJsonError, UnicodeEncodeError):
                return misfit(value, extra)
            count = len(extra.entries)
            row = None if found is None else read(found, extra)
            if len(extra.entries) > count and not extra.entries[-1].path:  # as received, not as parsed
                del extra.entries[count:]
                return misfit(value, extra)
            return row

        return convert

    def _misfit(self, column: Column) -> Convert:
        keep = Redaction.secret_node if column.has_secret else Redaction.hide_tree

        def misfit(value: Any, extra: ExtraFields) -> None:
            if value is not None:
                extra.entries.append(ExtraEntry("", "", keep(extra.redaction, value), is_unknown=False))

        return misfit

    def _secret(self, column: Column) -> Convert:
        """Return the function for a secret: it is read as any value, to check that it fits, and then redacted."""
        misfit, is_keeping = self._misfit(column), self._mode == "keep"
        if column.kind == "json":
            return partial(read_json, misfit, Redaction.secret_tree)
        read = reader(column, misfit)
        fits = str if column.kind == "string" and not is_keeping else None

        def convert(value: Any, extra: ExtraFields) -> Any:
            if type(value) is fits:
                return extra.redaction.fingerprint(value)
            if read(value, extra) is None:
                return None
            if is_keeping and isinstance(value, str) and not is_encodable(value):
                return misfit(value, extra)
            return extra.redaction.secret(value)

        return convert

    def _scalar(self, column: Column) -> Convert:
        misfit = self._misfit(column)
        if column.kind == "json":
            return partial(read_json, misfit, Redaction.hide_tree if self._scan_texts else None)
        if column.kind == "string" and self._scan_texts:
            hide = Redaction.hide_all_but_key_id if column.is_key_id else Redaction.hide
            return self._scanned_string(misfit, hide)
        return reader(column, misfit)

    @staticmethod
    def _scanned_string(misfit: Convert, hide: Callable[[Redaction, Any], Any]) -> Convert:
        def convert(value: Any, extra: ExtraFields) -> Any:
            if isinstance(value, str) and not is_encodable(value):
                return misfit(value, extra)
            return read_string(misfit, hide(extra.redaction, value), extra)

        return convert
