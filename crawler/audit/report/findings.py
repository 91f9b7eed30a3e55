"""The section of findings: each with its reason, its rows and their owners, those accepted, and its SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from crawler.audit.findings import Coverage, FindingResult, FoundRow, has_owners, resource_columns
from crawler.audit.report.markup import Html, element, escaped, joined, printable_text, verbatim
from crawler.audit.report.tables import OWNER, DataTable, Row, data_table, json_text
from crawler.text import account_label

_LINKED_SEVERITIES = ("high", "medium")
_NOT_KNOWN = "not known"
# More owners make no list that a person reads.
_MOST_OWNERS = 500


def findings_section(
    outcomes: Sequence[FindingResult], warnings: Sequence[str] = (), names: Mapping[str, str] = MappingProxyType({})
) -> Html:
    """Return all findings: those with open rows, those unknown, those with accepted rows only, those without rows.

    `names` are the names of accounts by their ID.
    """
    groups: dict[tuple[str, str], list[FindingResult]] = {
        ("Found", "found"): [],
        ("Unknown or partly unknown", "not-known"): [],
        ("Accepted", "accepted"): [],
        ("Nothing found", "nothing-found"): [],
    }
    for outcome, group in zip(outcomes, map(_group_of, outcomes), strict=True):
        groups[group].append(outcome)
    return joined(
        [
            element("ul", *(element("li", sentence) for sentence in warnings), class_="gap") if warnings else None,
            _owner_filter(outcomes),
            *(_group(title, kind, group, names) for (title, kind), group in groups.items() if group),
        ]
    )


def finding_links(outcomes: Sequence[FindingResult]) -> Html | None:
    """Return links to the findings of high and medium severity that have open rows."""
    linked = [outcome for outcome in outcomes if outcome.total and outcome.finding.severity in _LINKED_SEVERITIES]
    items = [
        element(
            "li",
            _badge(outcome),
            element("a", outcome.finding.title, href=f"#{_anchor(outcome)}"),
            element("span", result_text(outcome), class_="number"),
        )
        for outcome in linked
    ]
    return element("ul", *items, class_="finding-links") if items else None


def result_text(outcome: FindingResult) -> str:
    """Return the result in two or three words; `none` only if nothing is unknown."""
    match outcome.coverage:
        case Coverage.UNKNOWN:
            return "unknown"
        case Coverage.PARTIAL if outcome.total:
            return f"{outcome.total:,} or more"
        case Coverage.PARTIAL:
            return "partly unknown"
        case _:
            return f"{outcome.total:,}" if outcome.total else "none"


def _group_of(outcome: FindingResult) -> tuple[str, str]:
    if outcome.total:
        return ("Found", "found")
    if outcome.coverage is not Coverage.COMPLETE:
        return ("Unknown or partly unknown", "not-known")
    return ("Accepted", "accepted") if outcome.found.accepted_total else ("Nothing found", "nothing-found")


def _group(title: str, kind: str, outcomes: Sequence[FindingResult], names: Mapping[str, str]) -> Html:
    heading = element("h3", f"{title} ({len(outcomes)})")
    return element("div", heading, *(_finding(outcome, names) for outcome in outcomes), class_=f"findings {kind}")


def _owner_filter(outcomes: Sequence[FindingResult]) -> Html | None:
    """Return the place in which the script puts a choice of owners."""
    found = {
        printable_text(row.subject.owner)
        for outcome in outcomes
        for row in (*outcome.found.open, *outcome.found.accepted)
        if row.subject.owner
    }
    if not found:
        return None
    rows = [[name] for name in sorted(found)[:_MOST_OWNERS]]
    data = verbatim("script", json_text({"columns": [["owner", ""]], "rows": rows}), type="application/json")
    return element("div", data, class_="owners", data_table="owners")


def _anchor(outcome: FindingResult) -> str:
    return f"finding-{outcome.finding.name}"


def _badge(outcome: FindingResult) -> Html:
    severity = outcome.finding.severity
    return element("span", severity, class_=f"badge sev-{severity}")


def _with_code(text: str) -> Html:
    """Return a text with what stands between backticks as code; as it is, if one of them has no second."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escaped(text)
    return joined(element("code", part) if at % 2 else part for at, part in enumerate(parts))


def _finding(outcome: FindingResult, names: Mapping[str, str]) -> Html:
    finding = outcome.finding
    accepted = f" · {outcome.found.accepted_total:,} accepted" if outcome.found.accepted_total else ""
    summary = element(
        "summary",
        _badge(outcome),
        element("span", finding.title, class_="title"),
        element("span", result_text(outcome) + accepted, class_="result"),
    )
    name = element("code", finding.name)
    link = element("a", "Link to this finding", href=f"#{_anchor(outcome)}", class_="permalink")
    paragraphs = [
        element("p", _with_code(finding.reason)),
        element("p", element("strong", "What to do: "), _with_code(finding.remedy)) if finding.remedy else None,
        element("p", outcome.note) if outcome.note else None,
        _gaps(outcome),
        _open_rows(outcome, names),
        _accepted_rows(outcome, names),
        _query_details(outcome),
        element("p", name, " · ", link, class_="name"),
    ]
    return element("details", summary, *paragraphs, class_="fold finding", id=_anchor(outcome))


def _gaps(outcome: FindingResult) -> Html | None:
    if not outcome.gaps:
        return None
    lead = "Unknown: " if outcome.coverage is Coverage.UNKNOWN else "Partly unknown: "
    return element("p", element("strong", lead), "; ".join(outcome.gaps), ".", class_="gap")


def _open_rows(outcome: FindingResult, names: Mapping[str, str]) -> Html | None:
    if not outcome.total:
        return None
    columns, rows = _columns_and_rows(outcome, outcome.found.open, names)
    name, title = outcome.finding.name, outcome.finding.title
    return data_table(DataTable(name, title, columns, rows, outcome.total, has_heading=False, is_finding=True))


def _accepted_rows(outcome: FindingResult, names: Mapping[str, str]) -> Html | None:
    found = outcome.found
    if not found.accepted_total:
        return None
    columns, rows = _columns_and_rows(outcome, found.accepted, names)
    shown = [(*row, str(accepted.until), accepted.reason) for row, accepted in zip(rows, found.accepted, strict=True)]
    caption = f"Accepted in the configuration ({found.accepted_total:,}), not counted as open"
    table = DataTable(
        f"{outcome.finding.name}-accepted",
        caption,
        (*columns, "accepted_until", "why_accepted"),
        shown,
        found.accepted_total,
        has_heading=False,
        is_finding=True,
    )
    return joined([element("p", element("strong", caption)), data_table(table)])


def _columns_and_rows(
    outcome: FindingResult, found: Sequence[FoundRow], names: Mapping[str, str]
) -> tuple[tuple[str, ...], list[Row]]:
    """Return the columns and rows, with names of accounts, and the owner after the columns that name the resource."""
    columns = outcome.columns
    account = columns.index("account_id") if "account_id" in columns else None
    rows = [_with_name(row.cells, account, names) for row in found]
    if OWNER in columns or not has_owners(columns):
        return columns, rows
    at = 1 + max(columns.index(name) for name in resource_columns(outcome.finding, columns))
    owners = (row.subject.owner if row.subject.is_owner_known else _NOT_KNOWN for row in found)
    owned: list[Row] = [(*cells[:at], owner, *cells[at:]) for cells, owner in zip(rows, owners, strict=True)]
    return (*columns[:at], OWNER, *columns[at:]), owned


def _with_name(cells: Row, account: int | None, names: Mapping[str, str]) -> Row:
    if account is None or not (name := names.get(str(cells[account]))):
        return cells
    return (*cells[:account], account_label(str(cells[account]), name), *cells[account + 1 :])


def _query_details(outcome: FindingResult) -> Html:
    finding = outcome.finding
    origin = "your own file" if finding.is_own else "built in"
    tables = ", ".join((*finding.tables, *finding.lookups))
    source = f"Source: {finding.source}, checked {finding.checked}." if finding.source else None
    return element(
        "details",
        element("summary", f"Query: {finding.name}"),
        element("p", source) if source else None,
        element("p", f"Tables: {tables}. This finding is {origin}; `acs-inventory query` runs the same SQL."),
        element("pre", element("code", _lines(finding.sql)), tabindex=0),
        class_="how",
    )


def _lines(sql: str) -> Html:
    """Return SQL with its line breaks; escaped text has none."""
    return joined((element("span", line or " ", class_="line") for line in sql.splitlines()), "\n")
