"""The packages of each extra, and the command that adds a missing one to the installation that runs."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec

# As [project.optional-dependencies] has them. The command names these packages and not `acs-inventory[EXTRA]`, because
# no package index has this program: an index could give a package of another author under that name.
EXTRAS = {
    "dask": ("cryptography>=44", "distributed>=2026.3,<2027"),
    "delta": ("deltalake>=1.0",),
    "iceberg": ("pyiceberg[pyarrow,sql-sqlite]>=0.12",),
    "otel": ("opentelemetry-api>=1.27", "opentelemetry-exporter-otlp-proto-http>=1.27", "opentelemetry-sdk>=1.27"),
    "xlsx": ("xlsxwriter>=3.2",),
}


def how_to_install(extra: str) -> str:
    """Return "the extra NAME isn't installed; run: COMMAND", with the Python that runs this program."""
    return f"the extra {extra} isn't installed; run: {install_command(*EXTRAS[extra])}"


def install_command(*packages: str) -> str:
    """Return the command that adds packages to the installation that runs, by its Python."""
    # An environment that uv has made has no pip.
    pip = ["uv", "pip", "install", "--python", sys.executable]
    if find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "install"]
    return shlex.join([*pip, *packages])
