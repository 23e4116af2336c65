"""Files of people whom nobody knows: symbols, columns and tables that a person reads plainly, or would ask about.

Belongs here: whose file it is by its name, and where its table is. Does not belong here: what values are written as
(``test_ways_of_writing``), conventions of whole sessions (``test_conventions``).
"""

from __future__ import annotations

import json
import shlex

import pytest

from setbull_pipelines_tests.sources.reading_files import (
    HEADER,
    candles,
    keys,
    moments,
    refused,
    session,
    table,
    values,
)

BARS = [[100.0, 101.0, 99.5, 100.5, 7533], [100.5, 101.0, 100.0, 100.1, 4790]]
EPOCHS = [1748835900, 1748835960]
CLOCKS = ["2025-06-02 09:15", "2025-06-02 09:16"]
WITHOUT_SYMBOL = table(
    *(row.partition(",")[2] for row in session(minutes=2)), header=HEADER.partition(",")[2]
)


@pytest.mark.parametrize("name", ["NSE_M_M, 1.csv", "NSE_BAJAJ_AUTO, 1.csv"])
def test_an_underscore_of_tradingview_that_stands_for_another_sign_is_asked_about(
    name: str,
) -> None:
    text = "time,open,high,low,close,Volume\n" + "".join(
        f"{epoch},{','.join(map(str, bar))}\n" for epoch, bar in zip(EPOCHS, BARS, strict=True)
    )
    asked = refused(text, name)
    assert asked.rule == "no instrument"
    assert f"--symbol {shlex.quote(f'{name}=SYMBOL')}" in asked.reason
    assert keys(candles(text, name, symbols={name: "M&M"})) == ["NSE_EQ|M&M"]
    index = text.replace(",7533", ",0").replace(",4790", ",0")
    assert keys(candles(index, "NSE_NIFTY_MID_SELECT, 1.csv")) == ["NSE_INDEX|NIFTY MID SELECT"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NIFTY 50-02-06-2025-to-09-06-2025.csv", "NSE_INDEX|NIFTY 50"),
        ("NIFTY MIDCAP 100-01-JAN-2025.csv", "NSE_INDEX|NIFTY MIDCAP 100"),
    ],
)
def test_an_index_is_told_by_a_name_with_days_at_its_end(name: str, key: str) -> None:
    assert keys(candles(WITHOUT_SYMBOL, name)) == [key]


def test_a_number_of_bse_is_taken_from_the_name_of_a_file_where_the_exchange_is_said() -> None:
    assert refused(WITHOUT_SYMBOL, "500325.csv").rule == "no instrument"
    assert keys(candles(WITHOUT_SYMBOL, "500325.csv", exchange="BSE")) == ["BSE_EQ|500325"]


def test_a_day_file_of_bse_without_days_is_asked_for_its_days_and_not_for_a_symbol() -> None:
    header = "SC_CODE,SC_NAME,SC_GROUP,OPEN,HIGH,LOW,CLOSE,LAST,NO_TRADES,NO_OF_SHRS"
    asked = refused(
        table("500325,RELIANCE,A,100,101,99,100,100,3,7533", header=header), "EQ020625.CSV"
    )
    assert "expected also timestamp" in asked.reason


def test_the_day_file_of_the_indices_of_the_exchange_is_read() -> None:
    text = table(
        "Nifty 50,13-06-2025,100,101,99.5,100.5,1.2,.1,7533,5.5",
        "Nifty50 TR 2x Lev,13-06-2025,100,101,99.5,100.5,1.2,.1,-,-",
        "Nifty GS 10Yr,13-06-2025,-,-,-,100.5,1.2,.1,-,-",
        header="Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value,"
        "Points Change,Change(%),Volume,Turnover (Rs. Cr.)",
    )
    found = candles(text, "ind_close_all_13062025.csv")
    assert found.notes[0] == "day file of the indices of NSE"
    assert values(found) == [[100, 101, 99.5, 100.5, 7533], [100, 101, 99.5, 100.5, None]]
    assert keys(found) == ["NSE_INDEX|Nifty 50", "NSE_INDEX|Nifty50 TR 2x Lev"]
    assert list(found.rejected["rule"]) == ["missing value"]


def test_dates_with_points_are_proposed_as_dates() -> None:
    asked = refused("2025.06.02,09:15,100,101,99,100.5,10\n2025.06.02,09:16,100,101,99,100.5,12\n")
    names = ["date", "time", "open", "high", "low", "close", "volume"]
    proposed = {str(number): name for number, name in enumerate(names, start=1)}
    assert asked.paste == {"columns": proposed}


def test_names_that_are_known_keep_their_meaning_among_those_that_are_proposed() -> None:
    header = "Scrip,Tag,Anfang,Hoch,Tief,Ende,Change,Volume"
    row = "ITC,2025-06-02,100,101,99.5,100.5,0.5,7533"
    asked = refused(table(row, header=header))
    assert asked.paste == {
        "columns": {
            "scrip": "symbol",
            "tag": "date",
            "anfang": "open",
            "hoch": "high",
            "tief": "low",
            "ende": "close",
            "change": "open_interest",
        }
    }


@pytest.mark.parametrize("first", ["tickers", "prices"])
@pytest.mark.parametrize("index", ["Date,,,,,,,,,,", "Datetime,,,,,,,,,,", None])
def test_tickers_side_by_side_whose_two_lines_are_not_named_are_read(
    first: str, index: str | None
) -> None:
    prices, tickers = ["Open", "High", "Low", "Close", "Volume"], ["ITC.NS", "M&M.NS"]
    names = [(ticker, price) for ticker in tickers for price in prices]
    order = (0, 1) if first == "tickers" else (1, 0)
    lines = [",".join(["", *(name[place] for name in names)]) for place in order]
    rows = [
        ",".join([f"{clock}:00+05:30", *map(str, (*bar, *bar))])
        for clock, bar in zip(CLOCKS, BARS, strict=True)
    ]
    found = candles("\n".join([*lines, *([index] if index else []), *rows]) + "\n", "download.csv")
    assert keys(found) == ["NSE_EQ|ITC", "NSE_EQ|M&M"]
    assert moments(found) == [*CLOCKS, *CLOCKS]
    assert values(found) == [*BARS, *BARS]


def test_an_index_without_a_name_above_prices_is_not_two_lines_of_names() -> None:
    rows = [f"{clock}:00+05:30,100,101,99,100,5" for clock in CLOCKS]
    found = candles(table(*rows, header=",open,high,low,close,volume"), "ITC.csv")
    assert moments(found) == CLOCKS


def test_the_symbol_in_what_an_answer_says_of_itself_is_taken() -> None:
    opened, high, low, close, volume = (list(values) for values in zip(*BARS, strict=True))
    quote = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    chart = {
        "meta": {"symbol": "ITC.NS", "gmtoffset": 19800},
        "timestamp": EPOCHS,
        "indicators": {"quote": [quote]},
    }
    found = candles(json.dumps({"chart": {"result": [chart], "error": None}}), "chart.json")
    assert (keys(found), moments(found), values(found)) == (["NSE_EQ|ITC"], CLOCKS, BARS)


def test_rows_under_their_numbers_are_read() -> None:
    names = ["open", "high", "low", "close", "volume"]
    rows = {
        str(number): {"date": clock, **dict(zip(names, bar, strict=True))}
        for number, (clock, bar) in enumerate(zip(CLOCKS, BARS, strict=True))
    }
    found = candles(json.dumps(rows), "ITC.json")
    assert (moments(found), values(found)) == (CLOCKS, BARS)


def test_a_file_of_nothing_but_zero_bytes_is_told_as_that() -> None:
    asked = refused(b"\0" * 5_000)
    assert asked.reason.startswith("found 5,000 bytes that are all 0")


def test_shares_whose_volume_is_always_0_are_told() -> None:
    rows = session(minutes=5, volumes=[0] * 5)
    told = "volume 0 in all 5 rows of 1 shares, such as NSE_EQ|ALPHA: taken as it is"
    assert told in candles(table(*rows, *session(minutes=5, symbol="BETA"))).notes
    one = session(minutes=5, volumes=[0, 0, 0, 0, 1])
    assert not any("volume 0" in note for note in candles(table(*one)).notes)


def test_the_answer_of_the_exchange_s_website_is_read() -> None:
    row = {
        "CH_SYMBOL": "ITC",
        "CH_SERIES": "EQ",
        "CH_TIMESTAMP": "2025-06-02",
        "TIMESTAMP": "2025-06-01T18:30:00.000Z",
        "CH_OPENING_PRICE": 100,
        "CH_TRADE_HIGH_PRICE": 101,
        "CH_TRADE_LOW_PRICE": 99.5,
        "CH_CLOSING_PRICE": 100.5,
        "CH_LAST_TRADED_PRICE": 100.7,
        "CH_TOT_TRADED_QTY": 7533,
        "CH_ISIN": "INE154A01025",
    }
    found = candles(json.dumps({"data": [row, {**row, "CH_SERIES": "BE"}]}), "answer.json")
    assert keys(found) == ["NSE_EQ|INE154A01025"]
    assert (moments(found), values(found)) == (["2025-06-02 00:00"], BARS[:1])
    assert list(found.rejected["rule"]) == ["other series"]


@pytest.mark.parametrize(
    ("name", "clocks"),
    [
        ("Gmt time", ["13.06.2025 03:45:00.000", "13.06.2025 03:46:00.000"]),
        ("utc_datetime", ["2025-06-13 03:45", "2025-06-13 03:46"]),
        ("Datetime (Asia/Kolkata)", ["2025-06-13 09:15", "2025-06-13 09:16"]),
        ("Local time", ["13.06.2025 09:15:00.000 GMT+0530", "13.06.2025 09:16:00.000 GMT+0530"]),
        ("Open Time", ["1749786300000", "1749786360000"]),
        ("Timestamp (ms)", ["1749786300000", "1749786360000"]),
    ],
)
def test_moments_are_found_under_the_names_of_others(name: str, clocks: list[str]) -> None:
    rows = [f"{clock},100,101,99,100,5" for clock in clocks]
    found = candles(table(*rows, header=f"{name},open,high,low,close,volume"), "ITC.csv")
    assert moments(found) == ["2025-06-13 09:15", "2025-06-13 09:16"]


def test_a_column_that_can_be_that_of_the_moments_is_asked_about() -> None:
    text = table(*session(minutes=3), header=HEADER.replace("timestamp", "Created at"))
    asked = refused(text)
    said = {"created at": "timestamp"}
    assert (asked.rule, asked.paste) == ("missing column", {"columns": said})
    assert "--columns 'created at=timestamp'" in asked.reason
    assert len(candles(text, columns=said).accepted) == 3


@pytest.mark.parametrize(
    ("symbol", "rule"),
    [
        ("nan", "missing value"),
        ("None", "missing value"),
        ("NULL", "missing value"),
        ("BAJAJ_AUTO", "invalid instrument"),
        ("Reliance Industries Ltd", "invalid instrument"),
        ("XNSE:RELIANCE", "invalid instrument"),
        ("RELIANCE-FUT", "contracts"),
        ("RELIANCE JUN FUT", "contracts"),
        ("NIFTY 24000 CE 26 JUN 25", "contracts"),
    ],
)
def test_texts_that_are_no_symbol_of_the_exchange_make_no_instrument(
    symbol: str, rule: str
) -> None:
    found = candles(table(*session(minutes=2, symbol=symbol), *session(minutes=1)))
    assert keys(found) == ["NSE_EQ|ALPHA"]
    assert set(found.rejected["rule"]) == {rule}


def test_a_series_after_a_space_is_no_part_of_a_symbol() -> None:
    assert keys(candles(table(*session(minutes=1, symbol="M&M EQ")))) == ["NSE_EQ|M&M"]


@pytest.mark.parametrize("symbol", ["M%26M", "M&amp;M", "NSE:M%26M-EQ"])
def test_symbols_of_requests_and_pages_are_the_exchange_s(symbol: str) -> None:
    assert keys(candles(table(*session(minutes=1, symbol=symbol)))) == ["NSE_EQ|M&M"]
    assert keys(candles(WITHOUT_SYMBOL, "M%26M_1min.csv")) == ["NSE_EQ|M&M"]


def test_days_that_begin_with_the_year_of_two_digits_are_asked_about() -> None:
    def text(written: str) -> str:
        days = ("2025-06-16", "2025-06-17")
        return table(*(row for day in days for row in session(day, minutes=1, written=written)))

    clocks, written = ["2025-06-16 09:15", "2025-06-17 09:15"], "%y-%m-%d %H:%M"
    asked = refused(text(written))
    assert (asked.rule, asked.paste) == ("ambiguous dates", {"timestamp_format": written})
    assert moments(candles(text(written), timestamp_format=written)) == clocks
    assert moments(candles(text("%d-%m-%y %H:%M"))) == clocks
