"""A page of a list, as the pagers see it."""

from __future__ import annotations

from typing import Any, Protocol


class PageLike(Protocol):
    """What the walk looks at. `token` and `total` are as received; `keys` and `digests` have one item a record."""

    @property
    def seen(self) -> int:
        """How many records the page has."""
        ...

    @property
    def keys(self) -> Any:
        """The records' keys; None for a record without one."""
        ...

    @property
    def digests(self) -> Any:
        """What tells records without a key apart."""
        ...

    @property
    def token(self) -> Any:
        """The token for the next page."""
        ...

    @property
    def total(self) -> Any:
        """How many records the service says there are in all."""
        ...
