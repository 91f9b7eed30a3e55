"""Deterministic random values: the same path gives the same values, in any process and on any Python."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
SeedPath = tuple[int, str, str]  # seed, account ID, region ID
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
EPOCH = datetime(2021, 1, 1, tzinfo=UTC)
TIME_LAYOUT = "2006-01-02T15:04:05Z07:00"  # Go's, which some samples show instead of a time


SUBJECTS = (
    "order", "payment", "invoice", "image", "video", "log", "search", "user", "stock", "report", "mail", "audit",
    "price", "coupon", "device", "metric",
)  # fmt: skip
VERBS = ("sync", "resize", "export", "notify", "index", "import", "clean", "score", "merge", "watch", "render", "route")
STAGES = ("prod", "staging", "dev", "canary", "gray")


DESCRIPTIONS = (
    "Resizes uploaded pictures.",
    "订单同步服务，每五分钟运行一次",
    "画像をリサイズする関数 🚀",
    "결제 알림 ✅ (영업일만)",
    "",
    '=HYPERLINK("http://example.invalid","open")',
    "<script>alert('inventory')</script>",
    "two\nlines and a\ttab",
    "quotes \" and ' and back\\slash, comma; semicolon",
    "\x1b[31mred\x1b[0m \u202egnirts\u202c",
    "e\u0301 is not \u00e9",
    "  spaces around  ",
    "👩‍👩‍👧‍👦 family, 𝔘𝔫𝔦𝔠𝔬𝔡𝔢, \u200emark",
    "@every 5m; -1+1",
)
COMPLETE_RECORDS = 3  # the number of records at the start of each list that have every field


@functools.cache
def _table(alphabet: str) -> bytes:
    """Return a table that maps each byte to a character of the alphabet, cyclically."""
    return bytes(ord(alphabet[byte % len(alphabet)]) for byte in range(256))


class SeededRandom:
    """A stream of random values, identified by a path such as (seed, account, region, kind, number)."""

    def __init__(self, *path: object) -> None:
        self._stem = "/".join(str(part) for part in path).encode() + b"#"
        self._draws = 0
        self.secrets: list[str] = []

    def _word(self) -> int:
        self._draws += 1
        digest = hashlib.sha256(self._stem + str(self._draws).encode()).digest()
        return int.from_bytes(digest[:8], "big")

    def integer(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included."""
        return low + self._word() % (high - low + 1)

    def chance(self, share: float) -> bool:
        """Return True with a probability of `share`."""
        return self._word() / 2**64 < share

    def choice(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self._word() % len(items)]

    def text(self, length: int, alphabet: str = LETTERS) -> str:
        """Return `length` characters of the alphabet."""
        self._draws += 1
        stream = hashlib.shake_256(self._stem + str(self._draws).encode()).digest(length)
        return stream.translate(_table(alphabet)).decode("latin-1")

    def hex(self, length: int) -> str:
        """Return `length` hexadecimal digits."""
        return self.text(length, "0123456789abcdef")

    def digits(self, length: int) -> str:
        """Return a decimal number of `length` digits, without a leading zero."""
        return self.text(1, "123456789") + self.text(length - 1, "0123456789")

    def uuid(self) -> str:
        """Return an identifier in the five groups of a UUID."""
        return "-".join(self.hex(size) for size in (8, 4, 4, 4, 12))

    def moment(self) -> datetime:
        """Return an instant from 2021 to 2025, in whole seconds."""
        return EPOCH + timedelta(seconds=self.integer(0, 5 * 365 * 86_400))

    def secret(self, template: str = "{}") -> str:
        """Return a value like a secret, with a unique marker. The marker is added to `secrets`."""
        marker = f"canary{self.hex(24)}"
        self.secrets.append(marker)
        return template.format(marker)


class LocalSeededRandom(SeededRandom):
    """Random values of one account in one region, with both IDs for the records."""

    def __init__(self, seed: int, account_id: str, region_id: str, *path: object) -> None:
        super().__init__(seed, account_id, region_id, *path)
        self.account_id = account_id
        self.region_id = region_id

    def arn(self, resource: str) -> str:
        """Return the name of a resource of Function Compute in this account and region."""
        return f"acs:fc:{self.region_id}:{self.account_id}:{resource}"


def iso_z(moment: datetime) -> str:
    """Format an instant as `2023-04-01T08:15:27Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_local(text: str, *, hours: int) -> str:
    """Return an instant of `iso_z` as the local time of a zone with this offset, without the offset."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return (moment + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S")


def iso_offset(moment: datetime, milliseconds: int) -> str:
    """Format an instant as `2023-04-01T08:15:27.042+0000`; the offset has no colon."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{milliseconds:03d}+0000"


def epoch_s(moment: datetime) -> int:
    """Return the seconds since 1970."""
    return int(moment.timestamp())


def changed(rng: SeededRandom, created: datetime, most: int, unit: str = "minutes") -> datetime:
    """Return the time of the last change, up to `most` units after the creation."""
    return created + timedelta(**{unit: rng.integer(0, most)})


def times(rng: SeededRandom, created: datetime, most: int, unit: str = "minutes") -> dict[str, Any]:
    """Return the times of creation and last change as text; see `changed`."""
    return {"createdTime": iso_z(created), "lastModifiedTime": iso_z(changed(rng, created, most, unit))}


def sample_times(rng: SeededRandom, number: int, most: int, unit: str = "minutes") -> dict[str, Any]:
    """Return `times`; the second record has the layout of a time instead of its creation, as in some samples."""
    found = times(rng, rng.moment(), most, unit)
    return {**found, "createdTime": TIME_LAYOUT} if number == 1 else found


def epochs(rng: SeededRandom, created: int) -> dict[str, Any]:
    """Return the times of creation and last change in seconds since 1970."""
    return {"created": created, "updated": created + rng.integer(0, 10_000_000)}


def description(rng: SeededRandom) -> str:
    """Return a description in one of several scripts."""
    return rng.choice(DESCRIPTIONS)


def name(rng: SeededRandom, number: int, longest: int = 64) -> str:
    """Return a unique resource name of `[A-Za-z0-9_-]`; about one in twenty has the length `longest`."""
    stem = f"{rng.choice(SUBJECTS)}{rng.choice('-_')}{rng.choice(VERBS)}-{rng.choice(STAGES)}"
    if rng.chance(0.2):
        stem = stem.title().replace("-", "_")
    unique = f"{stem}-{number:04d}"
    return unique + "_" + rng.text(longest - len(unique) - 1) if rng.chance(0.05) else unique


def sparse(rng: SeededRandom, number: int, record: dict[str, Any], *optional: str) -> dict[str, Any]:
    """Return the record. From the fourth record on, some optional fields are missing or null.

    Fields with secrets are never optional, so that every marker stays in the data.
    """
    if number < COMPLETE_RECORDS:
        return record
    thinned = dict(record)
    for name in optional:
        draw = rng.integer(0, 9)
        if draw < 3:
            del thinned[name]
        elif draw == 3:
            thinned[name] = None
    return thinned


def make_few(
    rng: LocalSeededRandom, longest: int, make: Callable[[LocalSeededRandom, int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Make `longest` records; if that is 0, none to three."""
    return [make(rng, number) for number in range(longest or rng.integer(0, 3))]
