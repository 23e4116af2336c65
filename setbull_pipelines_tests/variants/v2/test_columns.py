"""V2's whole-column building blocks against NumPy and pandas doing the same the long way."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.variants.v2 import columns

TEXTS = st.lists(st.sampled_from(["A", "AB", "B", "C"]), max_size=30)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.lists(st.sampled_from(["B", "D"]), max_size=5))
def test_codes_sort_like_the_texts_whatever_the_chunks(parts: list, others: list) -> None:
    column = pd.concat([pd.Series(part, dtype="str") for part in parts])
    (codes, other_codes), vocabulary = columns.shared_codes(column, pd.Series(others, dtype="str"))
    expected = sorted({text for part in parts for text in part} | set(others))
    assert list(vocabulary) == expected
    assert [expected[code] for code in codes] == [text for part in parts for text in part]
    assert [expected[code] for code in other_codes] == others


def test_codes_in_a_vocabulary_of_a_part_of_a_column() -> None:
    column = pd.Series(["A", "A", "B", "C", "C", "A"], dtype="str").iloc[1:5]
    assert columns.codes_in(pd.Index(["A", "C"]), column).tolist() == [0, -1, 1, 1]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), min_size=1, unique=True),
    st.sampled_from(["as they come", "sorted", "blocks"]),
    st.sampled_from([0, 70_000]),
)
def test_rows_are_sorted_by_group_then_time(rows: list, arrangement: str, offset: int) -> None:
    """Sorted rows, sorted blocks one after the other (their runs are sorted), and any other order."""
    if arrangement == "sorted":
        rows = sorted(rows)
    elif arrangement == "blocks":
        rows = sorted(rows, key=lambda row: (row[1] // 10, row))
    groups, times = (np.array(part, dtype="int64") for part in zip(*rows, strict=True))
    order = columns.sort_order(groups + offset, times)
    assert (order is None) == (rows == sorted(rows))
    found = np.arange(len(rows)) if order is None else order
    assert found.tolist() == np.lexsort((times, groups)).tolist()


def test_what_is_sorted_already_is_a_view_that_refuses_writing() -> None:
    values = np.arange(6.0)
    kept = columns.ordered(values, None)
    assert np.shares_memory(kept, values)
    assert not kept.flags.writeable
    strided = columns.ordered(values[::2], None)
    assert strided.flags.c_contiguous
    taken = columns.ordered(values, np.array([2, 1, 0]))
    assert taken.tolist() == [2.0, 1.0, 0.0]
    assert not taken.flags.writeable
