"""The site that `make site` builds: it has all pages and valid links and anchors, and requests no outside resource."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
BUILD = [str(Path(sys.executable).parent / "properdocs"), "build", "--strict"]


def build(root, site):
    return subprocess.run(
        [*BUILD, "--site-dir", site], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_and_leads_to_every_other(site):
    for name in PAGES:
        page = (site / f"{name}.html").read_text()
        menu = page.split('<nav id="pages"', 1)[1].split("</nav>", 1)[0]
        assert set(re.findall(r'href="([\w-]+)\.html"', menu)) == set(PAGES)


def test_the_menu_leads_to_the_decisions_and_each_is_there(site):
    assert 'href="adr/index.html"' in (site / "index.html").read_text()
    written = {path.stem for path in (ROOT / "docs/adr").glob("*.md")}
    assert {path.stem for path in (site / "adr").glob("*.html")} == written


def test_no_page_has_a_script_or_takes_anything_from_elsewhere(site):
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        text = path.read_text()
        assert "<script" not in text
        assert not re.search(r"""(?:src=|<link [^>]*href=|@import|url\()["']?\s*(?:https?:)?//""", text), path.name


def test_files_outside_of_docs_go_along(site):
    page = (site / "operations.html").read_text()
    linked = re.findall(r'href="(files/deploy/[^"]+)"', page)
    assert len(linked) >= 4
    for name in linked:
        assert (site / name).read_bytes() == (ROOT / name.removeprefix("files/").removesuffix(".txt")).read_bytes()


def test_the_tools_of_the_site_are_not_in_it(site):
    assert not list(site.rglob("*.py"))
    assert not (site / "site").exists()


LINKS = (
    "[gone](gone.md)",
    "[gone](operations.md#gone)",
    "[gone](#gone)",
    "[gone](../deploy/gone)",
    "![gone](images/gone.png)",
)


def test_each_link_that_leads_nowhere_fails_the_build(tmp_path):
    """All in one build, which takes a second: each is a warning of its own, and with one the build fails."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("tables.md", "__pycache__"))
    (tmp_path / "docs" / "tables.md").write_text("# Tables\n")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for name in ("properdocs.yml", "README.md", "CONTRIBUTING.md", "config.example.toml"):
        shutil.copy(ROOT / name, tmp_path)
    assert build(tmp_path, tmp_path / "good").returncode == 0
    with (tmp_path / "docs" / "diff.md").open("a") as page:
        page.writelines(f"\n{link}\n" for link in LINKS)
    done = build(tmp_path, tmp_path / "bad")
    assert done.returncode == 1
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == len(LINKS)
    assert all("gone" in line for line in warnings)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["index", "reference", "reading"])
def test_pages_fit_a_phone_and_say_nothing_to_the_console(site, name):
    from playwright.sync_api import sync_playwright

    heard = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("request", lambda request: heard.append(request.url))
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        browser.close()
    assert [found for found in heard if not found.startswith("file:")] == []
