"""Proposes schema files from an official SDK package.

`propose` reads the package and returns the files' texts; `write_files` writes them. Read `drafts` (one table) first,
then what it is made of: `answers` (where the records are), `paging`, `fields` (columns), `secrets` and `comments`;
then `parents`, `hosts`, and `files` with `toml_text` (the form of the files).
"""

from __future__ import annotations

from crawler.catalog.scaffold.hosts import usual_regions
from crawler.catalog.scaffold.proposal import Proposal, propose
from crawler.catalog.scaffold.secrets import known_secrets
from crawler.catalog.scaffold.write import Written, write_files

__all__ = ["Proposal", "Written", "known_secrets", "propose", "usual_regions", "write_files"]
