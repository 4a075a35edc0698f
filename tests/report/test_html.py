"""The page in a real browser: offline, readable on a phone and at night, safe from its own content."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from harness.report.html import render_html, write_html
from tests.report import samples
from tests.report.samples import Sample
from tests.requires import require_tool

KINDS = ("passing", "failing", "inconclusive", "baseline_unmet", "hostile")
WIDTHS = (390, 1280)
PAGE_LIMIT = 1_000_000

CONTRASTS = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require_tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, sample_of: dict[str, Sample]) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    written = {}
    for kind in KINDS:
        written[kind] = folder / f"{kind}.html"
        written[kind].write_text(render_html(sample_of[kind].judgement), encoding="utf-8")
    return written


class Opened:
    """A page with the network cut, that remembers what it complained of and what it asked for."""

    def __init__(self, browser: Browser, path: Path, width: int, scheme: str) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            offline=True,
        )
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_asked_for_nothing_complains_nothing_overflows(
    browser: Browser, pages: dict[str, Path], kind: str, width: int
) -> None:
    with Opened(browser, pages[kind], width, "light") as opened:
        opened.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        widths = opened.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert widths[0] <= widths[1] == width
        assert opened.complaints == []
        assert opened.requests == [pages[kind].as_uri()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, pages: dict[str, Path], kind: str, scheme: str) -> None:
    with Opened(browser, pages[kind], 1280, scheme) as opened:
        opened.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        poor = [each for each in opened.page.evaluate(CONTRASTS) if each[0] < 4.5]
        assert poor == []


def test_dark_is_dark_and_light_is_light(browser: Browser, pages: dict[str, Path]) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        with Opened(browser, pages["passing"], 1280, scheme) as opened:
            colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
            shades[scheme] = sum(int(part) for part in re.findall(r"\d+", colour))
    assert shades["light"] > 700 and shades["dark"] < 100


def test_it_prints_dark_on_white_whatever_the_scheme(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["failing"], 760, "dark") as opened:
        opened.page.emulate_media(media="print", color_scheme="dark")
        assert [each for each in opened.page.evaluate(CONTRASTS) if each[0] < 4.5] == []
        assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_hostile_names_are_text(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["hostile"], 1280, "light") as opened:
        assert opened.page.locator("img").count() == 0
        assert opened.page.locator("script").count() == 2, "our data and our script"
        assert "<script>alert(1)</script>" in opened.page.locator("body").inner_text()
        assert "\x1b" not in opened.page.content()


@pytest.mark.parametrize("width", WIDTHS)
def test_charts_faults_and_phases_stand_on_one_axis(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    with Opened(browser, pages["failing"], width, "light") as opened:
        page = opened.page
        assert page.locator(".chart svg").count() == 5
        plots = page.locator(".row .plot").evaluate_all(
            "all => all.map(each => [each.getBoundingClientRect().left, each.getBoundingClientRect().right])"
        )
        assert len({(round(left), round(right)) for left, right in plots}) == 1
        bar = page.locator(".fault .bar").first.bounding_box()
        shade = page.locator(".shade").first.bounding_box()
        assert bar is not None and shade is not None
        assert abs(bar["x"] - shade["x"]) < 1.5 and abs(bar["width"] - shade["width"]) < 1.5
        labels = page.locator(".chart .plot").evaluate_all("all => all.map(each => each.ariaLabel)")
        assert labels[0].startswith("Taken by providers: primary at most ")


def test_the_verdict_comes_first_and_the_worst_story_is_open(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with Opened(browser, pages["failing"], 1280, "light") as opened:
        page = opened.page
        assert page.locator("h1").inner_text() == "FAIL"
        said = page.locator(".headline").inner_text()
        assert said.startswith("6 of 325 messages arrived twice; detected in 8.1\u00a0s")
        story = page.locator(".finding[open] .story[open]").first
        assert "takes copy 2" in story.inner_text()
        assert "auth-failure on primary" in story.inner_text()
        assert page.locator(".finding[open]").count() == 2, "what passed is folded"


def test_values_are_read_with_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["passing"], 1280, "light") as opened:
        page = opened.page
        page.locator("#strip").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#moment").inner_text() == "+0.0 s"
        assert page.locator("[data-key=arrived] output").first.inner_text() == "5/s"
        page.keyboard.press("Escape")
        assert page.locator("#moment").inner_text() == "from the end of the baseline"


def test_a_run_without_a_storm_says_so(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["baseline_unmet"], 390, "light") as opened:
        text = opened.page.locator("main").inner_text()
        assert "The storm was never entered" in text and "Nothing was judged." in text
        assert "exited with code 1" in opened.page.locator("header").inner_text()


def test_the_page_forbids_itself_the_network(pages: dict[str, Path]) -> None:
    page = pages["hostile"].read_text(encoding="utf-8")
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.replace("src=http://evil.test/x", ""))


def test_a_long_run_is_a_small_page(browser: Browser, tmp_path: Path) -> None:
    sample = samples.big(tmp_path)
    assert len(sample.events) > 60_000
    path = write_html(sample.judgement)
    assert path == sample.judgement.run_dir / "report.html"
    assert path.stat().st_size < PAGE_LIMIT / 4
    with Opened(browser, path, 1280, "light") as opened:
        data = json.loads(opened.page.locator("#data").text_content() or "")
        assert max(len(values) for chart in data["charts"] for values in chart["values"]) < 1000
        assert opened.complaints == []
