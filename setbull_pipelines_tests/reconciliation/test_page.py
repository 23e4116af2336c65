"""The whole report of a divergence, as Markdown and as a page: what is in it, and that text of the data stays text."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from setbull_pipelines.reconciliation.page import Around, html_page
from setbull_pipelines.reconciliation.report import (
    Findings,
    input_sentence,
    markdown_noise,
    markdown_report,
    markdown_self_test,
    markdown_windows,
)
from setbull_pipelines.tables import SELF_TEST
from setbull_pipelines_tests.reconciliation.hand_made_findings import findings
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY
from setbull_pipelines_tests.reconciliation.three_instruments import TIMES, A, B, candles, changed


@pytest.fixture
def two_faults(tmp_path) -> Findings:
    """Closes of one instrument are halved, and one volume of another is wrong."""
    wrong = [5, 6, 7, 8]
    v2 = candles()
    is_wrong = (v2["instrument_key"] == A) & v2["timestamp"].isin(TIMES[wrong])
    v2.loc[is_wrong, "close"] /= 2
    return findings(tmp_path, changed(v2, B, [3], volume=7))


def test_the_report_has_its_parts_in_the_order_in_which_people_ask(two_faults) -> None:
    text = markdown_report(two_faults, with_pictures=True)
    headings = re.findall(r"^#### (.+)$", text, re.MULTILINE)
    assert headings == ["Likely causes", "Where to look", "Pictures", "Columns", "Inputs"]
    assert "| constant factor | " in text
    assert "**The fault is in this step.**" in text
    assert text.count("](data:image/png;base64,") == 3  # the map, and a chart of each cause
    assert "where V2 differs from V1" in text
    assert "V1 against V2 of close" in text
    assert "V1 against V2 of volume" in text


def test_pictures_are_left_out_where_none_can_be_shown_or_drawn(two_faults) -> None:
    assert "Pictures" not in markdown_report(two_faults, with_pictures=False)
    nothing = two_faults.instruments.iloc[:0]
    without = replace(two_faults, instruments=nothing)
    assert "Pictures" not in markdown_report(without, with_pictures=True)


def test_inputs_of_one_column_are_shown_and_the_others_counted(two_faults) -> None:
    shown = markdown_windows(two_faults)
    assert "cell of close (NSE_EQ|A, 2026-06-30 09:40): candles_5min" in shown
    assert shown.endswith(
        "The input rows of 1 more columns are in reconciliation.candles_5min_windows."
    )


def test_where_one_input_differs_the_other_columns_are_named(two_faults, tmp_path) -> None:
    v2 = changed(changed(candles(), A, [5], close=1.0), B, [3], volume=7)
    read_by_v2 = changed(candles(), B, [3], volume=7)
    assert input_sentence(findings(tmp_path, v2, read_by_v2).windows) == (
        "**Inputs already differ** in v2.candles_5min from NSE_EQ|B, 2026-06-30 09:30: look there first. "
        "Those of close agree: that fault is in this step."
    )


def test_without_a_difference_two_sentences_are_all(tmp_path) -> None:
    equal = findings(tmp_path, candles())
    assert markdown_report(equal, with_pictures=True) == (
        "All 11 columns agree (660 cells compared).\n\nNoise floor: not measured."
    )


def test_a_measured_noise_floor_is_told(two_faults) -> None:
    verdict = two_faults.verdict.assign(
        noise_floor_cells=660, noise_floor_relative=2.2e-16, noise_floor_ulp=float("nan")
    )
    assert markdown_noise(verdict).endswith("relative difference 2.2e-16, ULP none (660 cells).")


def test_the_page_holds_all_and_asks_nobody(two_faults) -> None:
    page = html_page(two_faults)
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>V1 against V2: candles_5min, 2026-06-30</title>" in page
    assert '<span class="state diverged">diverged</span>' in page
    assert "60 rows in V1, 60 in V2; 5 of 660 compared cells differ." in page
    assert page.count('<img src="data:image/png;base64,') == 3
    assert "<td>constant factor</td>" in page
    assert page.count("<script") == 1  # its own filter, which the policy names by its hash
    for outside in ("<link", "http:", "https:", ' src="/'):
        assert outside not in page
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))


def test_a_key_in_the_text_has_its_symbol_beside_it_and_leads_to_its_chart(two_faults) -> None:
    page = html_page(two_faults, Around({A: "ALPHA"}, {A: "chart.html"}))
    named = (
        f'<span class="named" data-key="{A}" data-symbol="ALPHA"><a href="chart.html">ALPHA</a> '
        f'<span class="key">{A}</span></span>'
    )
    assert f"cell of close ({named}, 2026-06-30 09:40)" in page
    assert f'<span class="named" data-key="{B}" data-symbol="">{B}</span>' in page


def test_text_of_the_data_stays_text(two_faults) -> None:
    diagnoses = two_faults.diagnoses.assign(sentence="<script>alert(1)</script> | b\nc")
    page = html_page(replace(two_faults, diagnoses=diagnoses))
    assert page.count("<script") == 1
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt; | b c</td>" in page


@pytest.mark.parametrize(
    ("caught", "named", "misnamed", "told"),
    [
        (False, False, False, "**missed**"),
        (True, True, False, "named"),
        (True, False, True, "**misnamed**"),
        (True, False, False, "unknown shape"),
        (None, None, None, ""),
    ],
)
def test_a_line_of_the_self_test_says_what_one_day_shows(caught, named, misnamed, told) -> None:
    row = {
        "number": 1,
        "kind": "fault",
        "name": "a factor",
        "table_name": "candles_5min",
        "caught": True,
        "diagnosed": False,
        "expected_diagnosis": "close: constant factor",
        "visible_on": pd.NaT if caught is None else TRADING_DAY,
        "caught_on_the_day": caught,
        "named_on_the_day": named,
        "misnamed_on_the_day": misnamed,
    }
    rows = SELF_TEST.conform(pd.DataFrame([row], columns=SELF_TEST.column_names))
    assert markdown_self_test(rows).splitlines()[2] == (
        f"| fault | a factor | candles_5min | yes | **no** | close: constant factor |  | {told} |"
    )


def test_failures_of_the_self_test_come_first(two_faults) -> None:
    rows = [
        {"number": number, "kind": "fault", "name": f"fault {number}", "table_name": "candles_5min"}
        | {"caught": True, "diagnosed": number != 2}
        for number in (1, 2, 3)
    ]
    stored = SELF_TEST.conform(pd.DataFrame(rows, columns=SELF_TEST.column_names))
    lines = markdown_self_test(stored).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["fault 2", "fault 1", "fault 3"]
