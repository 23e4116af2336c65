"""The first rows of a table as people read them."""

from __future__ import annotations

import pandas as pd

from setbull_pipelines.pictures.preview import COLUMNS_SHOWN, preview
from setbull_pipelines.tables import CANDLES_5MIN, FILTER_RESULTS
from setbull_pipelines_tests.variants.frames import bar_rows, bars_5min


def test_numbers_have_units_and_keys_keep_their_bar() -> None:
    rows = bars_5min(bar_rows([1234.5, 1240.0], volume=1234567))
    heading, _, first, *rest = preview(rows, CANDLES_5MIN).splitlines()
    assert heading.startswith("| instrument_key | timestamp | trading_day | open [₹] |")
    assert first.startswith(
        "| NSE_EQ\\|TEST | 2025-06-02 09:15 | 2025-06-02 | 1,234.50 | 1,234.50 |"
    )
    assert "| 1,234,567 |" in first
    assert rest[-1] == "and 1 more column"


def test_wide_tables_tell_how_many_columns_are_left_out() -> None:
    row = {column.name: None for column in FILTER_RESULTS.columns}
    text = preview(pd.DataFrame([row | {"reason": "a | b"}]), FILTER_RESULTS)
    assert text.splitlines()[0].count("|") == COLUMNS_SHOWN + 1
    assert text.endswith(f"and {len(FILTER_RESULTS.columns) - COLUMNS_SHOWN} more columns")


def test_no_rows_are_said_in_words() -> None:
    assert preview(CANDLES_5MIN.empty(), CANDLES_5MIN) == "no rows"
