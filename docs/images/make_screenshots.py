"""The pictures of this folder, from the real program: two nights of the built-in cloud, crawled and reported.

`make screenshots` runs it. It serves and crawls on loopback, and needs Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
MOST_BYTES = 300_000


def acs_inventory(*arguments: str, ok: tuple[int, ...] = (0,)) -> None:
    """Run the program to its end."""
    done = subprocess.run([sys.executable, "-m", "crawler", *arguments], cwd=ROOT, check=False)
    if done.returncode not in ok:
        raise SystemExit(f"acs-inventory {' '.join(arguments)} ended with {done.returncode}")


def crawl_day(day: int, folder: Path) -> None:
    """Serve the cloud of that day and crawl it. On the second day it denies something, so that crawl ends with 3."""
    config = folder / f"day-{day}.toml"
    command = [sys.executable, "-m", "crawler", "emulate", "--day", str(day), "--write-config", str(config)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not config.is_file():
                time.sleep(0.1)
            output = ["--output", str(folder / "snapshots"), "--quiet"]
            acs_inventory("crawl", "--config", str(config), *output, ok=(0, 3))
        finally:
            server.terminate()


def photograph(browser: Browser, page_file: Path, name: str, *, width: int, height: int, scheme: str) -> None:
    """Take one picture of the top of the page."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(page_file.as_uri())
    target = FOLDER / name
    page.screenshot(path=target)
    context.close()
    if target.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{target} has {target.stat().st_size:,} bytes, more than {MOST_BYTES:,}")


def main() -> None:
    """All pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for day in (1, 2):
            crawl_day(day, folder)
        page_file = folder / "report.html"
        output = ["--output", str(folder / "snapshots")]
        acs_inventory("report", "--to", str(page_file), "--snapshot", "newest", *output)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            photograph(browser, page_file, "report-light.png", width=1280, height=1180, scheme="light")
            photograph(browser, page_file, "report-phone.png", width=360, height=740, scheme="dark")
            browser.close()


if __name__ == "__main__":
    main()
