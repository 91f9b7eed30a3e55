"""Deterministic chance: the same path gives the same throws, in any process and on any Python."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
EPOCH = datetime(2021, 1, 1, tzinfo=UTC)


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
WHOLE = 3  # so many records of each list, counted from 0, have every field


@functools.cache
def _table(alphabet: str) -> bytes:
    """Byte → character of the alphabet, over and over."""
    return bytes(ord(alphabet[byte % len(alphabet)]) for byte in range(256))


class SeededRandom:
    """A stream of throws named by a path, such as (seed, account, region, kind, number)."""

    def __init__(self, *path: object) -> None:
        self._stem = "/".join(str(part) for part in path).encode() + b"#"
        self._throws = 0
        self.secrets: list[str] = []

    def _word(self) -> int:
        self._throws += 1
        digest = hashlib.sha256(self._stem + str(self._throws).encode()).digest()
        return int.from_bytes(digest[:8], "big")

    def integer(self, low: int, high: int) -> int:
        """Low to high, both included."""
        return low + self._word() % (high - low + 1)

    def chance(self, share: float) -> bool:
        """True in about `share` of the throws."""
        return self._word() / 2**64 < share

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self._word() % len(items)]

    def text(self, length: int, alphabet: str = LETTERS) -> str:
        """`length` characters of the alphabet."""
        self._throws += 1
        stream = hashlib.shake_256(self._stem + str(self._throws).encode()).digest(length)
        return stream.translate(_table(alphabet)).decode("latin-1")

    def hex(self, length: int) -> str:
        """`length` hexadecimal digits."""
        return self.text(length, "0123456789abcdef")

    def digits(self, length: int) -> str:
        """A decimal number of `length` digits, without a leading zero."""
        return self.text(1, "123456789") + self.text(length - 1, "0123456789")

    def uuid(self) -> str:
        """A random-looking identifier in the usual five groups."""
        return "-".join(self.hex(size) for size in (8, 4, 4, 4, 12))

    def moment(self) -> datetime:
        """An instant in 2021 to 2025, whole seconds."""
        return EPOCH + timedelta(seconds=self.integer(0, 5 * 365 * 86_400))

    def secret(self, template: str = "{}") -> str:
        """A secret-looking value around a marker that occurs nowhere else; the marker is noted in `secrets`."""
        marker = f"canary{self.hex(24)}"
        self.secrets.append(marker)
        return template.format(marker)


class LocalSeededRandom(SeededRandom):
    """Dice of one account in one region, which the records name."""

    def __init__(self, seed: int, account_id: str, region_id: str, *path: object) -> None:
        super().__init__(seed, account_id, region_id, *path)
        self.account_id = account_id
        self.region_id = region_id


def iso_z(moment: datetime) -> str:
    """`2023-04-01T08:15:27Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_offset(moment: datetime, milliseconds: int) -> str:
    """`2023-04-01T08:15:27.042+0000`: the offset has no colon."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{milliseconds:03d}+0000"


def epoch_s(moment: datetime) -> int:
    """Seconds since 1970."""
    return int(moment.timestamp())


def description(dice: SeededRandom) -> str:
    """Free text in several scripts."""
    return dice.choice(DESCRIPTIONS)


def name(dice: SeededRandom, number: int, longest: int = 64) -> str:
    """A unique resource name of `[A-Za-z0-9_-]`; about one in twenty is as long as the service allows."""
    stem = f"{dice.choice(SUBJECTS)}{dice.choice('-_')}{dice.choice(VERBS)}-{dice.choice(STAGES)}"
    if dice.chance(0.2):
        stem = stem.title().replace("-", "_")
    unique = f"{stem}-{number:04d}"
    return unique + "_" + dice.text(longest - len(unique) - 1) if dice.chance(0.05) else unique


def sparse(dice: SeededRandom, number: int, record: dict[str, Any], *optional: str) -> dict[str, Any]:
    """The record, from the fourth on without some of its optional fields, or with null in them.

    Fields with secrets are never optional: every planted marker stays in the data.
    """
    if number < WHOLE:
        return record
    thinned = dict(record)
    for name in optional:
        throw = dice.integer(0, 9)
        if throw < 3:
            del thinned[name]
        elif throw == 3:
            thinned[name] = None
    return thinned
