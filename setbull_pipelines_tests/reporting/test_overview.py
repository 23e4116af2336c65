"""The page of all sessions as a document: what it counts, where it leads, on a phone and for screen readers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from setbull_pipelines.reporting.overview import html_overview, session_rows, stage_changes
from setbull_pipelines_tests.reporting.browser import browsing, chromium
from setbull_pipelines_tests.reporting.conftest import HOSTILE
from setbull_pipelines_tests.reporting.hand_made_sessions import DAYS, sessions


def test_a_session_has_its_counts() -> None:
    first, *_, last = session_rows(sessions())
    assert last.verdicts == {"bullish": 1, "bearish": 1, "rejected": 2, "not enough data": 1}
    assert last.passed == [("basic", 3), ("ema", 3), ("rsi", 2), ("mamba", 2)]
    assert (last.received, last.quarantined, last.failed) == (15, 4, 1)
    assert (last.worst, last.count("pass"), last.count("diverged")) == ("diverged", 1, 1)
    assert (last.stages, last.has_report) == ({"indicators": "10"}, True)
    assert (first.worst, first.stages, first.has_report) == ("pass", {"indicators": "off"}, False)
    assert (first.received, first.failed, list(first.alerts)) == (0, 0, [])


def test_what_has_recovered_is_no_alarm() -> None:
    """A tile that counts what is mended would contradict the strips in which every cell agrees."""
    stored = sessions()
    *_, last = session_rows(stored)
    assert (len(last.alerts), last.open_alerts) == (2, 1)
    assert "<b>1</b> open alerts" in html_overview(stored, "hash")
    assert "error, recovered: V2 differed" in html_overview(stored, "hash")
    mended = replace(stored, alerts=stored.alerts.assign(state="recovered"))
    assert "<b>0</b> open alerts" in html_overview(mended, "hash")
    assert '<li class="alarm"><b>0</b>' not in html_overview(mended, "hash")
    assert '<li class="alarm"><b>1</b> open alerts' in html_overview(stored, "hash")


def test_a_session_that_was_not_compared_does_not_agree() -> None:
    stored = sessions()
    rows = session_rows(replace(stored, summary=stored.summary.iloc[:0]))
    assert {row.worst for row in rows} == {"not comparable"}


def test_stages_are_told_where_they_began() -> None:
    assert stage_changes(sessions().rollout) == {
        "aggregation": [],
        "indicators": [
            (DAYS[0], "off", "why off"),
            (DAYS[1], "shadow", "why shadow"),
            (DAYS[2], "10", "why 10"),
        ],
        "sequences": [],
    }


def test_every_link_leads_to_a_file_or_a_place_that_is_there() -> None:
    page = html_overview(sessions(), "made")
    targets = set(re.findall(r'href="([^"]+)"', page))
    inside = {target[1:] for target in targets if target.startswith("#")}
    assert inside <= set(re.findall(r'id="([^"]+)"', page))
    outside = {target for target in targets if not target.startswith("#")}
    assert outside == {f"{day}.html" for day in DAYS[1:]} | {"indicators_5min-2026-06-30.html"}


def test_the_newest_months_are_open_and_the_others_closed() -> None:
    page = html_overview(sessions(), "made")
    assert re.findall(r"<details( open)?><summary><h3>(\w+ \d+)", page) == [
        (" open", "June 2026"),
        (" open", "May 2026"),
        ("", "April 2026"),
    ]


def test_it_needs_no_script_and_loads_nothing() -> None:
    page = html_overview(sessions(), "made")
    assert "<script" not in page
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r'(src|srcset)="|url\(|@import', page)


def test_text_from_data_stays_text() -> None:
    stored = sessions()
    page = html_overview(
        replace(
            stored,
            summary=stored.summary.assign(reason=HOSTILE),
            alerts=stored.alerts.assign(title=HOSTILE),
            rollout=stored.rollout.assign(reason=HOSTILE),
            unreadable=(HOSTILE,),
        ),
        "made",
    )
    assert "<img" not in page
    assert page.count("&lt;img src=x") > len(DAYS)


def test_a_folder_without_sessions_says_what_to_run() -> None:
    stored = sessions()
    empty = {
        name: getattr(stored, name).iloc[:0]
        for name in ("summary", "results", "accounting", "failures", "alerts", "rollout")
    }
    page = html_overview(replace(stored, days=(), reports=frozenset(), **empty), "made")
    assert "No session is stored yet; make some by: <code>setbull run</code>" in page


def test_the_same_rows_give_the_same_document() -> None:
    assert html_overview(sessions(), "made") == html_overview(sessions(), "made")


@pytest.mark.skipif(chromium() is None, reason="needs a browser")
def test_in_the_browser_it_fits_a_phone_follows_the_theme_and_goes_by_keyboard(
    tmp_path: Path,
) -> None:
    path = tmp_path / "index.html"
    path.write_text(html_overview(sessions(), "made"), encoding="utf-8")
    with browsing(chromium(), tmp_path / "profile") as page:
        page.size(390, 800, mobile=True)
        page.open(path)
        assert page.run("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
        problems = [
            event
            for event in page.events
            if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]
        assert problems == []
        colours = []
        for scheme in ("light", "dark"):
            page.prefer(scheme)
            colours.append(page.run("getComputedStyle(document.body).backgroundColor"))
        assert colours == ["rgb(255, 255, 255)", "rgb(20, 23, 28)"]
        page.press("Tab")
        assert page.run("document.activeElement.textContent") == "To the sessions"
        for _ in range(40):
            page.press("Tab")
            if page.run("document.activeElement.localName") == "summary":
                break
        assert "When each stage began" in page.run("document.activeElement.textContent")
        page.press("Enter")
        assert page.run("document.activeElement.parentElement.open")
        # Every picture is told in words, and every section has a heading.
        assert page.run("[...document.querySelectorAll('svg')].every((one) => one.ariaLabel)")
        assert page.run(
            "[...document.querySelectorAll('section')].every((one) => "
            "document.getElementById(one.getAttribute('aria-labelledby')))"
        )
