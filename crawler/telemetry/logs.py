"""Logs on stderr: one line per event, as JSON or as coloured text.

Only structured events with harmless fields are logged. The loggers of libraries are silenced, because their messages
contain URLs and headers.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from crawler.text import escape_control

if TYPE_CHECKING:
    import structlog

    from crawler.secret_text import LiteralSecrets

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _CurrentStderr:
    """stderr as it is at the time of a write: a live display stands in for it, and prints lines above itself."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(
    style: str,
    level: str,
    stream: TextIO | None = None,
    secrets: LiteralSecrets | None = None,
    *,
    has_colors: bool | None = None,
) -> None:
    """Set up logging for the process. `style`: json or console; `level`: a key of `LEVELS`.

    `secrets` are replaced by `***` in every event. `has_colors`: None means that a terminal has colours.
    """
    import structlog

    logging.root.handlers[:] = [logging.NullHandler()]
    logging.lastResort = None
    has_colors = (stream or sys.stderr).isatty() if has_colors is None else has_colors
    written = stream or cast(TextIO, _CurrentStderr())
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=True)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=has_colors, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if secrets is None else [_hider(secrets)]),
            _escape_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(written),
        cache_logger_on_first_use=False,
    )


def _hider(secrets: LiteralSecrets) -> structlog.typing.Processor:
    def hide(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {secrets.hide(key): secrets.hide_all(value) for key, value in event.items()}

    return hide


def _escape_values(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: escape_control(value) if isinstance(value, str) else value for key, value in event.items()}
