"""JSON without loss: numbers keep the digits that the wire had.

The usual decoders turn `1.10` into 1.1 and a 30-digit integer into a float. Here integers are exact whatever their
length, and a number with a fraction or an exponent is a `WireFloat`, which remembers its literal.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, NoReturn, Self

MAX_DEPTH = 64


class WireFloat(float):
    """A float that knows its literal: `WireFloat("1.10").literal == "1.10"`."""

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> Self:
        """Read a JSON number with a fraction or an exponent."""
        self = super().__new__(cls, literal)
        self.literal = literal
        return self


class InvalidJsonError(ValueError):
    """The bytes are no JSON document, or one that nothing should be done with (too deep, NaN, 10^5 digits)."""


def parse(body: bytes) -> Any:
    """Decode a document. Raises InvalidJsonError, never another exception; its text holds nothing of the body."""
    try:
        return json.loads(body.decode("utf-8"), parse_float=WireFloat, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"not JSON at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise InvalidJsonError("nested too deeply") from None
    except ValueError:
        raise InvalidJsonError("a number that is no JSON number, or has thousands of digits") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def to_text(value: Any) -> str:
    """Encode what `parse` gave, compactly, in the order received, every number with its own digits.

    Text is UTF-8 clean: a lone surrogate is written as its escape. Raises InvalidJsonError beyond 64 levels.
    """
    return _text(value, MAX_DEPTH)


def _text(value: Any, levels: int) -> str:
    if levels == 0:
        raise InvalidJsonError(f"nested more than {MAX_DEPTH} levels deep")
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
        case list():
            return f"[{','.join(_text(item, levels - 1) for item in value)}]"
        case WireFloat():
            return value.literal
        case _:
            return str(value)


def _string(text: str) -> str:
    return encode_basestring(text) if is_encodable(text) else encode_basestring_ascii(text)


def is_encodable(text: str) -> bool:
    """Whether the text has no lone surrogate, and so can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
