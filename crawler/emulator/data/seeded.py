"""Deterministic chance: the same path gives the same throws, in any process and on any Python."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
EPOCH = datetime(2021, 1, 1, tzinfo=UTC)


@functools.cache
def _table(alphabet: str) -> bytes:
    """Byte → character of the alphabet, over and over."""
    return bytes(ord(alphabet[byte % len(alphabet)]) for byte in range(256))


class Dice:
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


class LocalDice(Dice):
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
