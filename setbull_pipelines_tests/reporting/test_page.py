"""The document: it says what is stored, it asks nobody, and text from data stays text."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from urllib.parse import unquote

import pandas as pd
import pytest

from benchmarks.pages import REPORT_MEGABYTES
from setbull_pipelines.reporting import page
from setbull_pipelines.reporting.content import Stored, mamba_day
from setbull_pipelines.reporting.document import CHART_LIBRARY
from setbull_pipelines.reporting.page import html_page, points
from setbull_pipelines.reporting.reading import IllegalReport, read_report
from setbull_pipelines.settings import SequenceSettings
from setbull_pipelines_tests.reporting.conftest import HOSTILE, spoiled

# SHA-256 of dist/lightweight-charts.standalone.production.js in the npm release 5.1.0 of TradingView.
RELEASED = "756b0ba9f58930226d6b8b9d47ad310448ab85d799ea1f7c2c02304777c10b52"


@pytest.fixture(scope="module")
def document(stored: Stored) -> str:
    return html_page(stored, "made-from-hash")


class Elements(HTMLParser):
    """Every element with its attributes, and the text of the document outside of scripts and styles."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._skips = False
        self.feed(document)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        self._skips = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skips = False

    def handle_data(self, text: str) -> None:
        self.text += "" if self._skips else text


def embedded(document: str) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', document)
    return json.loads(text)


def test_the_chart_script_is_the_released_one() -> None:
    package, path = CHART_LIBRARY
    assert hashlib.sha256((files(package) / path).read_bytes()).hexdigest() == RELEASED


def test_every_instrument_is_in_the_document_with_the_served_values(
    stored: Stored, document: str
) -> None:
    says = read_report(document).set_index("instrument_key")
    results = stored.filter_results.set_index("instrument_key")
    assert says.index.tolist() == results.index.tolist()
    for name in ("verdict", "stopped_at", "reason", "close", "average_volume", "rsi", "variant"):
        pd.testing.assert_series_equal(says[name], results[name], check_dtype=False)
    assert says["ema_deviation"].equals(results["ema_deviation"])
    assert set(embedded(document)["stocks"]) == set(results.index)


def test_the_counts_at_the_top_are_those_of_the_table(stored: Stored, document: str) -> None:
    text = " ".join(Elements(document).text.split())
    for verdict, count in stored.filter_results["verdict"].value_counts().items():
        assert f"{count} {verdict}" in text
    passed = (stored.filter_results["basic_passed"] == True).sum()  # noqa: E712
    assert f"basic: {passed} of {len(stored.filter_results)} pass" in text
    assert f"{len(stored.reconciliation)} pass tables of V1 against V2" in text


def test_nothing_is_loaded_and_only_the_scripts_inside_may_run(document: str) -> None:
    elements = Elements(document).found
    assert not [found for tag, found in elements if tag in ("link", "iframe", "img", "object")]
    assert not [found for _, found in elements if "src" in found or "srcset" in found]
    (policy,) = [
        found["content"]
        for tag, found in elements
        if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split(";")[1]
    assert "url(" not in document[: document.index("</style>")]
    links = {found["href"] for tag, found in elements if tag == "a"}
    # A data address holds its file in itself; the others are pages of the same folder.
    outside = {link for link in links if not link.startswith(("#", "data:text/"))}
    assert outside == {"https://www.tradingview.com/", "index.html"}


def test_links_inside_the_document_lead_somewhere(document: str) -> None:
    elements = Elements(document).found
    identifiers = [found["id"] for _, found in elements if "id" in found]
    assert len(identifiers) == len(set(identifiers))
    targets = {found["href"][1:] for tag, found in elements if tag == "a" and "#" in found["href"]}
    assert targets <= set(identifiers)


def test_text_from_data_stays_text(stored: Stored) -> None:
    hostile = html_page(spoiled(stored), "x")
    parsed = Elements(hostile)
    assert not [found for tag, found in parsed.found if tag == "img" or "onerror" in found]
    assert sum(tag == "script" for tag, _ in parsed.found) == 3
    assert parsed.text.count(HOSTILE) > len(stored.filter_results)
    stocks = embedded(hostile)["stocks"].values()
    assert {stock["symbol"] for stock in stocks} == {HOSTILE}
    assert len(read_report(hostile)) == len(stored.filter_results)


def test_the_same_rows_give_the_same_document(stored: Stored, document: str) -> None:
    assert html_page(stored, "made-from-hash") == document


def test_a_day_without_rows_is_a_document_that_says_so(stored: Stored) -> None:
    empty = {
        field.name: value.iloc[:0]
        for field in dataclasses.fields(Stored)
        if isinstance(value := getattr(stored, field.name), (pd.DataFrame, pd.Series))
    }
    empty |= {"bb_width_alerts": None, "variants": {}}
    document = html_page(dataclasses.replace(stored, **empty), "x")
    assert document.count("none on this day") == 4
    assert "not compared" in document
    assert read_report(document).empty


def test_band_width_alerts_have_a_section_only_where_they_are_stored(
    stored: Stored,
) -> None:
    assert 'id="widths"' not in html_page(dataclasses.replace(stored, bb_width_alerts=None), "x")
    keys = stored.filter_results["instrument_key"]
    bar = pd.Timestamp("2026-06-30 05:10", tz="UTC")
    alerts = pd.DataFrame(
        {
            "instrument_key": keys,
            "trading_day": pd.Timestamp(stored.day),
            "alert_rule": ["threshold", *[None] * (len(keys) - 2), "squeeze"],
            "alert_bar": [bar, *[pd.NaT] * (len(keys) - 2), bar],
            "bb_width": 1.5,
            "lowest_bb_width": 1.2,
            "lowest_bb_day": pd.Timestamp("2026-06-29"),
            "look_back_sessions": 20,
            "distance_from_lowest_percent": 25.0,
            "alert_bb_width": 1.2005,
            "alert_distance_percent": [-0.05, *[None] * (len(keys) - 2), 0.04321],
            "alerting_bands": 2,
            "candles_in_range": 0,
            "contracting_bands": 3,
            "bb_width_trend": "contracting",
            "pattern_strength": None,
            "variant": "v1",
        }
    )
    with_alerts = html_page(dataclasses.replace(stored, bb_width_alerts=alerts), "x")
    assert "Band-width alerts: 2" in with_alerts
    assert 'href="#widths-heading"' in with_alerts
    start, end = with_alerts.index('id="monitor"'), with_alerts.index('id="all-heading"')
    monitor = with_alerts[start:end]
    assert sorted(re.findall(r'data-key="([^"]+)"', monitor)) == sorted(keys)
    assert monitor.count("<polyline points=") == stored.bb_width_daily["instrument_key"].nunique()
    section = with_alerts[with_alerts.index('id="widths"') : start]
    assert re.findall(r'data-key="([^"]+)"', section) == [keys.iloc[-1], keys.iloc[0]]
    assert section.count('data-c="alert_time">10:40</td>') == 2
    assert section.count('data-v="0.04321" data-c="alert_distance_percent">0.04</td>') == 1
    assert section.count('data-c="distance_from_lowest_percent">25.00</td>') == 2
    none = html_page(dataclasses.replace(stored, bb_width_alerts=alerts.iloc[1:-1]), "x")
    assert "Band-width alerts: 0" in none


def test_a_history_is_a_line_from_the_first_session_to_the_last_above_zero() -> None:
    assert points([1.0, 2.0, 0.5]) == "0.0,10.0 50.0,0.0 100.0,15.0"
    assert points([3.0]) == "0.0,0.0"


def test_a_number_that_is_not_shown_as_it_is_cannot_be_read(document: str) -> None:
    cell = re.search(r'data-v="([0-9.]+)" data-c="close">([0-9.,]+)<', document)
    wrong = document.replace(cell[0], cell[0].replace(f">{cell[2]}<", ">9.99<"))
    with pytest.raises(IllegalReport, match=r"found close '9.99' beside"):
        read_report(wrong)


def test_the_lists_cannot_say_different_things(document: str) -> None:
    mark = 'data-c="mamba_count">'
    start = document.index(mark, document.index('id="top"')) + len(mark)
    wrong = document[:start] + "1" + document[start:]
    with pytest.raises(IllegalReport, match=r"table top, .*: found other mamba_count than in"):
        read_report(wrong)


def test_an_instrument_cannot_be_listed_twice(document: str) -> None:
    start = document.index('<tr data-key="', document.index('id="all"'))
    row = document[start : document.index("</tr>", start) + 5]
    with pytest.raises(IllegalReport, match="two rows in one list"):
        read_report(document.replace(row, row * 2))


def with_earlier(stored: Stored) -> tuple[Stored, str, str]:
    """A day after one on which another stock passed; the symbols of one that is new and of the one that dropped."""
    rows = page.stock_rows(stored)
    passed = rows["verdict"].isin(["bullish", "bearish"])
    new, dropped = rows[passed].iloc[0], rows[~passed].iloc[0]
    verdicts = rows[passed].set_index("instrument_key")["verdict"].to_dict()
    verdicts.pop(new["instrument_key"])
    earlier = {"2026-06-26": {}, "2026-06-29": verdicts | {dropped["instrument_key"]: "bullish"}}
    return dataclasses.replace(stored, earlier=earlier), new["symbol"], dropped["symbol"]


def test_the_answer_comes_first_with_who_is_new_and_who_dropped(stored: Stored) -> None:
    changed, new, dropped = with_earlier(stored)
    document = html_page(changed, "x")
    answer = document[document.index("answer-heading") : document.index('class="cards"')]
    passed = stored.filter_results["verdict"].isin(["bullish", "bearish"]).sum()
    text = " ".join(Elements("<p " + answer).text.split())
    assert f"{passed} of {len(stored.filter_results)} stocks passed: 1 new, 1 dropped since" in text
    assert f"{new} new" in text
    assert f"{dropped} was bullish: " in text
    assert "2nd day" in text
    assert document.index("answer-heading") < document.index("funnel-heading")
    assert "No earlier session is stored" in html_page(stored, "x")


def test_every_stock_has_an_address(stored: Stored, document: str) -> None:
    rows, key = {}, None
    for tag, found in Elements(document).found:
        if tag == "tr":
            key = found.get("data-key")
        elif tag == "th" and "id" in found:
            rows[found["id"]] = key
    names = page.stock_rows(stored).set_index("symbol")["instrument_key"].to_dict()
    assert rows == names
    twins = stored.instruments.copy()
    twins.loc[twins.index[:2], "symbol"] = "TWIN"
    addresses = page.addresses(page.stock_rows(dataclasses.replace(stored, instruments=twins)))
    assert addresses.is_unique
    assert "TWIN" not in set(addresses)


def test_the_lists_can_be_taken_along(stored: Stored, document: str) -> None:
    files_of = {
        found["download"]: unquote(found["href"].partition(",")[2])
        for tag, found in Elements(document).found
        if tag == "a" and "download" in found
    }
    rows = page.ranked(page.stock_rows(stored))
    assert len(rows)
    for verdict, listed in rows.groupby("verdict", observed=True):
        table = pd.read_csv(io.StringIO(files_of[f"{verdict}-{stored.day}.csv"]))
        assert table["instrument_key"].tolist() == listed["instrument_key"].tolist()
        assert table["close"].tolist() == listed["close"].tolist()
        watched = files_of[f"{verdict}-{stored.day}.txt"].split(",")
        assert watched == [f"NSE:{symbol}" for symbol in listed["symbol"]]


def test_generated_prices_are_said_to_be_generated(stored: Stored, document: str) -> None:
    assert "Not real prices:" in document
    real = stored.instruments.assign(source="instruments.csv")
    assert "Not real prices:" not in html_page(dataclasses.replace(stored, instruments=real), "x")


def test_a_diverged_table_is_an_alarm_that_leads_to_its_difference(
    stored: Stored, document: str
) -> None:
    assert 'class="alarm"' not in document
    verdicts = stored.reconciliation.copy()
    name = verdicts["table_name"].iloc[2]
    verdicts.loc[verdicts.index[2], "state"] = "diverged"
    changed = dataclasses.replace(stored, reconciliation=verdicts)
    assert f'class="alarm"><b>{len(verdicts) - 1} pass, 1 diverged</b>' in html_page(changed, "x")
    address = f"http://127.0.0.1:8000/divergence/{name}/{stored.day}"
    reached = html_page(dataclasses.replace(changed, differences={name: address}), "x")
    assert reached.count(f'<a href="{address}">{name}</a>') == 2


def test_a_report_leads_to_its_neighbours_and_to_others_later(stored: Stored) -> None:
    alone = html_page(stored, "x")
    between = html_page(stored, "x", ("2026-06-29", "2026-07-01"))
    links = {
        found.get("rel"): found["href"] for tag, found in Elements(between).found if tag == "a"
    }
    assert (links["prev"], links["next"]) == ("2026-06-29.html", "2026-07-01.html")
    assert page.relinked(alone, ("2026-06-29", "2026-07-01")) == between
    assert page.relinked(between, (None, None)) == alone
    assert read_report(between).equals(read_report(alone))


def test_what_a_mamba_day_is_follows_the_settings() -> None:
    words = mamba_day(SequenceSettings(bullish_move_percent=6.0, look_back_days=30))
    assert "a rise of more than 6 % from open to close" in words
    assert "over the last 30 sessions" in words


def test_the_report_of_a_whole_exchange_keeps_within_its_limit(stored: Stored) -> None:
    """The rows of the run, again and again, until there are 2,400 stocks (``benchmarks/pages.py`` has the limit)."""
    copies = 2400 // len(stored.filter_results)

    def of_many(rows: pd.DataFrame) -> pd.DataFrame:
        if "instrument_key" not in rows:
            return rows
        names = [name for name in ("instrument_key", "symbol") if name in rows]
        return pd.concat(
            (
                rows.assign(**{n: rows[n].astype(str) + f"-{copy}" for n in names})
                for copy in range(copies)
            ),
            ignore_index=True,
        )

    frames = {
        field.name: of_many(value)
        for field in dataclasses.fields(stored)
        if isinstance(value := getattr(stored, field.name), pd.DataFrame)
    }
    exchange = dataclasses.replace(stored, **frames)
    assert len(exchange.filter_results) == 2400
    size = len(html_page(exchange, "made").encode())
    assert 5 < size / 1e6 < REPORT_MEGABYTES
