"""Seeded records that aren't all alike: the first are whole, later ones lack fields or have nulls."""

from __future__ import annotations

from typing import Any

from crawler.emulator.data.seeded import Dice

WHOLE = 3  # so many records of each list, counted from 0, have every field


def sparse(dice: Dice, number: int, record: dict[str, Any], *optional: str) -> dict[str, Any]:
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
