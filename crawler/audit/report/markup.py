"""HTML put together so that text is always text: only what `element` made is markup, all else is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

from crawler.text import printable

_VOID = frozenset({"meta", "link", "input", "br"})
# No cell of a table holds more; what is longer is cut, and shows that it is.
MAX_TEXT = 1000


class Html(str):
    """Markup. Nothing but this module makes one of data."""

    __slots__ = ()


Child = Html | str | int | None
Attribute = str | int | bool | None


def printable_text(value: str) -> str:
    """Text from outside as it may be shown: no control or direction characters, and not without end."""
    if len(value) <= MAX_TEXT and value.isprintable():
        return value
    text = printable(value[: MAX_TEXT + 1])
    return text if len(value) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def escaped(value: str) -> Html:
    """Text as markup that shows just that text."""
    return Html(html.escape(printable_text(value)))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element. Strings are escaped, None is left out; `class_` is `class`, `data_theme` is `data-theme`.

    An attribute that is True has no value; one that is False or None isn't there.
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    words = [name, *(_attribute(key, value) for key, value in pairs if value is not None and value is not False)]
    opening = f"<{' '.join(words)}>"
    return Html(opening) if name in _VOID else Html(f"{opening}{joined(children)}</{name}>")


def joined(children: Iterable[Child], between: str = "") -> Html:
    """Several children as one; strings are escaped."""
    return Html(between.join(_child(child) for child in children if child is not None))


def verbatim(name: str, content: str, /, **attributes: str) -> Html:
    """A `style` or `script` element, whose content isn't escaped: it must be ours, or hold no `<`."""
    words = [name, *(_attribute(key, value) for key, value in attributes.items())]
    return Html(f"<{' '.join(words)}>{content}</{name}>")


def _child(child: Child) -> str:
    return child if isinstance(child, Html) else escaped(str(child))


def _attribute(key: str, value: Attribute) -> str:
    return key if value is True else f'{key}="{escaped(str(value))}"'
