"""Read the files of findings: a header of `-- key: value` lines, then one SELECT over the tables of the header.

```sql
-- severity: high | medium | low | info
-- title: Functions that anyone on the internet may call
-- tables: fc_triggers, fc2_triggers
-- reason: why it matters;
--   an indented line continues the value
-- remedy: what to do
SELECT account_id, region_id, …
```

`lookups` names tables in which the SQL looks up rows: without any data of one of them, the finding is unknown. `with`
names files of `shared`, whose common table expressions stand before the SELECT. Rows with a text in the column
`_unknown` are undecided cases and the reason. `resource` names the columns that together name a row's resource; without
it, the first column after account and region does.
`secrets: fingerprint` needs a snapshot whose secrets are fingerprints. `source` and `checked` are the source of a list
in the SQL, and the day when the list was compared with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Literal, get_args

from crawler.errors import ConfigError
from crawler.local_files import read_regular, reason_of
from crawler.snapshot.layout import is_table

Severity = Literal["high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

_REQUIRED = ("severity", "title", "tables", "reason")
_KEYS = (*_REQUIRED, "remedy", "resource", "lookups", "with", "secrets", "source", "checked")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_ENTRY = re.compile(r"--\s?([a-z]+):\s*(.*)")
_CONTINUED = re.compile(r"--\s{2,}(\S.*)")
_WITH = re.compile(r"WITH\s+", re.IGNORECASE)
_LARGEST_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `name` is the file's name without extension; `is_own` marks a user's file."""

    name: str
    severity: Severity
    title: str
    reason: str
    sql: str
    tables: tuple[str, ...]
    lookups: tuple[str, ...] = ()
    remedy: str = ""
    secrets: str = ""
    source: str = ""
    checked: str = ""
    resource: tuple[str, ...] = ()
    is_own: bool = False


def load_findings(folders: Sequence[Path] = ()) -> list[Finding]:
    """Return the built-in findings and those of the user's folders, by severity and name.

    A user's file replaces a built-in one of the same name. Raises ConfigError for a folder or file that can't be read,
    and for a file that isn't a finding.
    """
    found = {finding.name: finding for finding in _built_in_findings()}
    for folder in folders:
        found |= {finding.name: finding for finding in _read_folder(folder)}
    return sorted(found.values(), key=lambda finding: (SEVERITIES.index(finding.severity), finding.name))


def parse_finding(name: str, text: str, where: str, *, is_own: bool = False) -> Finding:
    """Return the finding in a file's text. Raises ConfigError, which names `where`, for an invalid header or SQL."""
    header, sql = _split_header(text, where)
    if missing := [key for key in _REQUIRED if not header.get(key)]:
        raise ConfigError(f"{where}: the header has no `-- {missing[0]}: …` line")
    severity = header["severity"]
    if severity not in SEVERITIES:
        raise ConfigError(f"{where}: severity {severity[:40]!a} isn't one of {', '.join(SEVERITIES)}")
    if header.get("secrets", "fingerprint") != "fingerprint":
        raise ConfigError(f"{where}: the only value of secrets is fingerprint")
    if names := _names(header.get("with", "")):
        sql = _with_shared(names, sql, where)
    _check_sql(sql, where)
    return Finding(
        name=name,
        severity=severity,
        title=header["title"],
        reason=header["reason"],
        sql=sql,
        tables=_table_names(header["tables"], where),
        lookups=_table_names(header.get("lookups", ""), where),
        remedy=header.get("remedy", ""),
        secrets=header.get("secrets", ""),
        source=header.get("source", ""),
        checked=header.get("checked", ""),
        resource=_names(header.get("resource", "")),
        is_own=is_own,
    )


def _built_in_findings() -> Iterable[Finding]:
    for entry in sorted(resources(__package__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".sql"):
            yield parse_finding(entry.name.removesuffix(".sql"), entry.read_text("utf-8"), entry.name)


def _read_folder(folder: Path) -> Iterable[Finding]:
    if not folder.is_dir():
        raise ConfigError(f"--findings {folder}: no such folder; name a folder with .sql files")
    paths = sorted(folder.glob("*.sql"))
    if not paths:
        raise ConfigError(f"--findings {folder}: the folder has no .sql file")
    for path in paths:
        if not _NAME.fullmatch(path.stem):
            raise ConfigError(f"{path}: the name may have small letters, digits and _: public_buckets.sql")
        yield parse_finding(path.stem, _read_file(path), str(path), is_own=True)


def _read_file(path: Path) -> str:
    try:
        return read_regular(path, _LARGEST_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be used: {reason_of(error)}") from None


def _split_header(text: str, where: str) -> tuple[dict[str, str], str]:
    """Return the header's values by key, and the SQL below the header."""
    header: dict[str, str] = {}
    lines, key = text.strip().splitlines(), ""
    for number, line in enumerate(lines):
        if not line.startswith("--"):
            return header, "\n".join(lines[number:]).strip()
        if entry := _ENTRY.fullmatch(line.rstrip()):
            key = entry[1]
            if key not in _KEYS:
                raise ConfigError(f"{where}: line {number + 1}: unknown key {key!r}; a header has {', '.join(_KEYS)}")
            header[key] = entry[2].strip()
        elif key and (more := _CONTINUED.fullmatch(line.rstrip())):
            header[key] = f"{header[key]} {more[1]}".strip()
        else:
            raise ConfigError(f"{where}: line {number + 1}: a header's lines are `-- key: value` or indented")
    return header, ""


def shared_names() -> set[str]:
    """Return the names of the common table expressions that a finding may have before its SQL."""
    return {entry.name.removesuffix(".sql") for entry in resources(__package__).joinpath("shared").iterdir()}


def _with_shared(names: Sequence[str], sql: str, where: str) -> str:
    """Return the SQL with the common table expressions of these shared files before its own."""
    shared = {entry.name: entry for entry in resources(__package__).joinpath("shared").iterdir()}
    if unknown := [name for name in names if f"{name}.sql" not in shared]:
        known = ", ".join(sorted(name.removesuffix(".sql") for name in shared))
        raise ConfigError(f"{where}: there is nothing shared as {unknown[0][:40]!a}; known: {known}")
    expressions = ",\n".join(shared[f"{name}.sql"].read_text("utf-8").strip() for name in names)
    own = _WITH.match(sql)
    return f"WITH\n{expressions},\n{sql[own.end() :]}" if own else f"WITH\n{expressions}\n{sql}"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _table_names(text: str, where: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if not is_table(name):
            raise ConfigError(f"{where}: {name[:40]!a} isn't a table's name; separate tables by commas")
    return names


def _check_sql(sql: str, where: str) -> None:
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigError(f"{where}: not SQL: {str(error).splitlines()[0]}") from None
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ConfigError(f"{where}: there must be one SELECT below the header and no other statement")
