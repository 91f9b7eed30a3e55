"""The site's hook: README, the project's pages and the files that pages link to become pages of the site.

A page of the site is made of a file outside docs/ in one of two ways: a Markdown file of `_PAGES` is rendered, and any
other file is shown as code. Links between them are led to these pages.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Files of the project's folder that are written as pages, and the pages of the site.
_PAGES = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
_LINK = re.compile(r"(!?\[(?:`[^`]*`|[^\]`])*\])\(([^)\s#:]+)(#[^)\s]*)?\)")
# Names of lexers by the ending of a file; the others are those of text.
_LANGUAGES = {
    ".json": "json",
    ".py": "python",
    ".service": "ini",
    ".sh": "sh",
    ".sql": "sql",
    ".timer": "ini",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_DECISIONS_BOOST = 0.2
_NAMED = {"Dockerfile": "docker", "Makefile": "make"}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the project's pages, and a page for each other file outside docs/ that a page links to."""
    for name, uri in _PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text()))
    linked = {
        name
        for page in files.documentation_pages()
        for _, target, _ in _LINK.findall(page.content_string)
        if (name := _name(target, page.src_uri)) and not name.startswith("docs/")
    }
    for name in sorted(linked - _PAGES.keys()):
        if (ROOT / name).is_file():
            files.append(File.generated(config, _code_page(name), content=_as_code(name)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead links to files outside of docs/ to their pages. A link to a folder becomes text.

    A link to a file that isn't there stays as it is, and fails the build. The search lists decisions after the pages
    for users.
    """
    uri = page.file.src_uri
    if uri.startswith("adr/"):
        page.meta["search"] = {"boost": _DECISIONS_BOOST}

    def lead(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        name = _name(target, uri)
        if name is None:
            return link[0]
        if (ROOT / name).is_dir():
            return text[1:-1] if text.startswith("[`") else f"`{text[1:-1]}`"
        if not (ROOT / name).is_file():
            return link[0]
        there = os.path.relpath(_uri(name), PurePosixPath(uri).parent)
        return f"{text}({there}{anchor or ''})"

    return markdown if uri.startswith("files/") else _LINK.sub(lead, markdown)


def _name(target: str, uri: str) -> str | None:
    """Return the file of the project that a link of a page names, by its path; None for a link within docs/."""
    source = next((name for name, page in _PAGES.items() if page == uri), None)
    folder = PurePosixPath("docs", uri).parent if source is None else PurePosixPath()
    name = os.path.normpath(folder / target)
    is_within_docs = source is None and name.startswith("docs/")
    return None if is_within_docs or name.startswith("..") else name


def _uri(name: str) -> str:
    """Return the source of a file's page."""
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    return _PAGES.get(name) or _code_page(name)


def _code_page(name: str) -> str:
    return f"files/{name}.md"


def _as_code(name: str) -> str:
    """Return a page that shows a text file, with more backticks around it than it has in it."""
    text = (ROOT / name).read_text()
    path = PurePosixPath(name)
    language = _NAMED.get(path.name) or _LANGUAGES.get(path.suffix, "text")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"# {path.name}\n\n`{name}` of the project\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"
