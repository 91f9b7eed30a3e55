"""Instants as the API writes them, read without loss into microseconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:[.,](\d{1,18}))? ?"
    r"(Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)",
    re.ASCII,
)
_EPOCH = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH_START) // _MICROSECOND
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH_START) // _MICROSECOND

# A number without a documented unit: 1e11 seconds is the year 5138, 1e11 milliseconds March 1973.
_MILLISECONDS_FROM = 10**11

_EXACT = Context(prec=64, traps=[Inexact])


def from_text(text: str, unit: str) -> tuple[int | None, bool] | None:
    """Microseconds and whether digits were cut or text stood for a number; None where the text is no instant.

    White space around is stripped; the empty text is a null. Taken are `Z` and offsets with or without a colon,
    fractions of any length (cut to microseconds), and epoch numbers. A time without a zone is no instant.
    """
    text = text.strip()
    if not text:
        return None, False
    if match := _ISO.fullmatch(text):
        return _from_iso(match)
    if text == "0" or _EPOCH.fullmatch(text):
        found = from_number(Decimal(text), unit)
        return found and (found[0], True)
    return None


def _from_iso(match: re.Match[str]) -> tuple[int | None, bool] | None:
    *date, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(*(int(part) for part in (*date, hour, minute, second)), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:  # the 30th of February
        return None
    fraction = fraction or ""
    micros = (moment - _EPOCH_START) // _MICROSECOND + int(fraction[:6].ljust(6, "0"))
    if zone != "Z":
        offset = int(zone[1:3]) * 60 + int(zone[-2:])
        micros -= offset * 60_000_000 * (1 if zone[0] == "+" else -1)
    if not _FIRST_US <= micros <= _LAST_US:  # the year 0 or 10000 by UTC, which no reader's calendar has
        return None
    return micros, any(digit != "0" for digit in fraction[6:])


def from_number(number: Decimal, unit: str) -> tuple[int | None, bool] | None:
    """As `from_text`, for an epoch number in seconds (`s`), milliseconds (`ms`) or, without a unit, by its size."""
    if number == 0:
        return None, False
    if not unit:
        unit = "ms" if abs(number) >= _MILLISECONDS_FROM else "s"
    try:
        micros = _EXACT.multiply(number, Decimal(1000 if unit == "ms" else 1_000_000))
    except Inexact:  # more digits than an instant has
        return None
    if micros < 0 or micros > _LAST_US or micros != micros.to_integral_value():
        return None
    return int(micros), False
