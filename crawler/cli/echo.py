"""Output that needs no table: lines and JSON on stdout, warnings on stderr. Cheap to import, unlike `render`."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from crawler.cli.options import CommonOptions
from crawler.cli.streams import ResultLostError, failure_text, stdout_failure
from crawler.cli.terminal import filled, painted

_NAME = "acs-inventory:"
_JSON_ERRORS = "acs-inventory-json"


def print_line(text: str) -> None:
    """Print a line to stdout."""
    sys.stdout.write(f"{text}\n")


def say_line(text: str, color: str = "") -> None:
    """Print a text to stderr, after what was printed to stdout. `color` is that of the program's name before it."""
    with suppress(ResultLostError):  # decided at the end of the process
        sys.stdout.flush()
    text = filled(text, sys.stderr)
    if color and text.startswith(_NAME):
        text = painted(_NAME, color, sys.stderr) + text.removeprefix(_NAME)
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def say_error(text: str) -> None:
    """Print an error to stderr, with the name of the program."""
    say_line(f"{_NAME} {text}", "red")


def print_json(value: Any) -> None:
    """Print one JSON value to stdout."""
    print_line(fit_json(json_text(value, is_indented=True), sys.stdout))


def say_json(value: Any) -> None:
    """Print one JSON value to stderr, as one line."""
    say_line(fit_json(json_text(value), sys.stderr))


def fit_json(text: str, stream: TextIO) -> str:
    """Return JSON in which the characters that the stream's encoding lacks are JSON's own escapes."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, _JSON_ERRORS).decode(encoding)


def _json_escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_JSON_ERRORS, _json_escape)


def json_text(value: Any, *, is_indented: bool = False) -> str:
    """Return a value as JSON. Lone surrogates, such as those of a path that isn't UTF-8, become escapes."""
    import orjson

    option = orjson.OPT_INDENT_2 if is_indented else None
    try:
        return orjson.dumps(value, option=option).decode()
    except TypeError:  # raised for a lone surrogate, too
        return orjson.dumps(_encodable(value), option=option).decode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(found) for key, found in value.items()}
    return [_encodable(found) for found in value] if isinstance(value, list | tuple) else value


def tell_summary(
    common: CommonOptions,
    value: dict[str, Any],
    show: Callable[[], None],
    *,
    command: str,
    as_json: bool,
    level: str = "info",
) -> None:
    """Print the result of a command that crawls or commits: to stdout as JSON or by `show`, and as the log's last."""
    from crawler.cli.summary_bounds import fit_line

    if as_json:
        print_line(fit_json(json_text(value), sys.stdout))
    elif not common.is_quiet:
        show()
    warn_of_lost_stdout(common)
    common.end_with(fit_line({"command": command, "level": level, **value}))


def warn(common: CommonOptions, sentence: str, *, is_failure: bool = False) -> None:
    """Print a warning to stderr, in the format of the log. `is_failure`: even with --quiet."""
    from crawler.text import escape_control

    if common.log_format == "json":
        say_json({"event": "warning", "level": "warning", "message": sentence})
    elif is_failure or not common.is_quiet:
        say_line(f"{_NAME} warning: {escape_control(sentence)}", "yellow")


def report_error(common: CommonOptions, sentence: str) -> None:
    """Print an error to stderr that doesn't end the command, in the format of the log."""
    from crawler.text import escape_control

    if common.log_format == "json":
        say_json({"event": "error", "level": "error", "message": sentence})
    else:
        say_error(escape_control(sentence))


def warn_of_lost_stdout(common: CommonOptions) -> None:
    """Warn if stdout can't be written, in a command whose result is elsewhere. Prints what is buffered first."""
    failure = stdout_failure()
    if failure is not None and not common.exit_state.stdout_is_warned_of:
        common.exit_state.stdout_is_warned_of = True
        warn(common, f"stdout can't be written: {failure_text(failure)}", is_failure=True)


def warn_of_escaped_cells(common: CommonOptions, name: str, cells: int) -> None:
    """Warn that `cells` cells of `name` differ from the snapshot by an apostrophe; 0 is silent."""
    if cells:
        subject = (
            "1 cell that looks like a formula was" if cells == 1 else f"{cells:,} cells that look like formulas were"
        )
        warn(common, f"{name}: {subject} escaped with an apostrophe; --raw-csv disables this")
