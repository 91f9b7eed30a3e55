"""The notices of a configuration that can't be loaded as a whole: where its failure can be reported anyway."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crawler.config.load import Config, config_of, read_config
from crawler.errors import ConfigError

# An account that makes the rest a whole configuration. Nothing is sent for it.
_ACCOUNT = {"id": "1000000000000001"}
# How a notice is sent comes before the notices themselves: without its proxy or its authority it isn't sent.
_ROUTES = ("network", "tls")
_NOTICES = ("ping", "metrics")


def load_notices(path: Path | None, environ: Mapping[str, str], *, cwd: Path) -> Config | None:
    """Return a configuration of the notices that can be used by themselves; None if there is none.

    A mistake or an unset variable in another section doesn't matter. Each of `[ping] url`, `[metrics] textfile` and
    `[metrics] push` counts for itself.
    """
    try:
        place, text = read_config(path, environ, cwd=cwd)
        raw = tomllib.loads(text)
    except (ConfigError, ValueError, RecursionError):
        return None
    routes = {name: raw[name] for name in _ROUTES if isinstance(raw.get(name), dict)}
    kept: dict[str, dict[str, Any]] = {}
    for section in _NOTICES:
        values = raw.get(section)
        for key, value in values.items() if isinstance(values, dict) else ():
            if _usable({section: {key: value}, **routes}, str(place), environ, cwd) is not None:
                kept.setdefault(section, {})[key] = value
    return _usable({**kept, **routes}, str(place), environ, cwd) if kept else None


def _usable(sections: Mapping[str, Any], source: str, environ: Mapping[str, str], cwd: Path) -> Config | None:
    """Return the configuration with these sections alone; None if they can't be used."""
    try:
        return config_of({**sections, "accounts": [dict(_ACCOUNT)]}, source=source, environ=environ, cwd=cwd)
    except ConfigError:
        return None
