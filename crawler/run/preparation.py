"""Prepares a crawl from its configuration, before anything is opened or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from crawler.config import Config
from crawler.config.resolve import ResolvedConfig, resolve_config
from crawler.config.secrets import register_secrets
from crawler.errors import ConfigError, OutputError
from crawler.normalizer.fingerprint_key import load_key
from crawler.normalizer.redaction import Redaction
from crawler.run.selection import selection_of, selection_warning
from crawler.run.system import System
from crawler.run.watchdog import TrackedClock
from crawler.snapshot.manifest import CrawlSelection

if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class PreparedCrawl:
    """A configuration with all that follows from it. `warnings` are sentences about it.

    `schemas` and `keys` are those of the tables to write. `clock` is also the system's.
    """

    resolved: ResolvedConfig
    system: System
    clock: TrackedClock
    redaction: Redaction
    selection: CrawlSelection | None
    warnings: tuple[str, ...]
    schemas: Mapping[str, Any]
    keys: Mapping[str, Sequence[str]]

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.resolved.config

    @classmethod
    def of(cls, config: Config, system: System | None = None) -> Self:
        """Prepare a crawl. Raises ConfigError and CatalogError."""
        system = system or System()
        clock = TrackedClock(system.clock)
        system = replace(system, clock=clock)
        register_secrets(config, system.secrets, config.proxy.url)
        resolved = resolve_config(config)
        if not resolved.tables:
            raise ConfigError("[crawl] exclude leaves no table of [crawl] tables.")
        redaction, warnings = _redaction(config, system)
        selection = selection_of(resolved)
        narrowed = selection_warning(selection)
        operations = {table: resolved.catalog.operations[table] for table in resolved.tables}
        return cls(
            resolved,
            system,
            clock,
            redaction,
            selection,
            (*resolved.catalog.warnings, *warnings, *([narrowed] if narrowed else [])),
            {table: operation.schema for table, operation in operations.items()},
            {table: operation.key for table, operation in operations.items()},
        )


def _redaction(config: Config, system: System) -> tuple[Redaction, tuple[str, ...]]:
    """Return the redaction of `[output] secrets` and the warnings about it. Raises ConfigError."""
    key = config.output.fingerprint_key
    try:
        secret = load_key(key.reveal() if key else "", system.state_folder)
    except OutputError as error:
        raise ConfigError(f"[output] secrets: {error}") from None
    warnings = []
    if config.output.secrets == "keep":
        warnings.append("secrets are kept in clear, as [output] secrets asks; the snapshot is marked so")
    elif secret is None and config.output.secrets == "fingerprint":
        warnings.append(f"no fingerprint key can be kept under {system.state_folder}: secrets are masked instead")
    output, secrets = config.output, system.secrets
    if secret is not None:
        secrets.add(secret.decode("utf-8", "surrogateescape"))
    redaction = Redaction(output.secrets, output.unknown, secret, scope=output.fingerprint_scope, literals=secrets)
    return redaction, tuple(warnings)
