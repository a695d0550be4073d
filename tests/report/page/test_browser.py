"""The page in a real browser: it loads nothing, fits a phone, works by keyboard, and can be read in the dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import BEFORE, BUSY, page_of, page_of_plan
from plans import plan_of
from playwright.sync_api import Browser, Page, sync_playwright
from reported import EVIL
from tools import needs

SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
)
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
CONTRAST = """() => {
  const channels = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = color => channels(color)
    .map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const back = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll('svg.picture text')].map(text => {
    const fill = light(getComputedStyle(text).fill);
    return (Math.max(fill, back) + 0.05) / (Math.min(fill, back) + 0.05);
  });
}"""
"""The contrast of each text of the picture with the page; axe-core does not look at text in SVG."""
COVERED = """() => [...document.querySelectorAll('svg.picture')].flatMap(picture => {
  const boxes = [...picture.querySelectorAll('text')].map(text => text.getBBox());
  return boxes.filter((one, i) => boxes.some((other, j) => i < j
    && one.x < other.x + other.width && other.x < one.x + one.width
    && one.y < other.y + other.height - 2 && other.y < one.y + one.height - 2)).length;
})"""
"""The number of labels in each picture that other labels cover, as the browser lays out the font."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = needs("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*SWITCHES])
        yield browser
        browser.close()


@pytest.fixture(params=[(PHONE, "dark"), (DESKTOP, "light")], ids=["phone, dark", "desktop, light"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page of a comparison; the test fails if anything is requested, or goes wrong in the page."""
    viewport, scheme = request.param
    context = browser.new_context(offline=True, viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    page.on("request", lambda request: wrong.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.set_content(page_of(BUSY, BEFORE))
    yield page
    assert wrong == []
    context.close()


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")


def test_nothing_scrolls_sideways_but_boxes_of_their_own(page):
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("innerWidth") == page.viewport_size["width"]
    assert page.evaluate(COVERED) == [0, 0]


def test_hostile_names_and_texts_stay_in_their_place(page):
    name = f"{EVIL} {'x' * 300}"
    task = {"queue": name, "owner": name}
    plan = plan_of(
        {"app": {"broker_transport": "redis"}, f"task:{name}": task, f"queue:{name}": {"workers": []}}
    )
    page.set_content(page_of_plan(plan))
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_keyboard_skips_to_the_content_and_opens_details(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.parentElement.id") == "worker:orders":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    assert page.locator("#worker\\:orders").get_attribute("open") is not None
    assert outline == "solid"
    assert "The workload pins it" in page.locator("#worker\\:orders").inner_text()


def test_a_link_of_the_picture_leads_to_the_section_by_keyboard(page):
    page.locator(".picture a[href='#worker:slow']").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#worker:slow"
    assert page.evaluate("document.querySelector(':target').id") == "worker:slow"


def test_axe_finds_nothing_and_the_picture_can_be_read(page):
    open_all(page)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert min(page.evaluate(CONTRAST)) >= 4.5


def test_a_reader_hears_sections_and_tables(page):
    heard = page.locator("body").aria_snapshot()
    for part in (
        'region "Changes"',
        'heading "Workers" [level=2]',
        'navigation "Contents"',
        'columnheader "pool"',
    ):
        assert part in heard
