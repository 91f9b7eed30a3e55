"""The site's hook: what pages link to outside of docs/ goes along, so that no link leads out of the site."""

from __future__ import annotations

import re
from pathlib import Path

from properdocs.config.defaults import ProperDocsConfig
from properdocs.structure.files import File, Files
from properdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(\.\./([^)#]+)\)")


def on_files(files: Files, *, config: ProperDocsConfig) -> Files:
    """Add each file outside that a page names."""
    for page in files.documentation_pages():
        for _, name in _LINK.findall(page.content_string):
            source = ROOT / name
            if source.is_file() and files.get_file_from_path(_inside(name)) is None:
                files.append(File.generated(config, _inside(name), content=source.read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: ProperDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead the links there; a folder is named without one. One that isn't there stays, and fails the build."""
    return _LINK.sub(_lead, markdown)


def _lead(link: re.Match[str]) -> str:
    text, name = link.groups()
    if (ROOT / name).is_dir():
        return f"`{text}`"
    return f"[{text}]({_inside(name)})" if (ROOT / name).is_file() else link[0]


def _inside(name: str) -> str:
    """Text files are shown by a browser where their ending says so."""
    return f"files/{name}.txt"
