"""Access keys: one permanent key per account, and temporary keys from STS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crawler.clock import Clock
from crawler.emulator.data.seeded import SeededRandom
from crawler.emulator.spec import CloudSpec

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Key:
    """An access key and its account. Temporary keys have a token and an expiry time."""

    key_id: str
    account_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    role: str = ""
    session: str = ""


class Keyring:
    """All access keys of the cloud."""

    def __init__(self, spec: CloudSpec, clock: Clock) -> None:
        self._seed = spec.seed
        self._clock = clock
        self._issued = 0
        self.lasting = {account: lasting_key(spec.seed, account) for account in spec.accounts}
        self._keys = {key.key_id: key for key in self.lasting.values()}

    def find(self, key_id: str) -> Key | None:
        """Return the key with this ID, expired or not."""
        return self._keys.get(key_id)

    def issue(self, account_id: str, role: str, session: str, duration_s: int) -> Key:
        """Return a new temporary key of a role."""
        self._issued += 1
        rng = SeededRandom(self._seed, account_id, "sts", self._issued)
        key = Key(
            key_id=f"STS.{rng.text(24, ALPHABET)}",
            account_id=account_id,
            secret=rng.text(40, ALPHABET),
            token=f"CAIS{rng.text(200, ALPHABET)}+/=",
            expires_at=self._clock.now() + timedelta(seconds=duration_s),
            role=role,
            session=session,
        )
        self._keys[key.key_id] = key
        return key

    def expire_temporary(self) -> int:
        """Expire all temporary keys now; return the number of keys that were still valid."""
        now = self._clock.now()
        good = [key for key in self._keys.values() if key.expires_at is not None and key.expires_at > now]
        for key in good:
            self._keys[key.key_id] = replace(key, expires_at=now)
        return len(good)


def lasting_key(seed: int, account_id: str) -> Key:
    """Return the permanent key of an account."""
    rng = SeededRandom(seed, account_id, "key")
    return Key(f"LTAI5t{rng.text(18, ALPHABET)}", account_id, rng.text(30, ALPHABET))
