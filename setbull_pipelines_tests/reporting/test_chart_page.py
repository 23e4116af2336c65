"""The chart of a stock as a document, and in a real browser: one start of it for everything that is looked at."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setbull_pipelines.reporting.chart_page import html_chart
from setbull_pipelines.reporting.stock_chart import DAY, FIVE_MINUTES, Bars, Session
from setbull_pipelines_tests.reporting.browser import Page, browsing, chromium
from setbull_pipelines_tests.reporting.conftest import HOSTILE
from setbull_pipelines_tests.reporting.hand_made_chart import DAYS, LAST, SYMBOL, bars, stock_chart

DESK, PHONE = (1280, 800), (390, 844)
APART = "V2 \N{MINUS SIGN} V1"


class Elements(HTMLParser):
    """Every element with its attributes, and the text outside of scripts and styles."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._inside = "", ""
        self.feed(document)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        self._inside = tag
        self.text += " " if tag in ("td", "th") else ""

    def handle_data(self, text: str) -> None:
        self.text += "" if self._inside in ("script", "style") else text


def words(document: str) -> str:
    return " ".join(Elements(document).text.split())


def test_nothing_is_loaded_and_only_the_scripts_inside_may_run() -> None:
    document = html_chart(stock_chart())
    elements = Elements(document).found
    assert not [tag for tag, _ in elements if tag in ("link", "iframe", "img", "object")]
    assert not [found for _, found in elements if "src" in found or "srcset" in found]
    (policy,) = [
        found["content"]
        for tag, found in elements
        if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split(";")[1]
    outside = {
        found["href"]
        for tag, found in elements
        if tag == "a" and found["href"].startswith(("http:", "https:"))
    }
    assert outside == {"https://www.tradingview.com/"}
    assert html_chart(stock_chart()) == document


def test_a_difference_is_the_first_thing_that_is_said_and_agreement_is_said_too() -> None:
    differs, agrees = (words(html_chart(stock_chart(factor))) for factor in (1.005, 1.0))
    assert differs.index("V2 differs from V1") < differs.index("Indicators")
    assert (
        f"RSI Daily: {len(DAYS) - 4} of {len(DAYS)} bars since {DAYS[4]}, by up to 0.295 (0.498 %)"
        in differs
    )
    assert "V2 differs" not in agrees
    assert f"Daily: V1 and V2 agree in all {len(DAYS) * 19} cells of {len(DAYS)} bars." in agrees


def test_sessions_lead_to_their_report_and_to_what_diverged() -> None:
    document = html_chart(stock_chart(1.005))
    links = [found["href"] for tag, found in Elements(document).found if tag == "a"]
    for day in DAYS[-2:]:
        assert f"{day}.html#{SYMBOL}" in links
        assert f"indicators_daily-{day}.html" in links
    assert links[1] == "index.html"
    text = words(document)
    assert f"{LAST} bullish all stages passed diverged indicators_daily shadow, V1 10, V2" in text
    assert "7 1" in text[text.index("10, V2") :]
    assert f"Corporate actions: {DAYS[10]} split 5." in text


def test_text_from_data_stays_text() -> None:
    chart = replace(
        stock_chart(),
        symbol=HOSTILE,
        name=HOSTILE,
        sessions=[Session(LAST, "rejected", HOSTILE)],
        notes=[HOSTILE],
    )
    parsed = Elements(html_chart(chart))
    assert not [tag for tag, found in parsed.found if tag == "img" or "onerror" in found]
    assert sum(tag == "script" for tag, _ in parsed.found) == 3
    assert parsed.text.count(HOSTILE) == 6


def test_a_range_without_bars_of_five_minutes_has_days_alone() -> None:
    nothing = bars(FIVE_MINUTES).iloc[:0]
    chart = stock_chart()
    days = replace(chart, bars=chart.bars | {FIVE_MINUTES: Bars(nothing, nothing)})
    assert "5 minutes: V1 and V2 have no bar in common: nothing was compared." in words(
        html_chart(days)
    )


def legend(page: Page) -> str:
    return page.run("document.getElementById('legend').innerText")


def pixels(page: Page, colour: str) -> int:
    """How many pixels of the visible part have the colour of a variable of the style."""
    wanted = page.run(f"drawing.colour({colour!r})")
    shade = np.array([int(part) for part in re.findall(r"\d+", wanted)[:3]])
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    return int((np.abs(picture - shade).max(axis=2) < 8).sum())


@pytest.mark.run
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    executable = chromium()
    if executable is None:
        pytest.skip("no browser: install Debian's chromium, or name one in SETBULL_CHROMIUM")
    path, same = tmp_path / "chart.html", tmp_path / "same.html"
    path.write_text(html_chart(stock_chart(1.005)), encoding="utf-8")
    same.write_text(html_chart(stock_chart()), encoding="utf-8")
    with browsing(executable, tmp_path / "profile") as page:
        page.prefer("light")
        page.size(*DESK)
        _opens_and_asks_nobody(page, path)
        _shows_the_difference(page)
        _goes_by_keyboard(page)
        _shows_what_is_chosen(page)
        _adjusts_prices(page)
        _fits_a_phone_and_the_dark(page, path)
        _shows_no_difference_where_there_is_none(page, same)
        thrown = [each for each in page.events if each.get("method") == "Runtime.exceptionThrown"]
    assert thrown == []


def _opens_and_asks_nobody(page: Page, path: Path) -> None:
    page.open(path)
    bad = ("Runtime.exceptionThrown", "Log.entryAdded")
    assert not [event for event in page.events if event.get("method") in bad]
    asked = {
        event["params"]["request"]["url"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent"
    }
    assert asked == {path.as_uri()}
    named = "document.querySelectorAll('main, nav[aria-label], header, footer').length"
    assert page.run(named) == 4
    assert page.run("document.getElementById('chart').getAttribute('aria-label')").startswith(
        f"Daily candles of {SYMBOL}"
    )


def _shows_the_difference(page: Page) -> None:
    assert page.run("document.getElementById('compare').value") == "rsi"
    assert f"V1 50.0000, V2 50.2500: {APART} = 0.25" in legend(page)
    assert pixels(page, "bad") > 5000, "the columns of the difference are seen without scrolling"
    page.click(f".differs[data-frame='{FIVE_MINUTES}']")
    page.press("End")
    assert legend(page).startswith(f"{LAST} 15:25 open 248.50, high 250.00, low 248.00")
    assert f"{APART} = 0.245" in legend(page)
    assert page.run("document.activeElement.id") == "chart"
    assert page.run("location.hash").startswith(f"#frame={FIVE_MINUTES}&indicators=bands,")


def _goes_by_keyboard(page: Page) -> None:
    shown = "[...document.querySelectorAll('#strip .row')].map(row => row.innerText.trim())"
    page.press("ArrowLeft")
    assert legend(page).startswith(f"{LAST} 15:20 open 247.50")
    page.press("ArrowRight")
    assert legend(page).startswith(f"{LAST} 15:25")
    page.press("+", "+", "+", "+")
    assert page.becomes(f"{shown}[0].includes('bullish')")
    for _ in range(80):
        page.press("ArrowLeft")
    assert legend(page).startswith(f"{DAYS[-2]} "), "the view follows the cursor"
    page.press("0")
    assert page.becomes(f"{shown}[5].includes('7 missing, 1 quarantined')")
    rows = page.run(shown)
    assert [row.split("\n")[0] for row in rows] == [
        *("verdict", "V1 = V2?", "aggregation", "indicators", "sequences", "minutes")
    ]
    assert "diverged" in rows[1]
    assert "10, V2 is served" in rows[3]
    of_session = "document.getElementById('of-session').innerText"
    assert "difference of indicators_daily" in page.run(of_session)


def _shows_what_is_chosen(page: Page) -> None:
    page.click("#frames [data-frame=day]")
    assert "ATR" not in legend(page)
    page.click("#choices summary")
    page.click("#choices input[value=atr]")
    page.click("#choices input[value=bands]")
    assert "ATR" in legend(page)
    assert "BB upper" not in legend(page)
    page.click("#bars summary")
    assert page.becomes("document.querySelector('#bars-table tbody tr')")
    heads = page.run("[...document.querySelectorAll('#bars-table thead th')].map(c => c.innerText)")
    assert heads[:2] == ["Bar", "Open [rupees]"]
    assert "ATR [rupees]" in heads
    last = page.run("document.querySelector('#bars-table tbody tr:last-child').innerText")
    assert last.split()[:5] == [f"{LAST}", "129.50", "131.00", "129.00", "130.00"]


def _adjusts_prices(page: Page) -> None:
    """Before the split at a fifth of the price that is stored, with five times the volume."""
    first = "document.querySelector('#bars-table tbody tr').innerText"
    adjusted = page.run(first).split()
    page.click("#adjusted")
    stored = page.run(first).split()
    assert (stored[0], stored[4], stored[5]) == (f"{DAYS[0]}", "100.00", "1,000")
    assert (adjusted[4], adjusted[5]) == ("20.00", "5,000")


def _fits_a_phone_and_the_dark(page: Page, path: Path) -> None:
    page.size(*PHONE, mobile=True)
    page.prefer("dark")
    page.open(path)
    assert page.run("document.documentElement.scrollWidth") == PHONE[0]
    box = page.run("document.getElementById('chart').getBoundingClientRect().toJSON()")
    assert 0 <= box["left"] < box["right"] <= PHONE[0]
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    assert np.asarray(picture).mean() < 90
    page.prefer("light")
    page.size(*DESK)


def _shows_no_difference_where_there_is_none(page: Page, path: Path) -> None:
    page.open(path)
    assert page.run("document.getElementById('compare').value") == ""
    page.run(
        """(() => { const chosen = document.getElementById("compare"); chosen.value = "rsi";
                    chosen.dispatchEvent(new Event("change")); })()"""
    )
    assert "V1 50.0000, V2 50.0000: equal" in legend(page)
    assert page.run("location.hash").endswith("compare=rsi")
    assert DAY in page.run("location.hash")
