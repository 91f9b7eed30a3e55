"""Build HTML: only results of this module are markup, all other text is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from crawler.text import escape_control

_VOID = frozenset({"meta", "link", "input", "br", "wbr"})
# Longer texts are cut and end with an ellipsis.
MAX_TEXT = 1000
# Words at least so long may break, after these characters or after so many others. The script breaks them alike.
_LONG_WORD = re.compile(r"\S{17}")
_PIECE = re.compile(r"[^/:_.#@=,|-]{1,40}[/:_.#@=,|-]{0,20}|[/:_.#@=,|-]{1,20}", re.DOTALL)
# An address in ASCII without a user name: nothing in it can end an attribute, or look like another host.
_ADDRESS = re.compile(
    r"https://[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?::[0-9]{1,5})?(?:[/?#][A-Za-z0-9/?#:@!$&()*+,;=._~%-]*)?"
)


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


def breakable(value: str) -> Html:
    """Return markup that shows the text, in which long words break after separators and not anywhere."""
    text = printable_text(value)
    if not _LONG_WORD.search(text):
        return Html(html.escape(text))
    return Html("<wbr>".join(html.escape(piece) for piece in _PIECE.findall(text)))


def is_address(value: object) -> bool:
    """Return whether a value is an https address that may become a link."""
    return isinstance(value, str) and len(value) <= MAX_TEXT and _ADDRESS.fullmatch(value) is not None


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
