"""The files that a package's operations become."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

from crawler.catalog.columns import snake_case
from crawler.catalog.scaffold.drafts import TableDraft, draft_table
from crawler.catalog.scaffold.files import product_text, table_text, title_of
from crawler.catalog.scaffold.hosts import find_hosts, find_regions
from crawler.catalog.scaffold.names import noun, stem, verb
from crawler.catalog.scaffold.parents import needed_by_name, propose_keys, propose_parents, require_by_name
from crawler.catalog.scaffold.secrets import KnownSecrets
from crawler.catalog.sdk.calls import SdkCall
from crawler.catalog.sdk.check import ALL_OTHERS
from crawler.catalog.sdk.package import SdkPackage
from crawler.errors import ConfigError

_VERBS = ("List", "Describe")
# Other operations change the cloud, and some cost money. Those of the second row are marked.
_READING = (*_VERBS, "Get", "Query", "Search", "Count", "Check")
_LONGEST_NAME = 100
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposed files: path below the folder → text; `product.toml` first.

    `folder`: PRODUCT/VERSION. `tables`: names of tables, those that were asked for first. `added`: parents that nobody
    named. `companions`: files that nobody named: product.toml, and the parents'.
    `uncovered`: List and Describe operations without a table → reason, without those that weren't asked for.
    """

    package: str
    version: str
    product: str
    folder: str
    texts: Mapping[str, str]
    tables: Sequence[str]
    added: Sequence[str]
    companions: Sequence[str]
    uncovered: Mapping[str, str]


def propose(
    package: SdkPackage,
    actions: Sequence[str],
    day: date,
    known: KnownSecrets = frozenset(),
    usual: Sequence[str] = (),
) -> Proposal:
    """Return the files for these operations, or for all List and Describe operations.

    `day` becomes the files' `checked`. `known`: secrets of other tables, see `secrets.known_secrets`. `usual`: regions
    of a product whose SDK has neither all hosts nor a list of regions, see `hosts.usual_regions`. Raises ConfigError
    for an unknown action, one that may write, and if no operation can be a table.
    """
    calls = package.calls
    _check_package(package, actions)
    readable = [action for action in calls if verb(action) in _VERBS]
    read_calls = [calls[action] for action in readable]
    regions = find_regions(calls)
    hosts = find_hosts(package, read_calls, () if regions else usual)
    product, prefix = _key_and_prefix(package)
    regions = {} if hosts.is_global else regions
    wanted = list(dict.fromkeys(actions)) or [action for action in readable if action != regions.get("action")]
    names = _table_names(dict.fromkeys([*wanted, *readable]), prefix)

    def read(action: str) -> TableDraft | str:
        if (calls[action].style, calls[action].version) != (package.style, package.api_version):
            return "the SDK sends it in another style or version than the product's"
        return draft_table(calls[action], names[action], is_global=hosts.is_global, known=known)

    drafts, uncovered = _drafts(wanted, readable, read)
    chosen = _chosen(drafts, wanted, calls.values(), uncovered)
    if not chosen:
        raise ConfigError(_nothing(package, wanted, uncovered))
    texts = {"product.toml": ""}
    for draft in chosen:
        text = table_text(draft, package, product, title_of(draft.call.action, product), day)
        texts[f"{draft.name.removeprefix(prefix)}.toml"] = text
    added = [draft.name for draft in chosen if draft.call.action not in wanted]
    not_asked = {ALL_OTHERS: "not asked for"} if actions else {}
    texts["product.toml"] = product_text(package, product, prefix, hosts, regions, {**not_asked, **uncovered}, chosen)
    return Proposal(
        package=package.package,
        version=package.version,
        product=product,
        folder=f"{product}/{package.api_version}",
        texts=texts,
        tables=[draft.name for draft in chosen],
        added=added,
        companions=["product.toml", *(f"{name.removeprefix(prefix)}.toml" for name in added)],
        uncovered=dict(sorted(uncovered.items())),
    )


def _key_and_prefix(package: SdkPackage) -> tuple[str, str]:
    """Return the product's key and the prefix of its tables, of plain letters."""
    product = re.sub(r"[^a-z0-9-]+", "-", package.product).strip("-") or "product"
    prefix = f"{snake_case(product)}_"
    return product, prefix if prefix[0].isalpha() else f"p_{prefix}"


def _chosen(
    drafts: Sequence[TableDraft], wanted: Sequence[str], calls: Iterable[SdkCall], uncovered: dict[str, str]
) -> list[TableDraft]:
    """Return the tables to write, those that were asked for and can be crawled first; note the others' reasons."""
    require_by_name(drafts)
    propose_keys(drafts, calls)
    chosen = propose_parents(drafts, wanted)
    uncovered |= {draft.call.action: draft.reason for draft in chosen if draft.parameters and not draft.parent}
    return sorted(
        (draft for draft in chosen if draft.call.action not in uncovered),
        key=lambda draft: (
            draft.call.action not in wanted,
            draft.selection == "out",
            len(draft.parameters),
            draft.name,
        ),
    )


def _check_package(package: SdkPackage, actions: Sequence[str]) -> None:
    if not _VERSION.fullmatch(package.api_version):
        raise ConfigError(f"{package.package} {package.version} has no operation with a version such as 2020-01-31")
    for action in actions:
        _check_action(action, package.calls, package)


def _check_action(action: str, calls: Mapping[str, SdkCall], package: SdkPackage) -> None:
    if action not in calls:
        by_small = {known.lower(): known for known in calls}
        near = get_close_matches(action.lower(), by_small, 1)
        hint = (
            f"did you mean {by_small[near[0]]}?"
            if near
            else "`catalog scaffold PACKAGE` without an action writes all lists."
        )
        raise ConfigError(f"{package.package} {package.version} has no action {action!r}; {hint}")
    if verb(action) not in _READING:
        allowed = f"{', '.join(_READING[:-1])} or {_READING[-1]}"
        raise ConfigError(f"{action} may change the cloud: its name doesn't begin with {allowed}")


def _drafts(
    wanted: Sequence[str], readable: Sequence[str], read: Callable[[str], TableDraft | str]
) -> tuple[list[TableDraft], dict[str, str]]:
    """Return the drafts of the wanted tables, with all others if one may need a parent; and the reasons for none."""
    drafts: dict[str, TableDraft] = {}
    uncovered: dict[str, str] = {}
    for action in wanted:
        found = read(action)
        if isinstance(found, TableDraft):
            drafts[action] = found
        else:
            uncovered[action] = found
    stems = {stem(action) for action in readable}
    if any(found.parameters or needed_by_name(found, stems) for found in drafts.values()):
        others = {action: read(action) for action in readable if action not in drafts and action not in uncovered}
        drafts |= {action: found for action, found in others.items() if isinstance(found, TableDraft)}
    return [drafts[action] for action in sorted(drafts)], uncovered


def _table_names(actions: Iterable[str], prefix: str) -> dict[str, str]:
    """Return action → table. The second operation of a noun keeps its verb: `ecs_describe_tags`."""
    names: dict[str, str] = {}
    for action in actions:
        number, candidates = 2, [_table_name(noun(action)), _table_name(action)]
        while not candidates[0] or prefix + candidates[0] in names.values():
            candidates = candidates[1:] or [f"{_table_name(action) or 'table'}_{number}"]
            number += 1
        names[action] = prefix + candidates[0]
    return names


def _table_name(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", "", snake_case(name).strip("_"))[:_LONGEST_NAME]


def _nothing(package: SdkPackage, wanted: Sequence[str], uncovered: Mapping[str, str]) -> str:
    reasons = set(uncovered.values())
    if len(uncovered) > 1 and len(reasons) == 1:
        return f"no operation of {package.package} {package.version} can be a table: {reasons.pop()}"
    for action in wanted:
        if action in uncovered:
            return f"{action} of {package.package} {package.version} can't be a table: {uncovered[action]}"
    return f"{package.package} {package.version} has no List or Describe operation"
