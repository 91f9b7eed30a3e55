"""The text of the files: a product.toml, and one file for each table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from crawler.catalog.columns import snake_case
from crawler.catalog.model import WHOLE_ANSWER
from crawler.catalog.scaffold.answers import own_scalars
from crawler.catalog.scaffold.drafts import TableDraft
from crawler.catalog.scaffold.hosts import HostsDraft
from crawler.catalog.scaffold.names import noun, plain, verb
from crawler.catalog.scaffold.toml_text import columns_text, comment_lines, line
from crawler.catalog.sdk.package import SdkPackage

_HOW = "Lines that end with a comment are proposals: confirm or correct each one, then remove its comment."
_ASSUMED = "the RAM action, assumed from the names"
_LONGEST_ACRONYM = 4
_CODES = ["200", "ok", "success"]


def product_text(
    package: SdkPackage,
    product: str,
    prefix: str,
    hosts: HostsDraft,
    regions: Mapping[str, str],
    uncovered: Mapping[str, str],
    tables: Sequence[TableDraft],
) -> str:
    """Return the text of a product.toml."""
    parts = [
        "\n".join(
            [
                *comment_lines(f"Proposed from {package.package} {package.version}. {_HOW}"),
                line("product", product),
                line("title", product_title(product), "the product's name for people"),
                line("version", package.api_version),
                line("prefix", prefix),
                line("style", package.style),
                line("sdk", package.package),
                line("endpoint", hosts.endpoint, hosts.doubt),
                *([line("global", True)] if hosts.is_global else []),
                *_success_codes(tables),
            ]
        ),
        "[rate_limit]\n"
        + line("rate", 10, "an estimate, in requests per second: no SDK says the limit")
        + "\n"
        + line("burst", 5),
    ]
    if regions:
        ram = line("ram", f"{ram_product(product)}:{regions['action']}", _ASSUMED)
        parts.append("\n".join(["[regions]", *(line(*pair) for pair in regions.items()), ram]))
    if hosts.endpoints:
        parts.append("\n".join(["[endpoints]", *(line(*pair) for pair in hosts.endpoints.items())]))
    if uncovered:
        parts.append("\n".join(["[uncovered]", *(line(*pair) for pair in sorted(uncovered.items()))]))
    return "\n\n".join(parts) + "\n"


def product_title(product: str) -> str:
    """Return a product's name as people write it, as far as its key says."""
    return product.upper() if len(product) <= _LONGEST_ACRONYM else product.capitalize()


def _success_codes(tables: Sequence[TableDraft]) -> Iterator[str]:
    """Yield `success_codes` if an answer has a code beside its records."""
    with_code = [d for d in tables if any(plain(found.wire) == "code" for found in d.call.answer.fields)]
    if with_code:
        yield line(
            "success_codes", _CODES, f"codes of an answer that is no error, such as {with_code[0].call.action}'s"
        )


def table_text(draft: TableDraft, package: SdkPackage, product: str, title: str, day: date) -> str:
    """Return the text of a table's file."""
    name = package.package.replace("_", "-")
    notes = [f"Proposed from {package.package} {package.version}. {_HOW}"]
    notes += [f"No column holds {text}." for text in draft.columns.left_out[:20]]
    if draft.call.body_names:
        notes.append(f"Not sent, since they belong to a body: {', '.join(draft.call.body_names)}.")
    head = [
        *(text for note in notes for text in comment_lines(note)),
        line("source", f"{name} {package.version}"),
        f"checked = {day.isoformat()}",
    ]
    parts = [
        "\n".join(head),
        "\n".join(["[operation]", *_operation(draft, product)]),
        *(["\n".join(["[[parents]]", *_parent(draft)])] if draft.parent else []),
        "\n".join(
            [
                "[paging]",
                *(line(key, value, draft.paging.doubts.get(key, "")) for key, value in draft.paging.keys.items()),
            ]
        ),
        "\n".join(["[table]", *_table(draft, title)]),
        columns_text(draft.columns.tree, draft.columns.doubts).rstrip("\n"),
    ]
    if draft.columns.descriptions:
        parts.append("\n".join(["[descriptions]", *(line(*pair) for pair in draft.columns.descriptions.items())]))
    return "\n\n".join(parts) + "\n"


def _operation(draft: TableDraft, product: str) -> Iterator[str]:
    call = draft.call
    doubt = "" if verb(call.action) in {"List", "Describe"} else "does it only read?"
    yield line("action", call.action, doubt)
    yield line("path", draft.path)
    if call.method != "GET":
        yield line("method", call.method)
    if draft.query:
        yield line("query", draft.query, *draft.query_doubts)
    if draft.filters:
        yield line("filters", sorted(draft.filters))
    yield line("records", ".".join(draft.records.path), draft.records.doubt)
    if draft.item:
        yield line("item", draft.item)
    if draft.records.is_object and draft.records.path != WHOLE_ANSWER:
        yield line("accepts", ["object"])
    if draft.envelope:
        yield line("envelope", draft.envelope, _envelope_doubt(draft))
    yield line("ram", f"{ram_product(product)}:{call.action}", _ASSUMED)


def _envelope_doubt(draft: TableDraft) -> str:
    own, node = [], draft.call.answer
    for depth, step in enumerate(draft.records.path):
        own += [".".join((*draft.records.path[:depth], name)) for name in own_scalars(node)]
        node = node.named[step].node
    own = [name for name in own if name in draft.envelope]
    return f"or is the answer one record with {', '.join(own[:3])}?" if own else ""


def ram_product(product: str) -> str:
    """Return the product's name in RAM actions as it is most often: `slb`, `vpc`."""
    return product.removesuffix("-open")


def _parent(draft: TableDraft) -> Iterator[str]:
    yield line("table", draft.parent, "" if draft.bind else "any list: no table gives the parameters")
    yield line("bind", draft.bind, "found by names" if draft.bind else "")
    if draft.values:
        values = {name: list(found) for name, found in draft.values.items()}
        yield line("values", values, "requested with each row of the parent")


def _table(draft: TableDraft, title: str) -> Iterator[str]:
    yield line("name", draft.name)
    yield line("title", title)
    yield line("key", draft.key, "found by names" if draft.key else "does no field identify a record?")
    if draft.selection != "default":
        yield line("selection", draft.selection)
        yield line("reason", draft.reason)


def title_of(action: str, product: str) -> str:
    """Return the title of a table: `Security groups of ECS`."""
    text = snake_case(noun(action)).replace("_", " ").strip() or action
    return f"{text[:1].upper()}{text[1:]} of {product_title(product)}"
