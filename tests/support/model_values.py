"""Instances of an official SDK's response models, with every field set, from a seed."""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from Tea.model import TeaModel

_DEEPEST = 12
_DAY = datetime(2026, 3, 1, tzinfo=UTC)
_TIMES = re.compile(r".*(time|date|created|updated|modified|timestamp|_at)|gmt_.*")
# Times of day and lengths of time have such names as well.
_NOT_INSTANTS = re.compile(r".*(life_?time|run_?time|real_?time|remain_time|maintain|prefer|window|period).*")
_PROSE = re.compile(r".*(description|remark|comment)")


@cache
def fields_of(model: type[TeaModel]) -> Mapping[str, Any]:
    """Return attribute → type of a model's fields, as its constructor has them."""
    hints = get_type_hints(model.__init__)
    hints.pop("return", None)
    return hints


@cache
def wire_name(model: type[TeaModel], attribute: str) -> str:
    """Return the name that a field has on the wire: what the SDK writes if only this one is set."""
    nothing, one = model().to_map(), model(**{attribute: _smallest(fields_of(model)[attribute])}).to_map()
    [wire] = [name for name, value in one.items() if name not in nothing or nothing[name] != value]
    return str(wire)


def _smallest(hint: Any) -> Any:
    """Return a value that a model's `to_map` writes differently from no value: lists are written in any case."""
    if isinstance(hint, type) and issubclass(hint, TeaModel):
        return hint()
    if get_origin(hint) is list:
        return [_smallest(get_args(hint)[0])]
    return {"key": _smallest(get_args(hint)[1])} if get_origin(hint) is dict else ""


@cache
def comments_of(model: type[TeaModel]) -> Mapping[str, str]:
    """Return attribute → the comment above a field, of those that have one."""
    found, above = {}, []
    for line in inspect.getsource(model.__init__).splitlines():
        text = line.strip()
        if text.startswith("#"):
            above.append(text.lstrip("# "))
        elif match := re.fullmatch(r"self\.(\w+) = \w+", text):
            found[match[1]] = " ".join(above)
            above = []
    return {name: text for name, text in found.items() if text}


class ModelValues:
    """Makes values of any type that a model has. `records`: the number of items in a list outside of other lists."""

    def __init__(self, seed: str, records: int) -> None:
        self._dice = random.Random(seed)
        self._records = records

    def make(self, hint: Any, name: str = "", comment: str = "", depth: int = 0, items: int = 0) -> Any:
        """Return a value: a model's instance, a list, a map or a scalar; None below the deepest level."""
        if isinstance(hint, type) and issubclass(hint, TeaModel):
            if depth > _DEEPEST:
                return None
            comments = comments_of(hint)
            return hint(
                **{
                    key: self.make(inner, key, comments.get(key, ""), depth + 1, items)
                    for key, inner in fields_of(hint).items()
                }
            )
        if get_origin(hint) is list:
            [inner] = get_args(hint)
            count = self._dice.randint(1, 2) if items else self._records
            return [self.make(inner, name, comment, depth + 1, items=1) for _ in range(count)]
        if get_origin(hint) is dict:
            inner = get_args(hint)[1]
            return {self._text(f"key{n}"): self.make(inner, name, comment, depth + 1, items=1) for n in (1, 2)}
        return self._scalar(hint, name, comment)

    def _scalar(self, hint: Any, name: str, comment: str) -> Any:
        dice, is_time = self._dice, bool(_TIMES.fullmatch(name) and not _NOT_INSTANTS.fullmatch(name))
        if hint in (str, bytes):  # some SDKs call a text so
            return self._moment(comment) if is_time else self._text(name)
        if hint is int:
            unit = 1 if re.search(r"\bseconds?\b", comment) else 1000
            return int(_DAY.timestamp() + dice.randrange(10**6)) * unit if is_time else dice.randrange(1, 2**31)
        if hint is float:
            return round(dice.uniform(1, 1000), 3)
        if hint is bool:
            return dice.random() < 0.5
        assert hint in (Any, dict), hint
        return {self._text("any"): [dice.randrange(100), self._text(name), {"deep": None, "flag": True}]}

    def _moment(self, comment: str) -> str:
        """Return an instant as text, in the form that the SDK's comment names."""
        moment = _DAY + timedelta(minutes=self._dice.randrange(10**5))
        return f"{moment:%Y-%m-%dT%H:%MZ}" if "HH:mmZ" in comment else f"{moment:%Y-%m-%dT%H:%M:%SZ}"

    def _text(self, name: str) -> str:
        tail = ' "ü中\\' if _PROSE.fullmatch(name) else ""
        return f"{name}-{self._dice.getrandbits(48):012x}{tail}"


def plain(value: Any) -> Any:
    """Return a made value as JSON has it: models by their own `to_map`."""
    if isinstance(value, TeaModel):
        return value.to_map()
    return [plain(item) for item in value] if isinstance(value, list) else value
