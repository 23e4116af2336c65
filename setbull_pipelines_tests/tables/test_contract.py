"""Frames that are made to fit a contract: columns by name, types, order of rows; nothing is dropped unseen."""

from __future__ import annotations

import pandas as pd
import pytest

from setbull_pipelines.tables import CANDLES_DAILY
from setbull_pipelines.tables.contract import INDIA

DAY = pd.Timestamp("2026-06-30")


def rows() -> pd.DataFrame:
    """Three rows in no order, with values as plain objects."""
    values = {
        "series": "minutes",
        "timestamp": DAY.tz_localize(INDIA),
        "trading_day": DAY,
        **dict.fromkeys(("open", "high", "low", "close"), 1.5),
        "volume": 3,
    }
    given = {name: values.get(name) for name in CANDLES_DAILY.column_names}
    frame = pd.DataFrame([{**given, "instrument_key": key} for key in "BAC"], dtype=object)
    return frame[CANDLES_DAILY.column_names]


@pytest.mark.parametrize("kind", ["objects", "typed", "partly typed", "columns in another order"])
def test_a_frame_gets_types_and_order_whatever_it_has_of_them(kind: str) -> None:
    expected = CANDLES_DAILY.conform(rows())
    assert expected["instrument_key"].tolist() == ["A", "B", "C"]
    assert [str(dtype) for dtype in expected.dtypes] == [
        column.kind.pandas_dtype for column in CANDLES_DAILY.columns
    ]
    typed = expected.take([1, 0, 2])
    given = {
        "objects": rows(),
        "typed": typed,
        "partly typed": typed.assign(volume=typed["volume"].astype(object)),
        "columns in another order": typed[CANDLES_DAILY.column_names[::-1]],
    }[kind]
    found = CANDLES_DAILY.conform(given)
    pd.testing.assert_frame_equal(found, expected, check_exact=True, check_index_type="exact")


def test_the_frame_that_was_given_stays_as_it_is() -> None:
    given = CANDLES_DAILY.conform(rows())
    found = CANDLES_DAILY.conform(given)
    found.loc[0, "close"] = 9.0
    assert given.loc[0, "close"] == 1.5


def test_no_rows_of_any_type_are_the_empty_table() -> None:
    found = CANDLES_DAILY.conform(pd.DataFrame([], columns=CANDLES_DAILY.column_names))
    pd.testing.assert_frame_equal(found, CANDLES_DAILY.empty())
    found.loc[0, "instrument_key"] = "A"
    assert CANDLES_DAILY.empty().empty


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rows().drop(columns="close"), r"missing columns \['close'\]"),
        (rows().assign(more=1), r"unexpected columns \['more'\]"),
        (
            pd.concat([rows(), rows()["close"]], axis=1),
            r"unexpected columns \['close', 'close'\]",
        ),
    ],
    ids=["missing", "unexpected", "repeated"],
)
def test_other_columns_are_refused(wrong: pd.DataFrame, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CANDLES_DAILY.conform(wrong)
