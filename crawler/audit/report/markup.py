"""Build HTML: only results of this module are markup, all other text is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

from crawler.text import escape_control

_VOID = frozenset({"meta", "link", "input", "br"})
# Longer texts are cut and end with an ellipsis.
MAX_TEXT = 1000


class Html(str):
    """Markup. Only this module makes markup from data."""

    __slots__ = ()


Child = Html | str | int | None
Attribute = str | int | bool | None


def printable_text(value: str) -> str:
    """Return external text for display: control and direction characters are escaped, long text is cut."""
    if len(value) <= MAX_TEXT and value.isprintable():
        return value
    text = escape_control(value[: MAX_TEXT + 1])
    return text if len(value) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def escaped(value: str) -> Html:
    """Return markup that shows the text."""
    return Html(html.escape(printable_text(value)))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element. Strings are escaped. `class_` is `class`, `data_theme` is `data-theme`.

    None as a child, and False or None as an attribute, is omitted; a True attribute has no value.
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    words = [name, *(_attribute(key, value) for key, value in pairs if value is not None and value is not False)]
    opening = f"<{' '.join(words)}>"
    return Html(opening) if name in _VOID else Html(f"{opening}{joined(children)}</{name}>")


def joined(children: Iterable[Child], between: str = "") -> Html:
    """Join several children; strings are escaped."""
    return Html(between.join(_child(child) for child in children if child is not None))


def verbatim(name: str, content: str, /, **attributes: str) -> Html:
    """Return a `style` or `script` element. Its content isn't escaped: it must be our own, or contain no `<`."""
    words = [name, *(_attribute(key, value) for key, value in attributes.items())]
    return Html(f"<{' '.join(words)}>{content}</{name}>")


def _child(child: Child) -> str:
    return child if isinstance(child, Html) else escaped(str(child))


def _attribute(key: str, value: Attribute) -> str:
    return key if value is True else f'{key}="{escaped(str(value))}"'
