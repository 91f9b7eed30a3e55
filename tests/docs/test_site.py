"""The site that `make site` builds: it has all pages and valid links and anchors, and requests no outside resource."""

from __future__ import annotations

import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
# Files of the project's folder that are pages of the site.
PROJECT = {"overview": "README", "changelog": "CHANGELOG", "contributing": "CONTRIBUTING", "security": "SECURITY"}
BUILD = [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict"]


def build(root, site):
    return subprocess.run(
        [*BUILD, "--site-dir", site],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def text_of(page: str) -> str:
    """The text of a page without markup and without white space, which highlighting changes."""
    return "".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())


def test_every_page_is_there_and_leads_to_every_other(site):
    for name in (*PAGES, *PROJECT):
        page = (site / f"{name}.html").read_text()
        menu = page.split('<nav class="md-nav md-nav--primary', 1)[1].split("<main", 1)[0]
        assert {*PAGES, *PROJECT} - {name} <= set(re.findall(r'href="(?:\./)?([\w-]+)\.html"', menu))


def test_the_menu_leads_to_the_decisions_and_each_is_there(site):
    assert 'href="adr/index.html"' in (site / "index.html").read_text()
    written = {path.stem for path in (ROOT / "docs/adr").glob("*.md")}
    assert {path.stem for path in (site / "adr").glob("*.html")} == written


def test_no_page_takes_anything_from_elsewhere(site):
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        found = re.search(r"""(?:src=|<link [^>]*href=|@import|url\()["']?\s*(?:https?:)?//""", path.read_text())
        assert not found, path.name


def test_the_project_s_pages_are_rendered(site):
    """No link opens Markdown as text: the headings of README and the others are headings of a page."""
    for page, source in PROJECT.items():
        headings = re.findall(r"^## (.+)$", (ROOT / f"{source}.md").read_text(), re.MULTILINE)
        shown = re.findall(r"<h2 id=[^>]*>(.*?)<a ", (site / f"{page}.html").read_text(), re.DOTALL)
        assert [text_of(heading) for heading in shown] == ["".join(h.replace("`", "").split()) for h in headings]
    assert not list(site.rglob("*.md*"))


def test_files_outside_of_docs_are_shown_as_code(site):
    linked = {
        name
        for page in ("operations", "overview", "reading", "airflow", "kubernetes")
        for name in re.findall(r'href="(files/[^"]+)\.html"', (site / f"{page}.html").read_text())
    }
    assert len(linked) >= 6
    for name in linked:
        source = (ROOT / name.removeprefix("files/")).read_text()
        assert "".join(source.split()) in text_of((site / f"{name}.html").read_text()), name


def test_the_search_finds_a_column_of_a_table_and_an_exit_code(site):
    found = json.loads((site / "search/search_index.json").read_text())["docs"]
    assert any("tables.html#fc_functions" in entry["location"] for entry in found)
    assert any("operations.html#exit-codes" in entry["location"] for entry in found)


def test_the_search_lists_decisions_after_pages(site):
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    decisions = [section for section in found if section["location"].startswith("adr/")]
    assert decisions
    assert {section.get("boost", 1) for section in decisions} == {0.2}
    assert all("boost" not in section for section in found if not section["location"].startswith("adr/"))


def test_the_tools_of_the_site_are_not_in_it(site):
    assert not list(site.rglob("*.py"))
    assert not (site / "generate").exists()
    assert {path.name for path in (site / "site").iterdir()} == {"site.css", "icon.svg"}


LINKS = (
    "[gone](gone.md)",
    "[gone](operations.md#gone)",
    "[gone](#gone)",
    "[gone](../deploy/gone)",
    "![gone](images/gone.png)",
    "[gone](../README.md#gone)",
)


def test_each_link_that_leads_nowhere_fails_the_build(tmp_path):
    """All in one build, which takes a second: each is a warning of its own, and with one the build fails."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("deploy", "crawler", "schemas"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for name in ("mkdocs.yml", "config.example.toml", "LICENSE", *(f"{source}.md" for source in PROJECT.values())):
        shutil.copy(ROOT / name, tmp_path)
    with (tmp_path / "docs" / "diff.md").open("a") as page:
        page.writelines(f"\n{link}\n" for link in LINKS)
    with (tmp_path / "README.md").open("a") as page:
        page.write("\n[gone](docs/gone.md)\n")
    done = build(tmp_path, tmp_path / "bad")
    assert done.returncode == 1
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == len(LINKS) + 1, done.stderr
    assert all("gone" in line for line in warnings)


@pytest.fixture
def served(site):
    """The address of the built site on loopback."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    handler.log_message = lambda *arguments: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("name", ["index", "overview", "reference", "reading", "tables"])
def test_pages_fit_a_phone_and_ask_for_nothing_elsewhere(served, browser, name):
    heard = []
    page = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
    page.on("console", lambda message: heard.append(message.text))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(f"{served}/{name}.html", wait_until="networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert [found for found in heard if not found.startswith((served, "data:"))] == []


@pytest.mark.browser
def test_the_search_leads_to_a_section(served, browser):
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{served}/index.html", wait_until="networkidle")
    page.locator("input.md-search__input").click()
    page.keyboard.type("fingerprint_key", delay=5)
    first = page.locator("a.md-search-result__link").first
    first.wait_for(timeout=10_000)
    first.click()
    page.wait_for_url(re.compile(r"\.html\?h=fingerprint"))
