"""The catalog as one page of Markdown, as it is read on GitHub: `docs/tables.md`."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from crawler.catalog.model import EXTRA_COLUMN, FIXED_COLUMNS, Catalog, Operation, Product
from crawler.cli.tables.describe import (
    FIXED_DESCRIPTIONS,
    Rules,
    counts_text,
    facts,
    key_text,
    own_column_rows,
    selection_text,
)

# What each section leaves out: the overview and the section's first line have it.
_SAID_ELSEWHERE = {"operation", "rate limit"}

_INTRO = """\
<!-- Made by `make docs` from the files under schemas/: change those, not this page. -->

# Tables

{counts}.
Every List operation of the three APIs has one, and so has OpenSearch's DescribeApps, which lists too.
`acs-inventory tables` shows the same on a terminal, `acs-inventory tables TABLE` one of them, and `--json` gives all
of it to programs.

{contents}

Which of them a crawl takes along:

- **default**: `tables = ["*"]` takes it along, and so does every other glob that matches.
- **opt-in**: it costs or carries more than an inventory should by itself; `[crawl] tables` or `--table` must give its
  exact name.
- **out**: it can't be crawled, since it needs something that only a user can give. The table is here so that no
  operation is missing without a reason.

A table with a *parent* is asked for once for each row of the parent, which is walked along even if it isn't written.
The *key* tells rows apart within an account and a region. *Assumed* RAM actions are those that the documentation
doesn't disclose; they are named after their siblings.

A `struct` has its fields below it; in their names `[]` is each item of a list, `.*` each value of a map, whose keys
are text. What is in parentheses is the unit; `timestamp(ms)` comes as a number of milliseconds, and is a timestamp in
UTC as every other. `json` is text that holds any JSON value. A `secret` is a keyed fingerprint, as text, in place of
its value. `in JSON text` means that the API sends JSON inside a string; the column has what is in it.

Besides its own columns, every table has these:
"""


def page(catalog: Catalog, rules: Rules) -> str:
    """The page. The same catalog and limits always make the same page."""
    by_product = [
        (product, [op for op in catalog.operations.values() if op.product == product.key])
        for product in catalog.products.values()
    ]
    lines = [_INTRO.format(counts=counts_text(catalog, catalog.operations), contents=_contents(by_product))]
    rows = [(_code(name), escaped(FIXED_DESCRIPTIONS[name])) for name in (*FIXED_COLUMNS, EXTRA_COLUMN)]
    lines += [*_table(("column", "description"), rows), ""]
    for product, operations in by_product:
        lines += _overview(catalog, product, operations, rules)
    for product, operations in by_product:
        lines += [f"## {_columns_heading(product)}", ""]
        for operation in operations:
            lines += _section(catalog, operation, rules)
    return "\n".join(lines).rstrip("\n") + "\n"


def _contents(by_product: Iterable[tuple[Product, Sequence[Operation]]]) -> str:
    links = [
        f"- [{_heading(product)}](#{_anchor(_heading(product))}), and the"
        f" [columns](#{_anchor(_columns_heading(product))}) of each table"
        for product, _ in by_product
    ]
    return "\n".join(links)


def _columns_heading(product: Product) -> str:
    return f"Columns of {_heading(product)}"


def _anchor(heading: str) -> str:
    """What GitHub makes of a heading: small letters, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _heading(product: Product) -> str:
    return escaped(product.title)


def _overview(catalog: Catalog, product: Product, operations: Sequence[Operation], rules: Rules) -> Iterator[str]:
    rule = rules.get(product.key, rules["default"])
    limit = f"{rule.rate:g} requests a second and bursts of {rule.burst}, in each account and region"
    counts = counts_text(catalog, [operation.table for operation in operations])
    yield from (f"## {_heading(product)}", "")
    yield from (f"`{product.key}` {product.version}. {counts}. All operations together: at most {limit}.", "")
    columns = ("table", "operation", "what its rows are", "crawled", "parents", "key", "RAM action")
    yield from _table(columns, [_overview_row(operation) for operation in operations])
    yield ""


def _overview_row(operation: Operation) -> tuple[str, ...]:
    selection = operation.selection if operation.selection == "default" else f"**{operation.selection}**"
    return (
        _link(operation.table),
        _code(operation.action),
        escaped(operation.title),
        selection + escaped(selection_text(operation).removeprefix(operation.selection)),
        ", ".join(_link(parent) for parent in operation.parent_tables),
        marked(key_text(operation)),
        _code(operation.ram) + (" (assumed)" if operation.is_ram_assumed else ""),
    )


def _section(catalog: Catalog, operation: Operation, rules: Rules) -> Iterator[str]:
    yield from (f"### {operation.table}", "")
    yield f"{escaped(operation.title)}. [{operation.action}]({operation.source}), read {operation.checked}."
    yield ""
    own_limit = {"rate limit"} if f"{operation.product}.{operation.action}" in rules else set[str]()
    for label, texts in facts(catalog, operation.table, rules).items():
        if label not in _SAID_ELSEWHERE - own_limit:
            yield from _fact(label, [marked(text, catalog.operations) for text in texts])
    rows = [
        (_code(row.path), _code(row.type), escaped(row.description))
        for row in own_column_rows(catalog, operation.table)
    ]
    yield from ("", *_table(("column", "type", "description"), rows), "")


def _fact(label: str, texts: Sequence[str]) -> Iterator[str]:
    if len(texts) == 1:
        yield f"- {label}: {texts[0]}"
        return
    yield f"- {label}:"
    yield from (f"  - {text}" for text in texts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(cells)} |"


def _link(table: str) -> str:
    """GitHub's anchor of a heading that is a table's name is that name."""
    return f"[{table}](#{table})"


def _code(text: str) -> str:
    """A code span. Nothing in it counts, but for a bar, which would end a table's cell."""
    return f"`{text.replace('`', '').replace('|', chr(92) + '|')}`"


def escaped(text: str) -> str:
    """Text of which nothing counts as Markdown or HTML."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def marked(text: str, tables: Container[str] = ()) -> str:
    """A fact: what is between backticks is code, or a link to one of `tables`, and nothing else counts."""
    parts = text.split("`")
    return "".join(
        escaped(part) if number % 2 == 0 else _link(part) if part in tables else _code(part)
        for number, part in enumerate(parts)
    )
