"""Services that page by number, some of which change between two pages."""

from __future__ import annotations

import random

from crawler.catalog.model import Paging
from crawler.testing import FakePage


def numbered(limit: int = 100) -> Paging:
    return Paging("page-number", "pageNumber", limit_key="pageSize", limit=limit, total_key="totalCount")


class Numbered:
    """A numbered list. `total`: the total that it states, or a function of the request's number and the records."""

    def __init__(self, items, total=..., cap=10**9, changes=()) -> None:
        self.items = list(items)
        self.total = total
        self.cap = cap
        self.requests = 0
        self.changes = list(changes)

    def __call__(self, parameters):
        while self.changes and self.changes[0][0] <= self.requests:
            self.changes.pop(0)[1](self.items)
        self.requests += 1
        number, size = int(parameters["pageNumber"]), min(int(parameters["pageSize"]), self.cap)
        total = len(self.items) if self.total is ... else self.total
        shown = self.items[(number - 1) * size : number * size]
        return FakePage(shown, total=total(self.requests, shown) if callable(total) else total)


class Moves:
    """A list with up to five records inserted or deleted while it is read; `stable` are those that stay."""

    def __init__(self, dice: random.Random, *, comes_back: bool) -> None:
        self.items = [f"i{n}" for n in range(dice.randint(1, 12))]
        self.stable = set(self.items)
        self._names = iter(f"n{n}" for n in range(100))
        self._gone: list[str] = []
        self._dice = dice
        self._comes_back = comes_back
        self._at = sorted(dice.randint(0, 14) for _ in range(dice.randint(1, 5)))
        self.requests = 0

    def _change(self) -> None:
        if self.items and self._dice.random() < 0.55:
            gone = self.items.pop(self._dice.randrange(len(self.items)))
            self.stable.discard(gone)
            self._gone.append(gone)
            return
        back = self._gone and self._comes_back and self._dice.random() < 0.7
        name = self._gone.pop() if back else next(self._names)
        self.items.insert(self._dice.randint(0, len(self.items)), name)

    def page(self, parameters, *, has_total: bool) -> FakePage:
        while self._at and self._at[0] <= self.requests:
            self._at.pop(0)
            self._change()
        self.requests += 1
        size, number = int(parameters["pageSize"]), int(parameters["pageNumber"])
        shown = self.items[(number - 1) * size : number * size]
        return FakePage(shown, total=len(self.items) if has_total else None)
