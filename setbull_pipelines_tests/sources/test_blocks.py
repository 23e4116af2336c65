"""A text file is read in blocks: what comes of it must not depend on where these end."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.sources import delimited
from setbull_pipelines.sources.candle_files import CheckedCandles
from setbull_pipelines.sources.landing_writing import Rejection
from setbull_pipelines_tests.sources.reading_files import HEADER, read, session

_CHANGES = (
    lambda row: row,
    lambda row: row.replace(",101,", ',"1,01,000.5",'),
    lambda row: row.replace(",101,", ",-,"),
    lambda row: row + ",one field too many",
    lambda row: row.rpartition(",")[0],
    lambda row: row.replace(",99,", ',"9\n9",'),
    lambda row: row.replace("+05:30", ""),
    lambda row: row.replace("ALPHA", ""),
    lambda row: "",
    lambda row: row.rpartition(",")[0] + ",9.83M",
    lambda row: row.replace("2025-06-02", "2025-06-01"),
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """Minutes of two shares, some of whose rows are odd, in any order."""
    rows = [*session(minutes=draw(st.integers(1, 60))), *session(minutes=20, symbol="BETA")]
    chance = random.Random(draw(st.integers(0, 10**6)))
    odd = draw(st.lists(st.sampled_from(range(len(_CHANGES))), max_size=4))
    for number in odd:
        place = chance.randrange(len(rows))
        rows[place] = _CHANGES[number](rows[place])
    if draw(st.booleans()):
        chance.shuffle(rows)
    end = draw(st.sampled_from(["\n", "", "\n\n"]))
    return draw(st.sampled_from(["\n", "\r\n"])).join([HEADER, *rows]) + end


def told(text: str) -> object:
    found = read(text)
    if isinstance(found, Rejection):
        return found
    assert isinstance(found, CheckedCandles)
    assert len(found.accepted) + len(found.rejected) == found.received
    return (
        found.kind,
        found.accepted.to_pylist(),
        found.rejected.astype(object).where(found.rejected.notna(), None).to_dict("records"),
        found.received,
        found.notes,
    )


@settings(max_examples=60, deadline=None)
@given(text=files(), size=st.integers(200, 3_000))
def test_nothing_depends_on_the_size_of_the_blocks(text: str, size: int) -> None:
    whole = told(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK_BYTES", size)
        in_blocks = told(text)
    assert in_blocks == whole


def test_the_blocks_of_the_test_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the test above would compare a thing with itself."""
    text = "\n".join([HEADER, *session()]).encode() + b"\n"
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 500)
    rows = delimited.text_rows(text, delimited.InputSettings())
    assert rows.columns.column(0).num_chunks > 10
    assert pd.Series(rows.lines).diff().dropna().eq(1).all()
