"""Facts in the comments of an SDK's models: bounds, allowed values, units and formats. Prose is never taken over."""

from __future__ import annotations

import re

_VALUE = r"[A-Za-z][A-Za-z0-9_.-]{0,39}"
_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)"
_MARKUP = re.compile(r"\[([^\]]*)\]\([^)]*\)|<[^>]{0,80}>|[*`\\]")
_TO = r"(?:to|through|and|[-~–—,～，至])"
_OF = r"(?: of [^:.\n]{1,40})"
_MAXIMUM = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:values?|range){_OF}?\s*(?:is|are)?\s*[:：]?\s*(?:from )?[\[(]?\s*\d+\s*{_TO}\s*{_NUMBER}(?!,? ?\d)",
        rf"maximum(?: value| number)?(?: of [^:.\n]{{1,60}})?\s*(?:is|:)?\s*{_NUMBER}",
        rf"(?:at most|up to|cannot exceed|can't exceed|must not exceed|or equal to|no more than)\s+{_NUMBER}",
        rf"(?:最大值?为?|不超过|最大支持)\s*[:：]?\s*{_NUMBER}",
        rf"取值范围\s*[:：]?\s*\[?\s*\d+\s*{_TO}\s*{_NUMBER}",
    )
)
_CHOICE = r"[-+]?\s*\d+(?:\s*\(default\))?"
_CHOICES = re.compile(
    rf"valid values?\s*[:：]\s*({_CHOICE}(?:\s*(?:,\s*(?:and|or)?|\s(?:and|or)\s|\n)\s*{_CHOICE}){{1,8}})",
    re.IGNORECASE,
)
_LISTED = re.compile(rf"valid values?{_OF}?\s*[:：][ ]*([^\n]*)", re.IGNORECASE)
_BULLET = re.compile(rf"\s*(?:[-+•*]\s+|\d+\.\s+)?({_VALUE})\s*(?:[:：(].*|[.;,]?\s*)$")
_BETWEEN = re.compile(r",\s*(?:and|or)\s+|\s+(?:and|or)\s+|[,、|/]\s*")
_UNITS = {
    "second": "s",
    "seconds": "s",
    "s": "s",
    "millisecond": "ms",
    "milliseconds": "ms",
    "ms": "ms",
    "minute": "minutes",
    "minutes": "minutes",
    "hour": "hours",
    "hours": "hours",
    "day": "days",
    "days": "days",
    "byte": "bytes",
    "bytes": "bytes",
    "kb": "KB",
    "kib": "KiB",
    "mb": "MB",
    "mib": "MiB",
    "gb": "GB",
    "gib": "GiB",
    "tb": "TB",
    "tib": "TiB",
    "mbit/s": "Mbit/s",
    "mbps": "Mbit/s",
    "kbit/s": "kbit/s",
    "kbps": "kbit/s",
    "bit/s": "bit/s",
    "bps": "bit/s",
    "%": "%",
    "vcpu": "vCPU",
    "vcpus": "vCPU",
    "lcu": "LCU",
    "lcus": "LCU",
}
_UNIT = re.compile(
    r"(?:\bunits?\s*(?:[:：]|is)|\bmeasured in|\bin units of|单位\s*[:：])\s*([A-Za-z%]+(?:/s)?)", re.IGNORECASE
)
_IN_UNIT = re.compile(r"\bin (vCPUs?|LCUs?|milliseconds|seconds|minutes|bytes|MB|MiB|GB|GiB)\b", re.IGNORECASE)
_MOST_VALUES = 8
_LONGEST_DESCRIPTION = 110


def _text(comment: str) -> str:
    """Return a comment without markup and control characters, its lines kept."""
    lines = [_MARKUP.sub(r"\1", line) for line in comment[:4000].split("\n")]
    return "\n".join("".join(c for c in line if c.isprintable()) for line in lines)


def maximum(comment: str) -> int:
    """Return the largest number that a comment allows for a page size; 0 if it names none."""
    text = _text(comment)
    if choices := _CHOICES.search(text):
        return max(int(number) for number in re.findall(r"\d{1,6}", choices[1]))
    found = (pattern.search(text) for pattern in _MAXIMUM)
    number = next((int(match[1].replace(",", "")) for match in found if match), 0)
    return number if number <= 10_000 else 0


def allowed_values(comment: str) -> tuple[str, ...]:
    """Return the values that a comment lists for a parameter or field, in its order; () if it lists none.

    After `Valid values:` it has them in the same line, or one a line with an explanation after a colon.
    """
    text = _text(comment)
    match = _LISTED.search(text)
    if match is None:
        return ()
    if match[1].strip():
        line = re.split(r"\.(?:\s|$)|\(default\)", match[1])[0]
        values = [part.strip() for part in _BETWEEN.split(line) if part.strip()]
        if len(values) < 2 and ":" not in line:
            return ()
        return _checked([part.split(":")[0].strip() for part in values])
    values = []
    for line in text[match.end() :].split("\n"):
        if not line.strip():
            continue
        bullet = _BULLET.match(line)
        if bullet is None:
            break
        values.append(bullet[1])
    return _checked(values)


def _checked(values: list[str]) -> tuple[str, ...]:
    """Return the values if each one is a plain word; else the comment says more than a list."""
    unique = tuple(dict.fromkeys(values))
    is_plain = all(re.fullmatch(_VALUE, value) for value in unique)
    return unique if is_plain and 2 <= len(unique) <= _MOST_VALUES else ()


def unit(comment: str) -> str:
    """Return the unit that a comment names, as schema files write it; "" without one."""
    text = _text(comment)
    match = _UNIT.search(text) or _IN_UNIT.search(text)
    return _UNITS.get(match[1].lower(), "") if match else ""


def time_form(comment: str) -> str:
    """Return `iso`, `s` or `ms` for the form of an instant that a comment names; "" without one."""
    text = _text(comment).lower()
    if re.search(r"millisecond|毫秒|\bms\b", text):
        return "ms"
    if re.search(r"iso ?-?8601|yyyy-mm-dd.?t|utc\+?0|\butc\b", text):
        return "iso"
    return "s" if re.search(r"in seconds|units?\s*[:：]?\s*seconds?|seconds (?:since|that have)|秒", text) else ""


def is_json_text(comment: str) -> bool:
    """Whether a comment says that a string holds JSON."""
    return bool(re.search(r"\bjson\b", _text(comment), re.IGNORECASE))


def description(comment: str) -> str:
    """Return a field's facts as one line in our own words: its allowed values. "" without any."""
    values = allowed_values(comment)
    if not values:
        return ""
    text = f"{', '.join(values[:-1])} or {values[-1]}"
    return text if len(text) <= _LONGEST_DESCRIPTION else ""
