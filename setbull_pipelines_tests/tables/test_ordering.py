"""Rows that are in order are found to be, and no others: what sorting them would do is the judge."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines.tables.ordering import in_order

TEXTS = st.sampled_from(["", "A", "a", "NSE_EQ|1", "NSE_EQ|10", "\u00e9", "\U0001f40e", None])
NUMBERS = st.integers(-2, 2)
TYPES = {
    "text": "str",
    "moment": f"datetime64[us, {INDIA}]",
    "day": "datetime64[us]",
    "count": "int64",
}


def typed(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(TYPES))
    for name in ("moment", "day"):
        frame[name] = pd.to_datetime(frame[name].astype("Int64"), unit="D", utc=name == "moment")
    return frame.astype(TYPES)


@given(
    rows=st.lists(
        st.tuples(TEXTS, st.none() | NUMBERS, st.none() | NUMBERS, NUMBERS), max_size=6
    ).flatmap(lambda drawn: st.sampled_from([drawn, sorted(drawn, key=repr)])),
    names=st.permutations(list(TYPES)).map(lambda names: names[:3]),
    in_sorted_order=st.booleans(),
)
def test_sorting_rows_in_order_moves_none(
    rows: list[tuple], names: list[str], in_sorted_order: bool
) -> None:
    frame = typed(rows)
    if in_sorted_order:
        frame = frame.sort_values(names, kind="stable", ignore_index=True)
    stays = list(frame.sort_values(names, kind="stable").index) == list(range(len(frame)))
    if in_order(frame, names):
        assert stays
    elif stays:
        assert frame[names].isna().any(axis=None), "only of missing values it is not known"


@pytest.mark.parametrize("name", TYPES)
def test_one_pair_that_falls_is_seen(name: str) -> None:
    rising = typed([("A", 1, 1, 1), ("A", 1, 1, 1), ("B", 2, 2, 2)])
    assert in_order(rising, [name])
    assert not in_order(rising.iloc[::-1], [name])
    assert in_order(rising.iloc[:1], [name])


def test_a_later_column_decides_among_equal_ones() -> None:
    rows = typed([("A", 1, 1, 2), ("A", 1, 1, 1), ("B", 0, 0, 0)])
    assert in_order(rows, ["text"])
    assert not in_order(rows, ["text", "count"])
    assert in_order(rows.iloc[[1, 0, 2]], ["text", "count"])


def test_text_in_pieces_is_left_to_sorting() -> None:
    pieces = pd.concat([typed([("A", 1, 1, 1)]), typed([("B", 1, 1, 1)])])
    assert not in_order(pieces, ["text"])
    assert in_order(pieces, ["count"])
