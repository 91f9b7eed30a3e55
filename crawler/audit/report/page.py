"""The frame of the page: one self-contained file that runs only its own script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files as resources

from crawler.audit.report.markup import Html, element, joined, verbatim


def asset(name: str) -> str:
    """Return the page's script or style sheet."""
    return (resources(__package__) / "assets" / name).read_text("utf-8")


def content_policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that allows only this style sheet and this script, by their hashes."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def page(title: str, header: Html, sections: Sequence[tuple[str, str, Html]], footer: str) -> str:
    """Return the whole file. `sections` are (ID, heading, content), in the order of the navigation."""
    style, script = asset("report.css"), asset("report.js")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=content_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        verbatim("style", style),
    )
    links = [element("li", element("a", heading, href=f"#{name}")) for name, heading, _ in sections]
    shown = [
        element(
            "section", element("h2", heading, id=f"{name}-heading"), content, id=name, aria_labelledby=f"{name}-heading"
        )
        for name, heading, content in sections
    ]
    body = element(
        "body",
        element("a", "Skip to the findings", href="#findings", class_="skip"),
        element("header", header, class_="top"),
        element("nav", element("ul", *links), aria_label="Sections"),
        element("main", *shown),
        element("footer", footer),
        verbatim("script", script),
    )
    return joined([Html("<!DOCTYPE html>\n"), Html(f'<html lang="en">{head}{body}</html>\n')])


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
