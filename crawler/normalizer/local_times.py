"""Local times with the name of their time zone in a field beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from crawler.normalizer.exact_json import find

_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:[.,]\d{1,18})?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}", re.ASCII)
_LONGEST_NAME = 64


def with_offsets(record: Mapping[str, Any], zones: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of a record in which local times have the offset of their time zone.

    `zones`: field of a time → field of the zone's name. Both may have either case of their first letter. A time stays
    as it is if it has an offset, if its zone isn't one of the IANA database, and if the zone's clocks show it twice or
    never, because they are set back or forward.
    """
    changed = dict(record)
    for time_field, zone_field in zones.items():
        name, zone_name = find(changed, time_field), find(changed, zone_field)
        if name is None or zone_name is None or not isinstance(changed[name], str):
            continue
        offset = _offset(changed[name].strip(), changed[zone_name])
        if offset is not None:
            changed[name] = f"{changed[name].strip()}{offset}"
    return changed


def _offset(local: str, zone_name: object) -> str | None:
    """Return the offset from UTC as `+08:00`; None if the text isn't a local time or the offset isn't certain."""
    match = _LOCAL.fullmatch(local)
    zone = _zone(zone_name.strip()) if isinstance(zone_name, str) and len(zone_name) < _LONGEST_NAME else None
    if match is None or zone is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=zone)
        offsets = {moment.replace(fold=fold).utcoffset() for fold in (0, 1)}
    except (ValueError, OverflowError):  # the 30th of February; the ends of the calendar
        return None
    offset = offsets.pop()
    # Offsets of the past have seconds, which ISO 8601 can't write.
    if offsets or offset is None or offset % timedelta(minutes=1):
        return None
    minutes = offset // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo | None:
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError, and a folder's name an OSError
        return None
    except KeyError:
        return None
