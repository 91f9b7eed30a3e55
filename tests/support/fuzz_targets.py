"""Functions that take bytes from outside, wrapped so that they may only raise documented errors.

As a program it fuzzes one of them with atheris: `python tests/support/fuzz_targets.py page 60 FOLDER…` for 60 seconds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parents[1] / "trust" / "corpus"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TABLES = ("fc_functions", "fc_triggers", "fc2_instances", "opensearch_apps", "opensearch_function_instances")


def _targets() -> dict[str, Callable[[bytes], None]]:
    from crawler.catalog import load_catalog, schemas_folder
    from crawler.client.error_parsing import LONGEST_HINT_S, error_from_response, retry_after_s
    from crawler.client.error_rules import load_rules
    from crawler.config import parse_config
    from crawler.errors import ApiError, ConfigError, NormalizeError, OutputError, PaginationError, TransientError
    from crawler.normalizer import Normalizer, RowContext
    from crawler.normalizer.redaction import Redaction
    from crawler.snapshot import Manifest
    from crawler.snapshot.manifest import decode, encode

    operations = load_catalog().operations
    rules = load_rules(schemas_folder() / "errors.toml")
    redaction = Redaction("fingerprint", "fingerprint", b"k" * 32)
    readers = [
        (
            Normalizer(operations[table], redaction, "s"),
            RowContext("1", "r", NOW, dict.fromkeys(operations[table].parameters, "p")),
        )
        for table in TABLES
    ]

    def page(data: bytes) -> None:
        """Read a page; the first byte selects the table. The rows must be valid Arrow, with valid JSON in `_extra`."""
        reader, context = readers[data[0] % len(readers) if data else 0]
        try:
            found = reader.read(data[1:], context)
        except (TransientError, PaginationError, NormalizeError) as error:
            str(error).encode()
            return
        found.batch.validate(full=True)
        for extra in found.batch["_extra"].to_pylist():
            json.loads(extra or "{}")

    def error(data: bytes) -> None:
        """Read an error body; the first two bytes are the status."""
        status = 200 + int.from_bytes(data[:2], "big") % 400
        found = error_from_response(rules, product="fc", status=status, headers={}, body=data[2:], now=lambda: NOW)
        assert found is None or isinstance(found, ApiError)
        assert found is not None or 200 <= status < 300
        if found is not None:
            assert str(found).isprintable()
            assert len(str(found)) < 2000

    def headers(data: bytes) -> None:
        """Read headers from four lines; each may have a retry hint."""
        lines = data.decode("latin-1").split("\n")
        known = ("x-acs-retry-after", "x-ratelimit-user-api", "x-ratelimit-user", "Retry-After")
        hint = retry_after_s(dict(zip(known, lines, strict=False)), NOW)
        assert hint is None or 0 <= hint <= LONGEST_HINT_S

    def manifest(data: bytes) -> None:
        """Read a manifest; an accepted one must be the same after writing and reading."""
        try:
            found = decode(data, "the manifest")
        except OutputError as error:
            str(error).encode("utf-8", "replace")
            return
        assert isinstance(found, Manifest)
        assert encode(decode(encode(found), "again")) == encode(found)

    def config(data: bytes) -> None:
        """Read a configuration; errors must be one sentence."""
        try:
            parse_config(data.decode("utf-8", "replace"), source="config.toml", environ={"NAME": "value"})
        except ConfigError as error:
            said = str(error)
        else:
            return
        assert "\n" not in said

    return {"page": page, "error": error, "headers": headers, "manifest": manifest, "config": config}


def main() -> None:
    """Fuzz one target for the given seconds; end with an exit code other than 0 on a finding."""
    import atheris

    name, seconds, *folders = sys.argv[1:]
    with atheris.instrument_imports(include=["crawler"]):
        targets = _targets()
    options = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, *folders], targets[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
else:
    TARGETS = _targets()
