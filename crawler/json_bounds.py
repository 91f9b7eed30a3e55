"""Bounds on the number of values in a JSON document, judged on its bytes before anything is built of them.

A value of two bytes becomes an object of up to a kilobyte, so the size of a document doesn't bound the memory that it
takes.
"""

from __future__ import annotations

import re

# A page of 300 kB has about 15,000 names and texts, and fewer separators. A million unknown names take 400 MB.
MAX_TEXTS = 500_000
MAX_VALUES = 500_000

_SEPARATORS = b",[{"
# Possessive: a text without an end is not searched twice.
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def excess_of(document: bytes) -> str:
    """Return what a document has too much of, "" if it is within the bounds. It need not be valid JSON.

    Each value but the first of a document follows a comma or an opening bracket. Those inside of texts are counted,
    too, unless they make the difference. A document with fewer bytes than the bounds is not searched.
    """
    if len(document) <= MAX_VALUES:
        return ""
    if document.count(b'"') > 2 * MAX_TEXTS:
        return f"more than {MAX_TEXTS} names and texts"
    if _separators(document) > MAX_VALUES and _separators(_TEXT.sub(b"", document)) > MAX_VALUES:
        return f"more than {MAX_VALUES} values"
    return ""


def _separators(document: bytes) -> int:
    return len(document) - len(document.translate(None, _SEPARATORS))
