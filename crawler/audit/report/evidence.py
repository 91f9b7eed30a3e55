"""The section that ties the page to the snapshot: ID, SHA-256 of the manifest, and how to check them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from crawler import __version__
from crawler.audit.report.markup import Child, Html, element, joined
from crawler.snapshot.layout import manifest_path

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.snapshot import Manifest

_SECRETS = {
    "fingerprint": "fingerprint: a keyed hash replaces each secret; equal secrets have equal hashes",
    "mask": "mask: the snapshot contains no part of any secret",
    "keep": "keep: the snapshot holds secrets in clear text, protect it; the built-in parts of this page show none",
}


def evidence_section(snapshot: OpenSnapshot) -> Html:
    """Return the section's content. Made last: it says how many files were read and compared."""
    manifest = snapshot.manifest
    files = sum(len(entry.files) for entry in manifest.tables.values())
    size = sum(entry.bytes for entry in manifest.tables.values())
    entries: list[tuple[str, Child]] = [
        ("Snapshot", _code(manifest.snapshot_id)),
        ("Status", manifest.status),
        *([("Only", _code(manifest.selection.options))] if manifest.selection else []),
        ("Manifest", _code(manifest_path(manifest.snapshot_id))),
        ("Manifest's SHA-256", _code(snapshot.manifest_sha256)),
        ("Ledger's SHA-256", _code(manifest.ledger.sha256)),
        ("Plan's SHA-256", _code(manifest.plan_sha256)),
        ("Crawl started", format_instant(manifest.started_at)),
        ("Crawl finished", format_instant(manifest.finished_at)),
        ("Clock skew", f"{manifest.clock_skew_s:g} s"),
        ("Secrets", _secrets(manifest)),
        ("Crawled by", f"acs-inventory {manifest.version}"),
        ("Report by", f"acs-inventory {__version__}"),
        ("Data", f"{files:,} files, {size:,} bytes; the manifest has the SHA-256 of each"),
        ("Checked", _checked_text(snapshot)),
    ]
    listed = [element("div", element("dt", name), element("dd", value)) for name, value in entries]
    check = f"acs-inventory snapshots verify {manifest.snapshot_id}"
    return joined(
        [
            element("dl", *listed, class_="evidence"),
            element(
                "p",
                "The same snapshot and version give the same page, byte for byte. ",
                "To check all data against the manifest: ",
                _code(check),
                ". All times are UTC.",
            ),
        ]
    )


def _checked_text(snapshot: OpenSnapshot) -> str:
    """Return which files were compared with which hashes. The manifest and the ledger always are."""
    number = f"{snapshot.checked.number:,} files"
    if snapshot.is_hashed:
        return (
            f"the manifest against its checksum file, and the {number} of this page, by SHA-256, against the manifest"
        )
    return (
        "the manifest against its checksum file, and the ledger; the data was not checked (--no-verify): "
        f"of the {number} of this page only sizes and numbers of rows are the manifest's"
    )


def _secrets(manifest: Manifest) -> str:
    said = _SECRETS.get(manifest.secrets, manifest.secrets)
    is_within = manifest.secrets == "fingerprint" and manifest.fingerprint_scope == "account"
    return f"{said} within an account" if is_within else said


def format_instant(value: datetime) -> str:
    """Return a UTC instant as text, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def _code(text: str) -> Html:
    return element("code", text)
