"""Small files that hold secrets: read off the event loop, and never quoted in an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio

from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from pathlib import Path


async def read_text(path: Path, what: str) -> str:
    """The file's text. Raises CredentialsError, which names the file and the reason, where it can't be read."""
    try:
        return await anyio.Path(path).read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
    except ValueError:
        reason = "not UTF-8 text"
    # Raised out here, so that the decoder's error, which holds the file's bytes, isn't its context.
    raise CredentialsError(f"{what} {path} can't be read: {reason}")


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object in `text`; None where there is none, since the decoder's own error holds the whole text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
