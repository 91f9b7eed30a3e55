"""JSON without loss: numbers keep the digits that the wire had.

The usual decoders turn `1.10` into 1.1, a 30-digit integer into a float, and `{"a": 1, "a": 2}` into `{"a": 2}`. Here
integers are exact whatever their length, a number with a fraction or an exponent is a `WireFloat`, which remembers its
literal, and a name that an object has twice has all of its values, as `Repeated`.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, NoReturn, Self

from crawler.text import is_encodable

MAX_DEPTH = 64


# Names and texts of one document, about. A page of 300 kB has some 15,000; a million unknown names would take 400 MB.
MAX_TEXTS = 500_000


class WireFloat(float):
    """A float that knows its literal: `WireFloat("1.10").literal == "1.10"`."""

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> Self:
        """Read a JSON number with a fraction or an exponent."""
        self = super().__new__(cls, literal)
        self.literal = literal
        return self

    def __repr__(self) -> str:
        """The literal."""
        return self.literal


class Repeated(list[Any]):
    """The values of a name that one object has more than once, in the order received. It fits no column."""


class InvalidJsonError(ValueError):
    """The bytes are no JSON document, or one that nothing should be done with."""


class ExcessiveJsonError(InvalidJsonError):
    """A document beyond all measure, in depth, in names or in a number's digits: asking again won't help."""


def parse(body: bytes) -> Any:
    """Decode a document. Raises InvalidJsonError, never another exception; its text holds nothing of the body."""
    if body.count(b'"') > 2 * MAX_TEXTS:
        raise ExcessiveJsonError(f"a document with more than {MAX_TEXTS} names and texts")
    try:
        return json.loads(
            body.decode("utf-8"), parse_float=WireFloat, parse_constant=_refuse, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"not JSON at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise ExcessiveJsonError("nested too deeply") from None
    except InvalidJsonError:
        raise
    except ValueError:  # Python's own limit for the digits of an integer
        raise ExcessiveJsonError("a document with a number of thousands of digits") from None


def _refuse(constant: str) -> NoReturn:
    raise InvalidJsonError(f"not JSON: {constant} is no number in it")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these members. On every page: it costs a tenth of the reading, and any page may repeat a name."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    values: dict[str, Repeated] = {}
    for name, value in pairs:
        values.setdefault(name, Repeated()).append(value)
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}


def has_repeated(value: Any) -> bool:
    """Whether an object in what `parse` gave has a name twice."""
    if isinstance(value, dict):
        return any(map(has_repeated, value.values()))
    return isinstance(value, Repeated) or (isinstance(value, list) and any(map(has_repeated, value)))


def to_text(value: Any) -> str:
    """Encode what `parse` gave, compactly, in the order received, every number with its own digits.

    Text is UTF-8 clean: a lone surrogate is written as its escape. Raises InvalidJsonError beyond 64 levels, and for
    a name that an object has twice, which most readers of the text would take for one.
    """
    return _text(value, MAX_DEPTH)


def _text(value: Any, levels: int) -> str:
    if levels == 0:
        raise ExcessiveJsonError(f"nested more than {MAX_DEPTH} levels deep")
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case dict():
            inner = ",".join(f"{_string(k)}:{_text(v, levels - 1)}" for k, v in value.items())
            return f"{{{inner}}}"
        case Repeated():
            raise InvalidJsonError("an object with a name twice")
        case list():
            return f"[{','.join(_text(item, levels - 1) for item in value)}]"
        case WireFloat():
            return value.literal
        case _:
            return str(value)


def _string(text: str) -> str:
    return encode_basestring(text) if is_encodable(text) else encode_basestring_ascii(text)


def swap_case(name: str) -> str:
    """The name with its first letter in the other case: the documentation shows both."""
    return name[:1].swapcase() + name[1:]


def find(value: dict[str, Any], name: str) -> str | None:
    """The key under which a JSON object has this name, in either case of its first letter; None where it hasn't."""
    return next((key for key in (name, swap_case(name)) if key in value), None)
