"""What a person does with the pages, in a real browser: find, read, act, watch, share, print; with
and without JavaScript, by keyboard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import fleet

PHONE = {"width": 360, "height": 740}
# On a telephone: what its layout decides, and the colours of the pages that have parts of their
# own there.
LAYOUT_RULES = ["target-size", "scrollable-region-focusable", "skip-link", "bypass", "label"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
ON_PHONE_ALONE = {"incident", "incidents"}
SMALL_TARGETS = """() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary')]
  .map((one) => one.type === 'checkbox' ? one.closest('label') : one)
  .filter((one) => one.checkVisibility() && !one.closest('svg') && !one.closest('.skip'))
  .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
  .filter(([, box]) => box.width < 23.9 || box.height < 23.9).map(([words]) => words)"""
DESKTOP = {"width": 1100, "height": 680}
# Screenshots for the README.
KEPT = {
    "overview-light",
    "overview-dark",
    "incident-light",
    "incident-dark",
    "problem-light",
    "problem-dark",
    "incident-light-phone",
}
KEPT_BYTES = 200_000


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A browser window of its own; what its console complains of is an error."""
    opened = browser.new_context(base_url=address, viewport=DESKTOP)
    complaints: list[str] = []
    opened.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in {"error", "warning"} else None
        ),
    )
    opened.on("weberror", lambda error: complaints.append(str(error.error)))
    yield opened
    opened.close()
    assert complaints == []


def founding(page: Page) -> dict[str, str]:
    """The incident of the example log, as the pages' JSON has it."""
    return json.loads(page.request.get(f"/incidents.json?host={fleet.HOST}").text())["incidents"][0]


def every_page(page: Page) -> dict[str, str]:
    """Name → address, one page of each kind."""
    row = founding(page)
    other = json.loads(page.request.get("/incidents.json").text())["incidents"][1]
    return {
        "overview": "/",
        "incidents": "/incidents",
        "incident": f"/incidents/{row['id']}",
        "faults": "/faults",
        "fault": "/faults/1",
        "fleet": "/fleet",
        "hardware": "/fleet?by=hardware",
        "explain": "/explain",
        "kernel errors": "/kernel-errors",
        "side by side": f"/compare?id={row['id']}&id={other['id']}",
        "selected silences": f"/silences?id={row['id']}&id={other['id']}",
        "problems": "/problems",
        "problem": f"/problems/{row['fingerprint']}",
        "hosts": "/hosts",
        "host": f"/hosts/{fleet.HOST}",
        "noise": "/noise",
        "rules": "/rules",
        "signatures": "/signatures",
        "signature": "/signatures/kernel.paging-request",
        "silences": "/silences",
        "wrong": "/incidents?since=yesterday",
        "missing": "/incidents/nothing",
        "login": "/login",
    }


def test_from_the_overview_to_an_acknowledged_incident_that_another_sees(
    context: BrowserContext,
) -> None:
    """One click to the founding incident; the instruction is read there; a second window sees the
    acknowledgement by itself.
    """
    page = context.new_page()
    page.goto("/")
    page.get_by_role("row").filter(has_text=fleet.HOST).first.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "kernel paging request in __inet_lookup_listener"
    )
    expect(page.locator("#instruction")).to_have_text("ldr x3, [x19, #0x30]")
    expect(page.locator("mark").first).to_have_text("10")
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator("#state")).to_contain_text("open")
    with other.expect_response(lambda answer: "/api/v1/events" in answer.url):
        other.reload()
    page.get_by_label("Reason or note").fill("I look at it")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#state")).to_contain_text("acknowledged")
    expect(other.locator("#state")).to_contain_text("acknowledged")
    expect(other.locator("#history")).to_contain_text("I look at it")
    expect(other.get_by_role("button", name="Reopen")).to_be_visible()


def test_the_overview_shows_what_changes_by_itself(context: BrowserContext) -> None:
    """An incident that is resolved in one window leaves the list of open ones in the other; the
    search says that there is news.
    """
    overview, search, page = context.new_page(), context.new_page(), context.new_page()
    with overview.expect_response(lambda answer: "/api/v1/events" in answer.url):
        overview.goto("/")
    with search.expect_response(lambda answer: "/api/v1/events" in answer.url):
        search.goto("/incidents")
    row = overview.locator("#open-incidents tbody tr").nth(2)
    link = row.locator(".what > a").get_attribute("href")
    page.goto(link)
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator("#state")).to_contain_text("resolved")
    expect(overview.locator(f'#open-incidents a[href="{link}"]')).to_have_count(0)
    expect(search.locator("#news")).to_contain_text("1 new or changed")


def test_facets_narrow_down_and_the_address_is_the_query(
    context: BrowserContext, browser: Browser, address: str
) -> None:
    """Facet after facet; whoever gets the address sees the same rows; each condition can be taken
    away again.
    """
    page = context.new_page()
    page.goto("/incidents")
    facets = page.get_by_role("navigation", name="Narrow down")
    facets.get_by_role("link", name="tcp-listener-race", exact=True).click()
    facets.get_by_role("link", name=fleet.HOST, exact=True).click()
    rows = page.locator(".what > a").all_text_contents()
    assert len(rows) == 1
    assert "known_issue=tcp-listener-race" in page.url
    other = browser.new_context()
    shared = other.new_page()
    shared.goto(page.url)
    assert shared.locator(".what > a").all_text_contents() == rows
    other.close()
    page.get_by_role("list", name="What is asked for").get_by_role(
        "link", name=re.compile("host")
    ).click()
    assert page.locator(".what > a").count() > 1


def test_a_bar_leads_to_its_time(context: BrowserContext) -> None:
    """The chart is a set of links with names."""
    page = context.new_page()
    page.goto("/incidents")
    bar = page.locator("svg.bars a").last
    count = int(re.search(r": (\d+) incident", bar.get_attribute("aria-label"))[1])
    bar.click()
    expect(page).to_have_url(re.compile("since=.*until="))
    assert page.locator(".what > a").count() == count


def test_commands_are_copied(browser: Browser, address: str) -> None:
    """A click puts the command on the clipboard and says so."""
    context = browser.new_context(
        base_url=address, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    row = founding(page)
    page.goto(f"/incidents/{row['id']}")
    button = (
        page.get_by_role("listitem")
        .filter(has_text="oopswatch incidents show")
        .first.get_by_role("button")
    )
    button.click()
    expect(button).to_have_text("Copied")
    assert re.fullmatch(
        rf"oopswatch incidents show {row['id']} --store /\S+/history\.db",
        page.evaluate("navigator.clipboard.readText()"),
    )
    context.close()


def test_everything_works_without_javascript(browser: Browser, address: str) -> None:
    """Find, read, note, filter, change the theme: by links and forms alone."""
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("row").filter(has_text=fleet.HOST).first.get_by_role("link").first.click()
    expect(page.locator("#instruction")).to_have_text("ldr x3, [x19, #0x30]")
    page.get_by_label("Reason or note").fill("seen without script")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator("#history")).to_contain_text("seen without script")
    page.get_by_role("link", name="dark").click()
    expect(page.locator("html")).to_have_class("dark")
    page.get_by_role("searchbox", name="Search the evidence of incidents").fill("inet_diag*")
    page.get_by_role("button", name="Search").first.click()
    expect(page.locator(".what > a").first).to_be_visible()
    context.close()


def test_the_keyboard_reaches_everything(context: BrowserContext) -> None:
    """The first stop skips to the content; every link, field and button is a stop, in the order of
    the page, and its focus can be seen.
    """
    page = context.new_page()
    page.goto(f"/incidents/{founding(page)['id']}")
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    wanted = page.evaluate(
        "() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), "
        "textarea, select, summary')]"
        ".filter(one => one.checkVisibility()).map((one, number) => { one.dataset.stop = "
        "number; return number })"
    )
    stops = []
    for _ in range(len(wanted)):
        stop, seen = page.evaluate(
            "() => { const one = document.activeElement, style = getComputedStyle(one);"
            " return [Number(one.dataset.stop), style.outlineStyle !== 'none' && "
            "parseFloat(style.outlineWidth) >= 2] }"
        )
        assert seen, stop
        stops.append(stop)
        page.keyboard.press("Tab")
    assert stops == wanted
    page.goto("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_keys_go_to_the_search_and_along_the_rows(context: BrowserContext) -> None:
    """`/` is the search, `j` and `k` the rows; in a field they are letters."""
    page = context.new_page()
    page.goto("/faults")
    rows = page.locator("table.rows .what > a")
    for key, row in (("j", 0), ("j", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        expect(rows.nth(row)).to_be_focused()
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("j/k")
    expect(search).to_have_value("j/k")
    page.locator("time").first.hover()
    expect(page.locator("time").first).to_have_attribute("title", re.compile("here$"))


def test_on_a_telephone_what_is_long_is_folded_and_acts_are_in_reach(
    browser: Browser, address: str
) -> None:
    """Registers and the report are folded and open at a touch; the way to the acts is on the first
    screen.
    """
    context = browser.new_context(base_url=address, viewport=PHONE, has_touch=True)
    page = context.new_page()
    page.goto(f"/incidents/{founding(page)['id']}")
    registers = page.locator("dl.registers")
    expect(registers).to_be_hidden()
    expect(page.locator("#report")).to_be_hidden()
    page.get_by_text("Registers", exact=True).tap()
    expect(registers).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    act = page.get_by_role("link", name="Act", exact=True)
    expect(act).to_be_in_viewport()
    act.tap()
    expect(page.get_by_label("Reason or note")).to_be_in_viewport()
    context.close()


def test_selected_incidents_are_acknowledged_by_keyboard(context: BrowserContext) -> None:
    """`j` to a row, `x` selects it, `a` goes to the act, Enter does it; the page says so and
    stays where it was; loaded again, it no longer says so.
    """
    page = context.new_page()
    page.goto("/incidents?state=open")
    rows = page.locator(".what > a")
    chosen = [rows.nth(place).get_attribute("href") for place in (3, 4)]
    expect(page.get_by_role("button", name="Acknowledge")).to_be_hidden()
    for key in "jjjjxjx":
        page.keyboard.press(key)
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Acknowledge")).to_be_focused()
    place = page.evaluate("scrollY")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("2 incidents acknowledged.")
    expect(page.get_by_role("status")).to_be_in_viewport()
    assert abs(page.evaluate("scrollY") - place) < 5
    for link in chosen:
        expect(page.locator(f'.what > a[href="{link}"]')).to_have_count(0)
    expect(page).to_have_url(re.compile(r"state=open$"))


def test_by_thumb_two_are_set_side_by_side_and_silenced(browser: Browser, address: str) -> None:
    """Two touches select, a third acts; the bar is within reach wherever the list is."""
    context = browser.new_context(base_url=address, viewport=PHONE, has_touch=True)
    page = context.new_page()
    page.goto("/incidents")
    boxes = page.locator(".pick label")
    for place in (1, 2):
        boxes.nth(place).tap()
    compare = page.get_by_role("button", name="Compare two")
    expect(compare).to_be_in_viewport()
    compare.tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("Two incidents")
    page.go_back()
    expect(page.locator(".pick :checked")).to_have_count(2)
    page.get_by_role("button", name="Silence…").tap()
    page.get_by_label("Why").fill("a rollout")
    page.get_by_role("button", name="Silence", exact=True).tap()
    expect(page.get_by_role("status")).to_have_text("Silenced.")
    assert page.get_by_role("row").filter(has_text="a rollout").count() in {1, 2}
    for _ in page.get_by_role("button", name="End now").all():
        page.get_by_role("button", name="End now").first.tap()
    context.close()


def test_after_an_act_the_page_stays_where_it_was(browser: Browser, address: str) -> None:
    """On a telephone: the note is kept, what was done is seen, and the place is the same."""
    context = browser.new_context(base_url=address, viewport=PHONE, has_touch=True)
    page = context.new_page()
    page.goto(f"/incidents/{founding(page)['id']}")
    page.get_by_role("link", name="Act", exact=True).tap()
    page.get_by_label("Reason or note").fill("first line\nsecond line")
    place = page.evaluate("scrollY")
    page.get_by_role("button", name="Add note").tap()
    expect(page.get_by_role("status")).to_have_text("The note is kept.")
    expect(page.get_by_role("status")).to_be_in_viewport()
    assert abs(page.evaluate("scrollY") - place) < 80
    assert page.locator("#history .written").last.inner_text() == "first line\nsecond line"
    context.close()


def test_an_incident_prints(context: BrowserContext, tmp_path: Path) -> None:
    """On paper: dark on white whatever the theme, no navigation and no forms, the evidence and the
    explanation.
    """
    page = context.new_page()
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(f"/incidents/{founding(page)['id']}")
    for gone in (".top", "footer", "form", ".skip"):
        assert not page.locator(gone).first.is_visible(), gone
    expect(page.locator("#instruction")).to_be_visible()
    colours = page.evaluate(
        "() => [getComputedStyle(document.body).backgroundColor, "
        "getComputedStyle(document.body).color]"
    )
    assert colours[0] == "rgb(255, 255, 255)"
    assert colours[1] == "rgb(27, 29, 33)"
    printed = page.pdf(path=tmp_path / "incident.pdf")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") <= 8


def test_no_page_has_an_obstacle_or_is_too_wide(
    browser: Browser, address: str, images: Path
) -> None:
    """axe-core finds nothing on any page in either theme; no page is wider than the screen; what
    is touched is at least 24 px wide and high; some pages are kept as pictures.
    """
    context = browser.new_context(base_url=address, color_scheme="light", viewport=DESKTOP)
    page = context.new_page()
    for name, path in every_page(page).items():
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"], name
        for theme, rules in (("light", None), ("dark", COLOUR_RULES)):
            no_obstacle(page, f"{name}-{theme}", images, rules)
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="light")
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        assert page.evaluate(SMALL_TARGETS) == [], name
        colours = COLOUR_RULES if name in ON_PHONE_ALONE else []
        for theme, rules in (("light", [*LAYOUT_RULES, *colours]), ("dark", colours)):
            no_obstacle(page, f"{name}-{theme}-phone", images, rules)
    context.close()


def no_obstacle(page: Page, place: str, images: Path, rules: list[str] | None) -> None:
    """Asks axe-core by some rules, by all where none are given; keeps the picture where it is one
    of the README.
    """
    page.emulate_media(color_scheme="dark" if "-dark" in place else "light")
    if rules != []:
        options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
        found = Axe().run(page, options=options)
        assert found.violations_count == 0, f"{place}: {found.generate_report()}"
    if place in KEPT:
        assert len(page.screenshot(path=images / f"{place}.png")) <= KEPT_BYTES, place
