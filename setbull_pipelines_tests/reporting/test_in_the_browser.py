"""The daily report in a real browser: clicked, typed in, by keyboard alone, dark, on a phone, on paper."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setbull_pipelines.reporting.content import Stored, ranked, stock_rows, top_rows
from setbull_pipelines.reporting.page import ABSENT, html_page
from setbull_pipelines_tests.reporting.browser import Page, browsing, chromium
from setbull_pipelines_tests.reporting.conftest import spoiled

pytestmark = pytest.mark.run

PHONE = (390, 844)
DESK = (1400, 1000)


@pytest.fixture(scope="module")
def report(stored: Stored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "2026-06-30.html"
    path.write_text(html_page(stored, "x"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    executable = chromium()
    if executable is None:
        pytest.skip("no browser: install Debian's chromium, or name one in SETBULL_CHROMIUM")
    with browsing(executable, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: Page, report: Path) -> Page:
    """The report as freshly opened at a desk, in a light theme."""
    browser.size(*DESK)
    browser.prefer("light")
    browser.open(report)
    return browser


def symbols(page: Page, table: str) -> list[str]:
    """The symbols that a list shows, from top to bottom."""
    return page.run(
        f"""[...document.querySelectorAll("#{table} tbody tr")].filter(row => !row.hidden)
            .map(row => row.querySelector(".stock").textContent)"""
    )


def column(page: Page, table: str, name: str) -> list[str]:
    return page.run(
        f"""[...document.querySelectorAll("#{table} tbody [data-c={name}]")].map(c => c.textContent)"""
    )


def text(page: Page, selector: str) -> str:
    return page.run(f"document.querySelector({selector!r}).innerText")


def sort_button(name: str, table: str = "all") -> str:
    position = {"Symbol": 1, "Close": 5, "RSI": 8}[name]
    return f"#{table} thead th:nth-child({position}) .sort"


def colours(page: Page) -> np.ndarray:
    """The pixels of the chart."""
    box = page.run(
        "(({x, y, width, height}) => [x, y, x + width, y + height])"
        "(document.getElementById('chart').getBoundingClientRect())"
    )
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(picture.crop(tuple(map(int, box))))


def test_it_opens_without_an_error_and_asks_for_nothing_but_itself(
    page: Page, report: Path
) -> None:
    page.click("#bullish .stock, #bearish .stock")
    bad = ("Runtime.exceptionThrown", "Log.entryAdded")
    assert not [event for event in page.events if event.get("method") in bad]
    asked = {
        event["params"]["request"]["url"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent"
    }
    assert asked == {report.as_uri()}


def test_the_browser_refuses_what_the_page_does_not_allow(page: Page) -> None:
    assert page.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    page.run(
        """(() => { const script = document.createElement("script");
                    script.textContent = "window.ran = 1"; document.body.append(script); })()"""
    )
    assert page.run("window.ran === undefined")


def test_a_click_on_a_heading_sorts_by_number_and_back(page: Page, stored: Stored) -> None:
    page.click("#all-details summary")
    by_symbol = symbols(page, "all")
    assert by_symbol == sorted(by_symbol)
    page.click(sort_button("Close"))
    closes = [
        float(value.replace(",", "")) for value in column(page, "all", "close") if value != ABSENT
    ]
    assert closes == sorted(round(close, 2) for close in stored.filter_results["close"].dropna())
    assert page.run("document.querySelectorAll('#all [aria-sort=ascending]').length") == 1
    page.click(sort_button("Close"))
    again = [
        float(value.replace(",", "")) for value in column(page, "all", "close") if value != ABSENT
    ]
    assert again == closes[::-1]
    assert sorted(symbols(page, "all")) == by_symbol


def test_missing_numbers_are_last_either_way(page: Page, stored: Stored) -> None:
    missing = int(stored.filter_results["rsi"].isna().sum())
    assert missing, "the sample has instruments without an RSI"
    page.click("#all-details summary")
    for _ in range(2):
        page.click(sort_button("RSI"))
        values = column(page, "all", "rsi")
        assert values[-missing:] == [ABSENT] * missing
        assert ABSENT not in values[:-missing]


def test_the_monitor_opens_and_lists_every_stock_with_its_sessions(
    page: Page, stored: Stored
) -> None:
    page.click("#monitor-details summary")
    distances = [
        float(value.replace(",", ""))
        for value in column(page, "monitor", "distance_from_lowest_percent")
        if value != ABSENT
    ]
    assert distances == sorted(distances)
    assert len(symbols(page, "monitor")) == len(stored.bb_width_alerts)
    drawn = "[...document.querySelectorAll('#monitor polyline')].map(e => e.getBoundingClientRect().width)"
    assert page.run(f"{drawn}.length") == stored.bb_width_daily["instrument_key"].nunique()
    assert page.run(f"Math.min(...{drawn})") > 50


def test_search_narrows_the_list_and_says_so(page: Page, stored: Stored) -> None:
    page.click("#all-details summary")
    page.click("input[data-for=all]")
    rows = stock_rows(stored)
    page.press(*rows["symbol"].iloc[3].lower())
    assert symbols(page, "all") == [rows["symbol"].iloc[3]]
    assert text(page, "output[data-count=all]") == f"1 of {len(rows)} stocks"


def test_the_funnel_leads_to_the_stocks_that_a_stage_stopped(page: Page, stored: Stored) -> None:
    page.click(".why[data-stage=basic]")
    results = stored.filter_results
    stopped = set(results.loc[results["stopped_at"] == "basic", "instrument_key"])
    shown = page.run(
        "[...document.querySelectorAll('#all tbody tr:not([hidden])')].map(r => r.dataset.key)"
    )
    assert set(shown) == stopped
    assert page.run("document.getElementById('all-details').open")
    page.click("#stage-filter button")
    assert len(symbols(page, "all")) == len(results)


def test_the_page_of_a_stock_has_chart_reasons_and_metrics(page: Page, stored: Stored) -> None:
    page.click("#all-details summary")
    first = ranked(stock_rows(stored)).iloc[0]
    verdict = first["verdict"]
    page.click(f"#{verdict} .stock")
    assert text(page, "#stock-title").split() == [first["symbol"], verdict]
    # From a file there is no page to lead to.
    assert f"setbull chart '{first['symbol']}' --to {stored.day}" in text(page, "#longer")
    for stage in ("basic", "ema", "rsi", "mamba"):
        assert first[f"{stage}_reason"] in text(page, "#stages")
    analysis = stored.sequence_analysis.set_index("instrument_key").loc[first["instrument_key"]]
    assert f"mamba days\n{analysis['mamba_days']}" in text(page, "#metrics")
    assert f"quality score\n{analysis['quality_score']:.3f}" in text(page, "#metrics")
    is_shown = "yes" if analysis["run_on_volume"] else "no"
    assert f"run on volume\n{is_shown}" in text(page, "#metrics")
    assert page.run("document.querySelectorAll('#moves .mamba').length") == analysis["mamba_days"]
    assert f"close {first['close']:,.2f}" in text(page, "#legend")
    assert len(np.unique(colours(page).reshape(-1, 3), axis=0)) > 10
    page.click("[data-frame=minutes]")
    last = stored.candles_5min[stored.candles_5min["instrument_key"] == first["instrument_key"]]
    assert f"close {last['close'].iloc[-1]:,.2f}" in text(page, "#legend")
    assert f"{last['timestamp'].iloc[-1]:%H:%M}" in text(page, "#legend")


def test_a_stock_outside_the_profile_has_its_reason_and_says_that_it_has_no_chart(
    page: Page, stored: Stored
) -> None:
    results = stored.filter_results
    outside = results[results["stopped_at"] == "basic"].iloc[0]
    page.click("#all-details summary")
    page.click(f"#all tr[data-key='{outside['instrument_key']}'] .stock")
    assert outside["reason"] in text(page, "#stages")
    assert text(page, "#stages").count("not reached") == 3
    assert page.run("document.getElementById('chart-part').hidden")
    assert not page.run("document.getElementById('no-chart').hidden")


def test_everything_can_be_done_by_keyboard(page: Page, stored: Stored) -> None:
    listed = top_rows(stock_rows(stored))["symbol"].tolist()
    assert len(listed) > 1, "the sample has two stocks that pass"
    for _ in range(60):
        page.press("Tab")
        if page.run("document.activeElement.classList.contains('stock')"):
            break
    assert text(page, ":focus") == listed[0]
    page.press("Enter")
    assert listed[0] in text(page, "#stock-title")
    page.press("PageDown")
    assert listed[1] in text(page, "#stock-title")
    page.press("PageUp")
    assert listed[0] in text(page, "#stock-title")
    for _ in range(10):
        page.press("Tab")
        if page.run("document.activeElement.id") == "chart":
            break
    latest = text(page, "#legend")
    page.press("ArrowLeft")
    before = text(page, "#legend")
    assert before[:10] < latest[:10]
    page.press("ArrowRight")
    assert text(page, "#legend") == latest
    page.press("Escape")
    assert not page.run("document.getElementById('stock').open")
    assert text(page, ":focus") == listed[0], "the focus is where it was"


def test_dark_follows_the_machine_and_the_button(page: Page) -> None:
    def background() -> int:
        shade = page.run("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", shade)))

    light = background()
    page.prefer("dark")
    dark = background()
    assert dark < 150 < 700 < light
    page.click("#theme")
    assert background() == light
    page.click("#theme")
    page.click("#bullish .stock, #bearish .stock")
    assert colours(page).mean() < 80, "the chart is dark too"


def test_a_phone_scrolls_lists_and_not_the_page(page: Page, report: Path) -> None:
    page.size(*PHONE, mobile=True)
    page.open(report)
    assert page.run("document.documentElement.scrollWidth") == PHONE[0]
    page.click(".why[data-stage=basic]")
    assert page.run("document.documentElement.scrollWidth") == PHONE[0]
    page.click("#bullish .stock, #bearish .stock")
    box = page.run("document.getElementById('chart').getBoundingClientRect().toJSON()")
    assert 0 <= box["left"] < box["right"] <= PHONE[0]
    assert page.run("document.getElementById('stock').scrollWidth") <= PHONE[0]


def test_paper_has_the_lists_and_no_controls(page: Page) -> None:
    assert page.pdf().startswith(b"%PDF")
    page.send("Emulation.setEmulatedMedia", media="print")
    hidden = "getComputedStyle(document.querySelector('{}')).display"
    for selector in ("nav", ".tools", ".why"):
        assert page.run(hidden.format(selector)) == "none", selector
    assert page.run(hidden.format("#bullish")) == "table"


def test_text_from_data_does_nothing(browser: Page, stored: Stored, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(html_page(spoiled(stored), "x"), encoding="utf-8")
    browser.size(*DESK)
    browser.open(path)
    browser.click("#bullish .stock, #bearish .stock")
    assert browser.run("window.hacked === undefined")
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert "<img src=x" in text(browser, "#stock-title")


def test_the_button_that_reaches_the_end_of_the_list_keeps_the_keyboard(page: Page) -> None:
    page.click("#top .stock")
    for _ in range(20):
        if page.run("document.getElementById('next').disabled"):
            break
        page.click("#next")
    last = text(page, "#stock-title")
    page.press("PageUp")
    assert text(page, "#stock-title") != last


def test_a_stock_has_an_address_that_opens_it(page: Page, stored: Stored) -> None:
    symbol = page.run("document.querySelector('.answer a').textContent")
    page.click(".answer a")
    assert page.becomes("document.getElementById('stock').open")
    assert text(page, "#stock-title").startswith(symbol)
    assert page.run("location.hash") == f"#{symbol}"
    page.press("Escape")
    assert page.becomes("!document.getElementById('stock').open && location.hash === ''")
    other = page.run("document.querySelector('#all tbody tr:last-child .stock').textContent")
    assert other != symbol
    page.run(f"location.hash = '#{other}'")
    assert page.becomes("document.getElementById('stock').open")
    assert text(page, "#stock-title").startswith(other)
