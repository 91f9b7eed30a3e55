"""What two crawls must have in common for one to go on where the other ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from crawler import __version__
from crawler.catalog.model import Catalog
from crawler.config import Config
from crawler.normalizer.redaction import Redaction
from crawler.run.target_plans import TargetPlan


def plan_sha256(catalog: Catalog, plans: Iterable[TargetPlan], written: Sequence[str]) -> str:
    """A hash of the plan: scopes, tables, columns. It is the manifest's, too."""
    tables = {table: str(catalog.operations[table].schema) for table in written}
    scopes = sorted([p.target.account_id, p.target.region_id, *p.tables] for p in plans)
    text = json.dumps({"tables": tables, "scopes": scopes}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def conditions(config: Config, redaction: Redaction, details: Iterable[str]) -> dict[str, str]:
    """What else makes rows what they are, each by its name for a sentence. The key itself isn't in it."""
    return {
        "version of acs-inventory": __version__,
        "[output] secrets": redaction.mode,
        "[output] unknown": config.output.unknown,
        "fingerprint key": redaction.hidden("the key of this crawl"),
        "[crawl] details": ", ".join(sorted(details)),
        "[opensearch] functions": ", ".join(sorted(config.opensearch.functions)),
    }


def families(catalog: Catalog, tables: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every table that a crawl of these walks → the tables right above it."""
    return {table: catalog.operations[table].parent_tables for table in catalog.with_parents(tables)}
