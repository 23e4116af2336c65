"""Layouts of vendors, brokers and the exchange: files written by hand after their public descriptions."""

from __future__ import annotations

import json
from pathlib import PurePath

import pytest

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.layouts import all_layouts
from setbull_pipelines.sources.reading import file_suffix, read_rows
from setbull_pipelines_tests.sources.layouts.layout_files import (
    DAY_FILES,
    EPOCHS,
    FILES,
    ISO,
    ROWS,
    lines,
    rows_at,
)
from setbull_pipelines_tests.sources.reading_files import candles, keys, moments, refused, values

_WITH = [[moment, *row] for moment, row in zip(ISO, ROWS, strict=True)]


@pytest.mark.parametrize("what", FILES)
def test_two_minutes_are_read_under_their_instrument(what: str) -> None:
    name, text, key = FILES[what]
    found = candles(text, name)
    assert found.kind == "minutes"
    assert moments(found) == ["2025-06-02 09:15", "2025-06-02 09:16"]
    assert values(found) == ROWS
    assert keys(found) == [key]


NAMES = sorted({layout.NAME for layout in all_layouts()} & set(FILES))


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_announced(name: str) -> None:
    file, text, _ = FILES[name]
    assert candles(text, file).notes[0] == name


def test_codes_that_a_broker_alone_has_are_said_to_be_its_own() -> None:
    file, text, _ = FILES["ICICI Breeze"]
    found = candles(text.replace('"ITC"', '"RELIND"'), file)
    assert keys(found) == ["NSE_EQ|RELIND"]
    assert any("ICICI's own name of a stock" in note for note in found.notes)


@pytest.mark.parametrize("name", DAY_FILES)
def test_a_day_file_of_the_exchange_is_read_and_other_series_are_quarantined(name: str) -> None:
    header, row, key = DAY_FILES[name]
    other = row.replace(",EQ,", ",BE,").replace(" EQ,", " BE,").replace('"EQ"', '"BE"')
    text = lines(header, row, other.replace("02-J", "03-J").replace("06-02", "06-03"))
    file = "Quote-Equity-M&M-EQ-01-06-2025-to-03-06-2025.csv"
    found = candles(text, file)
    assert (found.kind, found.notes[0]) == ("daily", name)
    assert (moments(found), values(found)) == (["2025-06-02 00:00"], ROWS[:1])
    assert keys(found) == [key]
    assert found.rejected[["line", "rule", "value"]].values.tolist() == [[3, "other series", "BE"]]
    both = candles(text, file, series=("EQ", "BE"))
    assert moments(both) == ["2025-06-02 00:00", "2025-06-03 00:00"]


def test_at_most_one_layout_recognises_a_file_but_the_general_one() -> None:
    for name, text, _ in FILES.values():
        rows = read_rows(text.encode(), file_suffix(PurePath(name)) or "", InputSettings())
        recognising = [
            layout.NAME
            for layout in all_layouts()
            if layout.NAME != "candles" and layout.recognises(rows.names, rows.sample())
        ]
        assert len(recognising) <= 1, (name, recognising)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "A.json",
            json.dumps(
                {
                    "open": [1],
                    "high": [1],
                    "low": [1],
                    "close": [1],
                    "volume": [1],
                    "start_Time": [1],
                }
            ),
            "version 1 of Dhan",
        ),
        (
            "A_M1.csv",
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n2025.06.02\t09:15\t1\t1\t1\t1\t1\n",
            "counts of price changes",
        ),
        ("A.json", '{"s": "no_data", "candles": []}', "without candles (no_data)"),
        ("A.json", '{"errors": ["too many requests"]}', "error too many requests"),
        (
            "A.json",
            '{"status": "error", "message": "Invalid token", "error_type": "TokenException"}',
            "error TokenException (Invalid token)",
        ),
        ("A.json", '{"status": false, "message": "Invalid Token", "data": null}', "Invalid Token"),
    ],
)
def test_answers_without_usable_candles_say_so(name: str, text: str, said: str) -> None:
    assert said in refused(text, name).reason


_SIDE_BY_SIDE = {
    "prices above tickers": lines(
        "Price,Adj Close,Adj Close,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume",
        "Ticker,ITC.NS,M&M.NS,ITC.NS,M&M.NS,ITC.NS,M&M.NS,ITC.NS,M&M.NS,ITC.NS,M&M.NS,ITC.NS,M&M.NS",
        "Date,,,,,,,,,,,,",
        "2025-06-02,1,2,100.5,20.5,101,21,99.5,19,100,20,7533,800.0",
        "2025-06-03,1,,100.1,,101,,100,,100.5,,4790,",
    ),
    "tickers above prices": lines(
        "Ticker,ITC.NS,ITC.NS,ITC.NS,ITC.NS,ITC.NS,M&M.NS,M&M.NS,M&M.NS,M&M.NS,M&M.NS,M&M.NS",
        "Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Adj Close,Volume",
        "Date,,,,,,,,,,,",
        "2025-06-02,100,101,99.5,100.5,7533,20,21,19,20.5,2,800.0",
        "2025-06-03,100.5,101,100,100.1,4790,,,,,,",
    ),
}


@pytest.mark.parametrize("order", _SIDE_BY_SIDE)
def test_tickers_of_yfinance_side_by_side_are_rows_of_each(order: str) -> None:
    found = candles(_SIDE_BY_SIDE[order], "download.csv")
    assert found.kind == "daily"
    bars = found.accepted.select(["instrument_key", "line"]).to_pylist()
    assert [tuple(bar.values()) for bar in bars] == [
        ("NSE_EQ|ITC", 4),
        ("NSE_EQ|M&M", 14),
        ("NSE_EQ|ITC", 5),
    ]
    assert values(found) == [ROWS[0], [20, 21, 19, 20.5, 800], ROWS[1]]
    assert found.notes[0] == "yfinance, three header lines"
    assert (
        "2 tickers side by side: line 14 stands for line 4 of the second, M&M.NS, and so on"
        in found.notes
    )
    assert "1 days or minutes without any value of a ticker left out" in found.notes


@pytest.mark.parametrize("order", _SIDE_BY_SIDE)
def test_a_line_that_is_wrong_for_both_tickers_is_two_rows_of_the_quarantine(order: str) -> None:
    text = _SIDE_BY_SIDE[order].replace("2025-06-02", "2025-06-01")  # a Sunday
    rejected = candles(text, "download.csv").rejected
    assert rejected[["line", "instrument_key"]].values.tolist() == [
        [4, "NSE_EQ|ITC"],
        [14, "NSE_EQ|M&M"],
    ]


def test_one_ticker_above_its_prices_is_read_without_further_words() -> None:
    text = lines(
        "Ticker,ITC.NS,ITC.NS,ITC.NS,ITC.NS,ITC.NS",
        "Price,Open,High,Low,Close,Volume",
        "Date,,,,,",
        "2025-06-02,100,101,99.5,100.5,7533",
    )
    found = candles(text, "download.csv")
    assert (keys(found), values(found)) == (["NSE_EQ|ITC"], ROWS[:1])
    assert not any("side by side" in note for note in found.notes)


@pytest.mark.parametrize(
    ("tickers", "said"),
    [
        ("A.NS,A.NS,A.NS,A.NS,A.NS,A.NS", "the column close more than once"),
        ("A.NS,B.NS,A.NS,A.NS,A.NS,", "found no ticker above column 7"),
    ],
)
def test_columns_of_yfinance_that_cannot_be_told_apart_are_refused(tickers: str, said: str) -> None:
    text = lines(
        "Price,Close,Close,High,Low,Open,Volume",
        f"Ticker,{tickers}",
        "Date,,,,,,",
        "2025-06-02,1,1,1,1,1,1",
    )
    assert said in refused(text).reason


def test_a_price_that_is_named_twice_in_one_header_line_is_refused() -> None:
    text = lines("timestamp,open,high,low,close,close,volume", "2025-06-02,1,1,1,1,1,1")
    assert "more than once, expected every column once" in refused(text).reason


def test_the_symbol_beside_the_candles_of_an_answer_is_taken() -> None:
    text = json.dumps({"s": "ok", "symbol": "NSE:SBIN-EQ", "candles": rows_at(EPOCHS)})
    assert keys(candles(text, "answer.json")) == ["NSE_EQ|SBIN"]


def _frame() -> dict[str, list]:
    names = ["close", "date", "high", "low", "open", "volume"]
    order = [3, None, 1, 2, 0, 4]
    return {
        name: [
            row[place] if place is not None else moment
            for row, moment in zip(ROWS, ISO, strict=True)
        ]
        for name, place in zip(names, order, strict=True)
    }


@pytest.mark.parametrize("way", ["split", "columns", "records"])
def test_a_frame_that_pandas_wrote_keeps_its_names_whatever_their_order(way: str) -> None:
    columns = _frame()
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    document = {
        "split": {"columns": list(columns), "index": [0, 1], "data": rows},
        "columns": {name: dict(zip("01", of, strict=True)) for name, of in columns.items()},
        "records": [dict(zip(columns, row, strict=True)) for row in rows],
    }[way]
    found = candles(json.dumps(document), "ITC.json")
    assert values(found) == ROWS
    assert moments(found) == ["2025-06-02 09:15", "2025-06-02 09:16"]


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (
            "INSTRUMENT,SYMBOL,EXPIRY_DT,OPEN,HIGH,LOW,CLOSE,CONTRACTS,TIMESTAMP",
            "FUTSTK,ITC,26-Jun-2025,1,2,1,1,5,02-JUN-2025",
            "found contracts with expiry_dt '26-Jun-2025'",
        ),
        (
            "symbol,timestamp,open,high,low,close,volume,Strike Price",
            "ITC,2025-06-02,1,2,1,1,5,420",
            "found contracts with strike price '420'",
        ),
    ],
)
def test_contracts_are_never_taken_for_their_share(header: str, row: str, said: str) -> None:
    assert said in refused(lines(header, row)).reason


def test_values_without_names_are_candles_only_where_the_first_is_a_moment() -> None:
    text = json.dumps({"data": [[1, 2, 3, 4, 5, 6]], "status": True})
    assert "found the columns data.0, data.1" in refused(text, "ITC.json").reason
