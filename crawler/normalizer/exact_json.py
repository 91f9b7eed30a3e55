"""JSON without loss: numbers keep the digits that were received.

Usual decoders turn `1.10` into 1.1, a 30-digit integer into a float, and `{"a": 1, "a": 2}` into `{"a": 2}`. Here
integers are exact whatever their length, a number with a fraction or an exponent is a `WireFloat`, which keeps its
literal, and a name that an object has twice has all of its values, as `Repeated`.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, NoReturn, Self

from crawler.json_bounds import excess_of
from crawler.text import is_encodable

MAX_DEPTH = 64


class WireFloat(float):
    """A float that keeps its literal: `WireFloat("1.10").literal == "1.10"`."""

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> Self:
        """Parse a JSON number with a fraction or an exponent."""
        self = super().__new__(cls, literal)
        self.literal = literal
        return self

    def __repr__(self) -> str:
        """Return the literal."""
        return self.literal


class Repeated(list[Any]):
    """All values of a name that one object has more than once, in the order received. It fits no column."""


class InvalidJsonError(ValueError):
    """The bytes are not a JSON document, or an unusable one."""


class ExcessiveJsonError(InvalidJsonError):
    """A document with excessive depth, names or digits of a number: a retry won't help."""


def parse(body: bytes) -> Any:
    """Parse a document. Raises only InvalidJsonError, whose message quotes nothing of the body."""
    if excess := excess_of(body):
        raise ExcessiveJsonError(f"a document with {excess}")
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
    raise InvalidJsonError(f"not JSON: {constant} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these members. It takes a tenth of the parsing, and any page may repeat a name."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    values: dict[str, Repeated] = {}
    for name, value in pairs:
        values.setdefault(name, Repeated()).append(value)
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}


def has_repeated(value: Any) -> bool:
    """Whether an object in a result of `parse` has a name twice."""
    if isinstance(value, dict):
        return any(map(has_repeated, value.values()))
    return isinstance(value, Repeated) or (isinstance(value, list) and any(map(has_repeated, value)))


def to_text(value: Any) -> str:
    """Encode a result of `parse`, compactly, in the order received, each number with its own digits.

    The text is valid UTF-8: a lone surrogate is written as its escape. Raises InvalidJsonError beyond 64 levels, and
    for a name that an object has twice, which most parsers of the text would reduce to one.
    """
    return _encode(value, MAX_DEPTH)


def _encode(value: Any, levels: int) -> str:
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
            inner = ",".join(f"{_string(k)}:{_encode(v, levels - 1)}" for k, v in value.items())
            return f"{{{inner}}}"
        case Repeated():
            raise InvalidJsonError("an object with a name twice")
        case list():
            return f"[{','.join(_encode(item, levels - 1) for item in value)}]"
        case WireFloat():
            return value.literal
        case _:
            return str(value)


def _string(text: str) -> str:
    return encode_basestring(text) if is_encodable(text) else encode_basestring_ascii(text)


def toggle_initial_case(name: str) -> str:
    """Return the name with its first letter in the other case: the documentation shows both."""
    return name[:1].swapcase() + name[1:]


def find(value: dict[str, Any], name: str) -> str | None:
    """Return the key of this name in a JSON object, in either case of its first letter; None if it is absent."""
    return next((key for key in (name, toggle_initial_case(name)) if key in value), None)
