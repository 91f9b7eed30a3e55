"""The report in headless Chromium: it runs no code, requests no resource, and people can use it.

`make test-browser` runs these; `make test` doesn't, since they need a browser.
"""

from __future__ import annotations

import functools
import http.server
import threading
import time
from pathlib import Path

import pytest

from crawler.audit.report import make_report
from crawler.snapshot import Status
from tests.support.hostile_pages import ADDRESS, PAYLOADS, hostile_page
from tests.support.written_snapshots import CATALOG, OTHER_REGION, SNAPSHOT, write

pytestmark = pytest.mark.browser

PHONE, DESK = 360, 1280
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MANY, TABLES = 2000, 10


@pytest.fixture(scope="module")
def browser(hostile, plain, large):
    """Started when the pages are made: they need an event loop, and this thread's is the browser's from then on."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Opens a file; everything that it asks for, says or throws is in `page.heard`. Closed afterwards."""
    contexts = []

    def open_it(address, *, width=DESK, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.heard = []
        page.on("dialog", lambda dialog: (page.heard.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda message: page.heard.append(f"console {message.text}"))
        page.on("pageerror", lambda error: page.heard.append(f"error {error}"))
        page.on("request", lambda request: page.heard.append(f"request {request.url}"))
        page.on("popup", lambda popup: page.heard.append(f"popup {popup.url}"))
        page.goto(address if isinstance(address, str) else address.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    path = folder / "report.html"
    path.write_text(hostile_page(folder / "snapshots"))
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A page of a snapshot that has some of everything: findings, changes, charts, scopes that aren't complete."""
    folder = tmp_path_factory.mktemp("plain")
    functions = [
        {
            "function_name": f"order-sync-prod-{number:04d}",
            "region_id": OTHER_REGION if number % 5 == 0 else "cn-hangzhou",
            "runtime": ("nodejs12", "python3.12", "go1", "java11")[number % 4],
            "role": "acs:ram::1000000000000001:role/fc-shared",
            "internet_access": True,
            "code_size": (number * 7919) % 1000,
            "environment_variables": [("DB_PASSWORD", f"hmac:{number:016x}")],
            "tags": [{"key": "team", "value": ("search", "payments")[number % 2]}] if number % 3 else [],
        }
        for number in range(60)
    ]
    before = [{**row, "runtime": "python3.10"} for row in functions[5:]]
    denied = {"opensearch_app_groups": Status.DENIED}
    old = write(folder, {"fc_functions": before}, snapshot_id="20261120T020000Z-00aa")
    new = write(folder, {"fc_functions": functions, "fc_triggers": []}, denied, snapshot_id=SNAPSHOT)
    path = folder / "report.html"
    path.write_text(make_report(new, CATALOG, against=old).html)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A page with 2,000 rows in each of ten tables."""
    folder = tmp_path_factory.mktemp("large")
    findings = folder / "findings"
    findings.mkdir()
    for number in range(TABLES):
        (findings / f"large_{number}.sql").write_text(
            f"-- severity: info\n-- title: Large {number}\n-- tables: fc_functions\n-- reason: to be large.\n"
            "SELECT account_id, region_id, function_name, runtime, code_size, description FROM fc_functions"
        )
    rows = [
        {
            "function_name": f"function-{number:05d}",
            "runtime": ("nodejs20", "python3.12")[number % 2],
            "code_size": (number * 7919) % 100_003,
            "description": f"what function {number} is there for, in a sentence of some length",
        }
        for number in range(MANY)
    ]
    snapshot = write(folder / "snapshots", {"fc_functions": rows})
    path = folder / "report.html"
    path.write_text(make_report(snapshot, CATALOG, findings=[findings]).html)
    return path


@pytest.fixture
def served(hostile):
    """The page's address on loopback, and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=hostile.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/report.html", asked
        server.shutdown()
        thread.join()


def open_folds(page):
    """Open every finding and every note."""
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    page.wait_for_function("document.querySelectorAll('details.finding .data:not(:has(th button))').length === 0")


def open_all(page):
    """Open every finding and every note, and show all rows of every table."""
    open_folds(page)
    page.evaluate(
        """() => {
            for (const note of document.querySelectorAll(".note")) {
                const shown = [...note.querySelectorAll("button")].filter((button) => !button.hidden);
                shown.at(-1)?.click();
            }
        }"""
    )


def table(page, name):
    return page.locator(f"[data-table={name}]")


def column(page, name, label):
    return table(page, name).locator(f"td[data-label='{label}']").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_t25_hostile_names_and_descriptions_do_not_run_and_nothing_is_asked_for(hostile, open_page, scheme):
    """T25."""
    page = open_page(hostile, scheme=scheme)
    open_all(page)
    page.evaluate(
        """(payloads) => {
            for (const field of document.querySelectorAll("input[type=search]")) {
                for (const payload of [...payloads, ""]) {
                    field.value = payload;
                    field.dispatchEvent(new Event("input"));
                }
            }
            for (const button of document.querySelectorAll("th button")) button.click();
        }""",
        PAYLOADS,
    )
    page.get_by_role("button", name="colours").click()
    page.mouse.move(300, 300)
    page.wait_for_timeout(300)
    assert page.heard == [f"request {hostile.as_uri()}"]
    assert page.url == hostile.as_uri()
    assert page.title() == f"Inventory {SNAPSHOT}"
    assert page.locator("iframe, img, object, embed, base, form, link, svg svg").count() == 0
    assert (
        page.locator("script").count()
        == 1 + page.locator(":is(.data, .owners) > script[type='application/json']").count()
    )


def test_t25_hostile_texts_are_shown_as_they_are(hostile, open_page):
    """T25."""
    page = open_page(hostile)
    open_all(page)
    shown = column(page, "internet_without_vpc", "function")
    assert len(shown) == len(PAYLOADS)
    assert "0 <script>alert(1)</script>" in shown
    assert any('"><img src=https://evil.example/x onerror=alert(1)>' in text for text in shown)


def test_t25_the_policy_stops_what_would_be_put_in(hostile, open_page):
    """T25."""
    page = open_page(hostile)
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'run'";
            document.body.append(script);
            const image = document.createElement("img");
            image.src = "https://evil.example/x";
            image.setAttribute("onerror", "document.title = 'run'");
            document.body.append(image);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.title() == f"Inventory {SNAPSHOT}"
    assert sum("Content Security Policy" in said for said in page.heard) >= 2


def test_a_served_page_asks_for_nothing_but_itself(served, open_page):
    address, asked = served
    page = open_page(address)
    page.wait_for_timeout(300)
    assert [said for said in page.heard if said.startswith("request")] == [f"request {address}"]
    assert not [path for path in asked if "report.html" not in path and "favicon" not in path]


def test_a_column_is_sorted_by_its_heading_with_the_keyboard(plain, open_page):
    page = open_page(plain)
    page.locator("#finding-retired_runtimes summary").first.press("Enter")
    heading = table(page, "retired_runtimes").get_by_role("button", name="function", exact=False)
    heading.focus()
    page.keyboard.press("Enter")
    assert heading.locator("..").get_attribute("aria-sort") == "ascending"
    ascending = column(page, "retired_runtimes", "function")
    page.keyboard.press("Enter")
    assert heading.locator("..").get_attribute("aria-sort") == "descending"
    descending = column(page, "retired_runtimes", "function")
    assert (ascending[0], descending[0]) == ("order-sync-prod-0000", "order-sync-prod-0056")
    assert ascending == sorted(ascending)


def test_numbers_are_sorted_as_numbers(large, open_page):
    page = open_page(large)
    page.locator("#finding-large_0 > summary").click()
    table(page, "large_0").get_by_role("button", name="Show all").click()
    table(page, "large_0").get_by_role("button", name="code size").click()
    sizes = [int(text.replace(",", "")) for text in column(page, "large_0", "code size")]
    assert sizes == sorted(sizes)
    assert len(sizes) == MANY


def test_rows_are_filtered_by_all_words_and_counted(plain, open_page):
    page = open_page(plain)
    page.locator("#finding-internet_without_vpc > summary").click()
    field = page.get_by_role("searchbox", name="Filter rows: Functions that reach the internet outside of a VPC")
    field.fill("SHANGHAI java11")
    assert column(page, "internet_without_vpc", "runtime") == ["java11"] * 3
    assert table(page, "internet_without_vpc").get_by_role("status").inner_text() == "3 that match, of 60 rows."
    field.fill("nothing has this")
    assert column(page, "internet_without_vpc", "runtime") == []
    field.fill("")
    assert len(column(page, "internet_without_vpc", "runtime")) == 10
    table(page, "internet_without_vpc").get_by_role("button", name="Show 50 more").click()
    assert len(column(page, "internet_without_vpc", "runtime")) == 60


def test_a_link_to_a_finding_opens_it(plain, open_page):
    page = open_page(f"{plain.as_uri()}#finding-retired_runtimes")
    assert page.locator("#finding-retired_runtimes").get_attribute("open") is not None


@pytest.mark.parametrize(("scheme", "other"), [("light", "dark"), ("dark", "light")])
def test_light_and_dark_follow_the_system_and_the_button(plain, open_page, scheme, other):
    def brightness():
        return page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])")

    page = open_page(plain, scheme=scheme)
    assert (brightness() > 200) == (scheme == "light")
    page.get_by_role("button", name=f"{other.capitalize()} colours").click()
    assert (brightness() > 200) == (other == "light")
    page.get_by_role("button", name=f"{scheme.capitalize()} colours").click()
    assert (brightness() > 200) == (scheme == "light")


@pytest.mark.parametrize("name", ["plain", "hostile"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_screen(request, open_page, name, width):
    page = open_page(request.getfixturevalue(name), width=width)
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width == PHONE:
        wide = page.evaluate(
            """() => [...document.querySelectorAll("main .data td, main p, main dd, main summary")]
                .filter((node) => node.getBoundingClientRect().right > innerWidth + 1).length"""
        )
        assert wide == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_page_is_accessible(plain, open_page, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(plain, width=width, scheme=scheme)
    open_folds(page)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
    told = [(one["id"], one["nodes"][0]["html"][:200]) for one in found.response["violations"]]
    assert told == []
    assert len(found.response["passes"]) > 20


def test_paper_has_every_finding_open_and_no_buttons(plain, open_page):
    page = open_page(plain)
    page.emulate_media(media="print")
    reason = page.locator("#finding-retired_runtimes").get_by_text("no longer provides security updates")
    assert reason.bounding_box()["height"] > 0
    assert page.locator("nav").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    content = page.pdf(prefer_css_page_size=True)
    assert content.startswith(b"%PDF")
    page.emulate_media(media="screen")
    assert page.locator("details.finding[open]").count() == 0


def test_paper_has_all_rows_and_words_in_the_headings_of_every_page(plain, open_page):
    page = open_page(plain)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(column(page, "internet_without_vpc", "runtime")) == 60
    assert len(column(page, "changes-fc_functions", "what")) > 50
    head = table(page, "internet_without_vpc").locator("thead th").first
    # A browser doesn't paint buttons in headings that it repeats.
    assert head.locator("button").is_hidden()
    assert head.locator(".on-paper").is_visible()
    assert head.inner_text() == "account"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator("details.fold[open]").count() == 0
    open_folds(page)
    assert len(column(page, "internet_without_vpc", "runtime")) == 10
    assert not head.locator(".on-paper").is_visible()


def test_rows_beyond_the_bound_of_paper_are_counted(large, open_page):
    page = open_page(large)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(column(page, "large_3", "runtime")) == 1000
    assert "1,000 of 2,000 rows." in table(page, "large_3").inner_text()


def test_findings_are_narrowed_to_an_owner(plain, open_page):
    page = open_page(plain)
    choice = page.get_by_label("Owner")
    assert choice.locator("option").all_inner_texts() == ["all", "without an owner", "payments", "search"]
    choice.select_option("payments")
    folds = page.locator("details.finding:visible")
    assert folds.count() < page.locator("details.finding").count()
    page.locator("#finding-internet_without_vpc > summary").click()
    assert set(column(page, "internet_without_vpc", "owner")) == {"payments"}
    assert "20 of 60" in page.locator("#finding-internet_without_vpc > summary").inner_text()
    choice.select_option("without an owner")
    assert set(column(page, "internet_without_vpc", "owner")) == {"–"}
    choice.select_option("all")
    assert page.locator("details.finding:visible").count() == page.locator("details.finding").count()
    assert page.locator("#finding-internet_without_vpc .result").inner_text().startswith("60")


def test_paper_names_the_owner_whose_findings_it_has(plain, open_page):
    page = open_page(plain)
    page.emulate_media(media="print")
    place = page.locator(".owners")
    assert place.is_hidden()
    page.emulate_media(media="screen")
    page.get_by_label("Owner").select_option("payments")
    page.emulate_media(media="print")
    assert place.inner_text().startswith("Owner: payments. Only these rows of the findings are printed")
    assert page.get_by_label("Owner").is_hidden()


def test_an_address_of_a_finding_is_a_link_that_tells_nothing_to_its_host(hostile, open_page):
    page = open_page(hostile)
    open_all(page)
    links = page.locator("[data-table=anonymous_public_urls] a")
    assert [link.get_attribute("href") for link in links.all()] == [ADDRESS]
    assert links.first.get_attribute("rel") == "noopener noreferrer"
    assert links.first.inner_text() == ADDRESS


def test_the_page_can_be_read_without_its_script(plain, open_page):
    page = open_page(plain, java_script_enabled=False)
    page.locator("#finding-internet_without_vpc > summary").click()
    assert len(column(page, "internet_without_vpc", "function")) == 10
    assert "The first 10 of 60 rows." in table(page, "internet_without_vpc").inner_text()
    assert page.locator("input, th button").count() == 0


def test_twenty_thousand_rows_are_quick(large, open_page):
    """Bounds that a busy machine keeps; a quiet one takes a tenth."""

    def seconds(action):
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    assert Path(large).stat().st_size > 2_000_000
    page = None

    def load():
        nonlocal page
        page = open_page(large)

    took = {"load": seconds(load)}
    box = table(page, "large_3")
    took["open"] = seconds(page.locator("#finding-large_3 > summary").click)
    took["all"] = seconds(box.get_by_role("button", name="Show all").click)
    took["sort"] = seconds(box.get_by_role("button", name="code size").click)
    took["filter"] = seconds(lambda: box.get_by_role("searchbox").fill("function-01999"))
    assert column(page, "large_3", "function name") == ["function-01999"]
    assert max(took.values()) < 5, took
