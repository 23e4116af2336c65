"""Several instruments in one file: tables of one document, columns of many shares side by side, joined names.

Belongs here: whose column or table it is. Does not belong here: what values are written as.
"""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from setbull_pipelines_tests.sources.reading_files import candles, keys, refused, values
from setbull_pipelines_tests.sources.two_minutes import BARS, ISO, LISTS, NAMES, OBJECTS


@pytest.mark.parametrize(
    "document",
    [
        {"ITC": OBJECTS, "TCS": OBJECTS},
        {"data": [{"symbol": "ITC", "candles": LISTS}, {"symbol": "TCS", "candles": LISTS}]},
        {"ITC": {"data": {"candles": LISTS}}, "TCS": {"data": {"candles": LISTS}}},
    ],
    ids=["by symbol", "symbol beside", "answers by symbol"],
)
def test_several_instruments_of_one_document_are_all_read(document: object) -> None:
    found = candles(json.dumps(document), "answers.json")
    assert keys(found) == ["NSE_EQ|ITC", "NSE_EQ|TCS"]
    assert len(found.accepted) == found.received == 4
    assert len(set(found.accepted["line"].to_pylist())) == 4
    assert "2 tables in one document, whose rows are numbered through" in found.notes


def test_days_of_one_document_are_one_instrument() -> None:
    document = {
        "2025-06-02": OBJECTS,
        "2025-06-03": [{**row, "date": row["date"].replace("-02T", "-03T")} for row in OBJECTS],
    }
    assert len(candles(json.dumps(document), "ITC.json").accepted) == 4


def test_tables_that_do_not_say_whose_they_are_are_asked_about() -> None:
    text = json.dumps({"first": OBJECTS, "second": OBJECTS})
    assert (
        "2 tables (first, second) that do not name their instruments"
        in refused(text, "ITC.json").reason
    )


@pytest.mark.parametrize(
    "way", ["{symbol}_{price}", "{price} {symbol}.NS", "\"('{price}', '{symbol}.NS')\""]
)
def test_columns_that_were_joined_to_one_name_are_taken_apart(way: str) -> None:
    names = [way.format(symbol=symbol, price=price) for symbol in ("ITC", "TCS") for price in NAMES]
    rows = [",".join(map(str, (moment, *bar, *bar))) for moment, bar in zip(ISO, BARS, strict=True)]
    found = candles("\n".join([",".join(["Datetime", *names]), *rows]) + "\n", "frame.csv")
    assert keys(found) == ["NSE_EQ|ITC", "NSE_EQ|TCS"]
    assert values(found) == BARS * 2


def test_all_shares_of_the_exchange_side_by_side_are_read() -> None:
    tickers = [f"S{number:04}.NS" for number in range(2_400)]
    header = [
        "Price",
        *(price for price in ("Open", "High", "Low", "Close", "Volume") for _ in tickers),
    ]
    lines = [header, ["Ticker", *tickers * 5], ["Date"] + [""] * 12_000]
    lines += [[f"2025-06-0{day}", *["100"] * 12_000] for day in (2, 3)]
    found = candles("\n".join(",".join(line) for line in lines) + "\n", "download.csv")
    assert len(found.accepted) == found.received == 4_800


def test_an_index_as_the_last_column_of_joined_names_is_found() -> None:
    columns = {
        f"{symbol}_{name}": [bar[place] for bar in BARS]
        for symbol in ("ITC", "TCS")
        for place, name in enumerate(NAMES)
    }
    content = io.BytesIO()
    pd.DataFrame(columns, index=pd.DatetimeIndex(ISO, name="when")).to_parquet(content)
    found = candles(content.getvalue(), "frame.parquet")
    assert keys(found) == ["NSE_EQ|ITC", "NSE_EQ|TCS"]
    assert values(found) == BARS * 2


@pytest.mark.parametrize("way", ["{symbol}_{price}", "{price} {symbol}.NS"])
def test_joined_names_of_all_shares_are_read_and_others_of_that_many_are_not(way: str) -> None:
    names = [
        way.format(symbol=f"S{number:04}", price=price)
        for number in range(2_400)
        for price in NAMES
    ]
    rows = [[f"2025-06-0{day}", *["100"] * 12_000] for day in (2, 3)]
    text = "\n".join(",".join(line) for line in (["Date", *names], *rows)) + "\n"
    found = candles(text, "frame.csv")
    assert len(found.accepted) == found.received == 4_800
    assert len(keys(found)) == 2_400
    other = text.replace(names[7], "remark", 1)
    assert refused(other, "frame.csv").reason == "found 12,001 columns, expected at most 1,000"
