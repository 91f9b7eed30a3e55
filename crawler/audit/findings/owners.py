"""Find the owner of a resource: the value of its owner tag.

Functions of 3.0, OpenSearch applications and search instances have their tags in their own rows. In 2.0 only services
have tags, which are rows of `fc2_tagged_resources` with the ARN of the service.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from crawler.audit.database import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

OWNER_TAGS = ("owner", "team")
OWNERS = "_owners"

# Tables of resources with tags in a column → the kind of `OWNERS`, and the column with the resource's name.
_TAGGED = {
    "fc_functions": ("function", "function_name"),
    "opensearch_app_groups": ("app_group", "name"),
    "searchengine_instances": ("instance_id", "instance_id"),
}
_SERVICES = ("fc2_services", "fc2_tagged_resources")
OWNER_TABLES = (*_TAGGED, *_SERVICES)

# Columns of a finding that name a resource with an owner → the kind of `OWNERS`, and SQL for the name there.
_FUNCTION = "if(contains({0}, '/'), split_part({0}, '/', 1) || '/', {0})"
_OWNED = {
    "function": ("function", _FUNCTION),
    "function_or_service": ("function", _FUNCTION),
    "service": ("function", "rtrim({0}, '/') || '/'"),
    "app_group": ("app_group", "{0}"),
    "instance_id": ("instance_id", "{0}"),
}
_NO_OWNERS = (
    "SELECT NULL::VARCHAR AS account_id, NULL::VARCHAR AS region_id, NULL::VARCHAR AS kind, NULL::VARCHAR AS name, "
    "NULL::VARCHAR AS owner, false AS is_known WHERE false"
)


def create_owners(connection: duckdb.DuckDBPyConnection, tables: Collection[str], owner_tags: Sequence[str]) -> None:
    """Create the table `OWNERS` from those of `OWNER_TABLES` that have a view.

    A name that ends with a slash is a service of 2.0, whose functions belong to its owner.
    """
    parts = [
        f"SELECT account_id, region_id, {quote_text(kind)} AS kind, {name} AS name, "  # noqa: S608 - our own names
        f"{owner_sql('tags', owner_tags)} AS owner, true AS is_known FROM {table}"
        for table, (kind, name) in _TAGGED.items()
        if table in tables
    ]
    if set(_SERVICES) <= set(tables):
        parts.append(_services_sql(owner_tags))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {OWNERS} AS SELECT account_id, region_id, kind, name, min(owner) AS owner, "  # noqa: S608
        f"bool_or(is_known) AS is_known FROM ({' UNION ALL '.join(parts or [_NO_OWNERS])}) GROUP BY ALL"
    )


def owner_sql(tags: str, owner_tags: Sequence[str]) -> str:
    """Return SQL for the owner in a list of tags: the value of the first owner tag that has one, else null."""
    found = [
        f"nullif(trim(list_filter({tags}, lambda tag: lower(trim(tag.key)) = {quote_text(key.strip().lower())} "
        "AND trim(tag.value) <> '')[1].value), '')"
        for key in owner_tags
    ]
    return f"coalesce({', '.join(found)}, NULL)" if found else "NULL::VARCHAR"


def has_owners(columns: Sequence[str]) -> bool:
    """Return whether a finding's columns name resources that may have an owner."""
    return bool(owner_join(columns))


def owner_join(columns: Sequence[str]) -> str:
    """Return the condition that joins rows `f` of a finding to owners `o`; empty if no column names a resource."""
    if not {"account_id", "region_id"} <= set(columns):
        return ""
    for column, (kind, name) in _OWNED.items():
        if column in columns:
            wanted = name.format(f"f.{quote_name(column)}")
            same_place = "o.account_id = f.account_id AND o.region_id = f.region_id"
            return f"{same_place} AND o.kind = {quote_text(kind)} AND o.name = {wanted}"
    return ""


def _services_sql(owner_tags: Sequence[str]) -> str:
    """Return the owners of services. A service that isn't among the tagged has none only if their list is complete."""
    owner = owner_sql("map_entries(t.tags)", owner_tags)
    return f"""
SELECT s.account_id, s.region_id, 'function', s.service_name || '/', {owner},
       t.resource_arn IS NOT NULL OR w.account_id IS NOT NULL
FROM fc2_services s
LEFT JOIN (SELECT *, regexp_extract(resource_arn, ':services/([^/]+)$', 1) AS service_name FROM fc2_tagged_resources) t
       ON t.account_id = s.account_id AND t.region_id = s.region_id AND t.service_name = s.service_name
LEFT JOIN (SELECT DISTINCT account_id, region_id FROM _scopes
           WHERE "table" = 'fc2_tagged_resources' AND written AND status = 'complete') w
       ON w.account_id = s.account_id AND w.region_id = s.region_id"""  # noqa: S608 - our own SQL and quoted texts
