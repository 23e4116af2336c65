"""Further inputs of the kinds that users bring: what a stranger would try next. Read and said, or asked for."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
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

OPEN = datetime(2025, 6, 2, 9, 15)
BARS = [[100.0, 101.5, 99.25, 100.5, 7533], [100.5, 101.0, 100.0, 100.25, 4790]]
TIMES = [OPEN + timedelta(minutes=number) for number in range(2)]
ISO = [f"{moment.isoformat()}+05:30" for moment in TIMES]
EPOCHS = [
    int((moment - timedelta(hours=5, minutes=30)).replace(tzinfo=UTC).timestamp())
    for moment in TIMES
]
LISTS = [[moment, *bar] for moment, bar in zip(ISO, BARS, strict=True)]
NAMES = ("open", "high", "low", "close", "volume")
OBJECTS = [{"date": row[0], **dict(zip(NAMES, row[1:], strict=True))} for row in LISTS]


def text_of(header: str, *columns: list) -> str:
    """A CSV of a row for each bar, whose first columns are given."""
    rows = [
        ",".join(map(str, (*(column[number] for column in columns), *bar)))
        for number, bar in enumerate(BARS)
    ]
    return "\n".join([header, *rows]) + "\n"


SERIAL = [(moment - datetime(1899, 12, 30)) / timedelta(days=1) for moment in TIMES]
MINUTES = {
    "a zone in the name of the column": (
        "ITC.csv",
        text_of(
            "timestamp (UTC),open,high,low,close,volume",
            [moment - timedelta(hours=5, minutes=30) for moment in TIMES],
        ),
        "moments are UTC, by the name 'timestamp (utc)'",
    ),
    "days of a spreadsheet": (
        "ITC.csv",
        text_of("Date,Open,High,Low,Close,Volume", [f"{number:.6f}" for number in SERIAL]),
        "days as a spreadsheet counts them",
    ),
    "clocks that lost their zero": (
        "ITC.csv",
        text_of("Date,Time,O,H,L,C,V", ["20250602"] * 2, ["91500", "91600"]),
        "date and time = timestamp",
    ),
    "t of charts": ("ITC.csv", text_of("t,o,h,l,c,v", EPOCHS), "t = timestamp"),
    "comments above the header": (
        "ITC.csv",
        "# exported by x, y\n# of NSE\n" + text_of("time,open,high,low,close,volume", ISO),
        "2 lines above the header",
    ),
    "single quotation marks": (
        "prices.csv",
        "'symbol','timestamp','open','high','low','close','volume'\n"
        + "".join(
            f"'ITC','{moment}',{','.join(map(str, bar))}\n"
            for moment, bar in zip(ISO, BARS, strict=True)
        ),
        "quoted by '",
    ),
    "spaces": (
        "ITC.txt",
        text_of(
            "date,time,open,high,low,close,volume", ["2025-06-02"] * 2, ["09:15", "09:16"]
        ).replace(",", " "),
        "separated by spaces",
    ),
    "JSON under the name of CSV": (
        "ITC.csv",
        json.dumps(OBJECTS),
        "JSON, though the name says .csv",
    ),
    "lists of a broker that nobody named": (
        "ITC.json",
        json.dumps(
            {
                "status": "SUCCESS",
                "payload": {"candles": [[e, *b] for e, b in zip(EPOCHS, BARS, strict=True)]},
            }
        ),
        "lists of moment, open, high, low, close, volume",
    ),
    "Shoonya": (
        "ITC.json",
        json.dumps(
            [
                {
                    "ssboe": str(moment),
                    **{
                        name: str(v)
                        for name, v in zip(
                            ("into", "inth", "intl", "intc", "intv"), bar, strict=True
                        )
                    },
                    "v": "99999",
                }
                for moment, bar in zip(EPOCHS, BARS, strict=True)
            ]
        ),
        "Shoonya",
    ),
    "moments beside the lists, one level up": (
        "ITC.json",
        json.dumps(
            {
                "chart": {
                    "result": [
                        {
                            "timestamp": EPOCHS,
                            "indicators": {
                                "quote": [
                                    {name: [bar[n] for bar in BARS] for n, name in enumerate(NAMES)}
                                ]
                            },
                        }
                    ]
                }
            }
        ),
        "epoch seconds",
    ),
    "an object for each moment": (
        "ITC.json",
        json.dumps(
            {
                moment: {f"{n}. {name}": str(bar[n - 1]) for n, name in enumerate(NAMES, start=1)}
                for moment, bar in zip(ISO, BARS, strict=True)
            }
        ),
        "1. open = open",
    ),
    "columns of a frame by moment": (
        "ITC.json",
        json.dumps(
            {
                name: {moment: bar[n] for moment, bar in zip(ISO, BARS, strict=True)}
                for n, name in enumerate(NAMES)
            }
        ),
        "instrument ITC from the file name",
    ),
}


@pytest.mark.parametrize("what", MINUTES)
def test_the_same_two_minutes_in_yet_another_way(what: str) -> None:
    name, text, said = MINUTES[what]
    found = candles(text, name)
    assert (found.kind, moments(found)) == ("minutes", ["2025-06-02 09:15", "2025-06-02 09:16"])
    assert values(found) == BARS
    assert keys(found) == ["NSE_EQ|ITC"]
    assert said in "; ".join(found.notes)


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
    ("written", "number"),
    [
        ("10.60M", 10_600_000),
        ("1.3 Lakh", 130_000),
        ("2,5K", 2_500),
        ("0.71Cr", 7_100_000),
        ("1.2bn", 1_200_000_000),
    ],
)
def test_volumes_that_are_written_short_are_read_and_said(written: str, number: int) -> None:
    text = f'symbol,date,open,high,low,close,volume\nITC,2025-06-02,1,1,1,1,"{written}"\n'
    found = candles(text)
    assert values(found) == [[1, 1, 1, 1, number]]
    assert (
        f"1 values of volume are written short, so that they are rounded: {written} = {number:,}"
        in found.notes
    )


def test_a_price_that_is_written_short_and_a_unit_that_nobody_knows_are_no_numbers() -> None:
    rows = [
        "ITC,2025-06-02,1K,1K,1K,1K,5",
        "ITC,2025-06-03,1,1,1,1,5X",
        f"ITC,2025-06-04,1,1,1,1,{'9' * 400}K",
        "ITC,2025-06-05,1,1,1,1,5",
    ]
    found = candles(table(*rows))
    assert found.rejected[["column", "rule"]].values.tolist() == [
        ["open", "not a number"],
        ["volume", "not a number"],
        ["volume", "not a number"],
    ]


def test_nothing_is_written_in_many_ways() -> None:
    rows = [
        f"ITC,{ISO[0][:14]}{15 + number}:00+05:30,1,1,1,1,5,{nothing}"
        for number, nothing in enumerate(("NULL", "None", "N/A", "-", "", "0"))
    ]
    found = candles(table(*rows, header=f"{HEADER},oi"))
    assert found.accepted["open_interest"].to_pylist() == [None] * 5 + [0]


def test_currency_signs_are_taken_off() -> None:
    found = candles(table('ITC,2025-06-02,\u20b9999.5,"Rs. 1,000.00",\u20b9 990,INR 995,5'))
    assert values(found) == [[999.5, 1000, 990, 995, 5]]
    assert "currency signs" in found.notes


def test_prices_of_32_bits_are_the_decimals_that_they_stand_for() -> None:
    frame = pd.DataFrame({"symbol": "ITC", "timestamp": ISO[:1], "volume": [5]})
    for name in ("open", "high", "low", "close"):
        frame[name] = np.array([1000.62], "float32")
    content = io.BytesIO()
    frame.to_parquet(content)
    found = candles(content.getvalue(), "prices.parquet")
    assert values(found) == [[1000.62, 1000.62, 1000.62, 1000.62, 5]]


def _weeks(step: int, count: int = 12) -> str:
    days = [datetime(2025, 1, 6) + timedelta(days=step * number) for number in range(count)]
    return table(*(f"ITC,{day:%Y-%m-%d},1,1,1,1,{number + 5}" for number, day in enumerate(days)))


@pytest.mark.parametrize(("step", "name"), [(7, "weekly"), (30, "monthly"), (91, "quarterly")])
def test_bars_of_weeks_and_months_are_not_taken_for_days(step: int, name: str) -> None:
    asked = refused(_weeks(step))
    assert asked.rule == "longer than a day"
    assert f"bars {step} days apart, which are {name}" in asked.reason


def test_days_of_a_share_that_trades_once_a_week_stay_days_beside_another() -> None:
    daily = [f"TCS,2025-06-{day:02},1,1,1,1,5" for day in (2, 3, 4, 5, 6, 9)]
    seldom = [row for row in _weeks(7).splitlines()[1:] if row]
    found = candles(table(*seldom, *daily))
    assert keys(found) == ["NSE_EQ|ITC", "NSE_EQ|TCS"]
    assert not refused_rules(found) - {"closed day"}


def refused_rules(found: object) -> set[str]:
    return set(found.rejected["rule"])


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "%Y-%m-%dT%H:%M:%SZ",
            {"timestamp_format": "%Y-%m-%dT%H:%M:%SZ", "timezone": "Asia/Kolkata"},
        ),
        (
            "%Y-%m-%d %H:%M:%S+00:00",
            {"timestamp_format": "%Y-%m-%d %H:%M:%S+00:00", "timezone": "Asia/Kolkata"},
        ),
    ],
)
def test_the_exchange_s_clock_under_the_name_of_utc_is_asked_for(written: str, said: dict) -> None:
    text = table(*session(written=written))
    asked = refused(text)
    assert asked.rule == "other clock"
    assert (
        "45 of 375 lie in the exchange's hours, and 375 would on the clock of Asia/Kolkata"
        in asked.reason
    )
    assert asked.paste == said
    assert moments(candles(text, **said)) == moments(candles(table(*session())))


def test_epochs_of_the_exchange_s_clock_are_asked_for() -> None:
    epoch = [int((OPEN + timedelta(minutes=n)).replace(tzinfo=UTC).timestamp()) for n in range(375)]
    text = table(*(f"ITC,{moment},1,1,1,1,{n % 7}" for n, moment in enumerate(epoch)))
    asked = refused(text)
    assert (asked.rule, asked.paste) == ("other clock", {"timezone": "Asia/Kolkata"})
    assert moments(candles(text, **asked.paste))[0] == "2025-06-02 09:15"
    assert moments(candles(table(f"ITC,{EPOCHS[0]},1,1,1,1,1"), timezone="UTC")) == [
        "2025-06-02 09:15"
    ]


def test_minutes_before_the_open_are_rejected_as_such_and_not_moved() -> None:
    rows = session(first="08:20", minutes=50)
    assert set(candles(table(*rows)).rejected["rule"]) == {"pre_open"}


@pytest.mark.parametrize(
    "symbol",
    [
        "NIFTY25JUN24500CE",
        "RELIANCE25JUNFUT",
        "BANKNIFTY2561255000PE",
        "RELIANCE-I",
        "NFO:ITC25JUNFUT",
    ],
)
def test_contracts_are_told_by_their_symbol(symbol: str) -> None:
    found = candles(table(f"{symbol},{ISO[0]},1,1,1,1,5", f"RELIANCE,{ISO[0]},1,1,1,1,5"))
    assert found.rejected["rule"].tolist() == ["contracts"]
    assert keys(found) == ["NSE_EQ|RELIANCE"]


def test_shares_whose_symbols_look_a_little_like_contracts_are_shares() -> None:
    symbols = [
        "3IINFOLTD",
        "BAJAJ-AUTO",
        "20MICRONS",
        "NIFTYBEES",
        "RELIANCE",
        "JUNIORBEES",
        "360ONE",
        "TVSMOTOR",
    ]
    found = candles(table(*(f"{symbol},{ISO[0]},1,1,1,1,5" for symbol in symbols)))
    assert len(found.accepted) == len(symbols)


def test_a_day_file_without_instruments_is_not_one_instrument() -> None:
    rows = "".join(f"02-Jun-25,{500 + n},{510 + n},{490 + n},{505 + n},{n}\n" for n in range(40))
    asked = refused(f"DATE,OPEN,HIGH,LOW,CLOSE,VOLUME\n{rows}", "ALLSHARES.csv")
    assert asked.rule == "several instruments"
    assert "40 different bars of one moment" in asked.reason


def test_a_corrected_copy_in_one_file_is_not_several_instruments() -> None:
    rows = session(minutes=20)
    found = candles(table(*rows, *(row.replace("100.5", "100.25") for row in rows[:5])))
    assert len(found.accepted) == 25


def test_one_bar_a_day_on_too_few_days_is_said_and_the_settings_decide() -> None:
    text = table(
        "ITC,2025-06-02T09:15:00+05:30,1,1,1,1,5", "ITC,2025-06-03T09:15:00+05:30,1,1,1,1,6"
    )
    undecided = candles(text)
    assert undecided.kind == "minutes"
    assert any('interval = "day"' in note for note in undecided.notes)
    assert candles(text, interval="minute").notes == ()
    daily = candles(text, interval="day")
    assert (daily.kind, moments(daily)) == ("daily", ["2025-06-02 00:00", "2025-06-03 00:00"])
    asked = refused(table(*session(minutes=3)), interval="day")
    assert asked.rule == "several bars a day"


def test_lines_are_those_of_the_file_where_values_have_line_ends() -> None:
    text = (
        f'{HEADER},remark\nA,{ISO[0]},1,1,1,1,1,"x\ny"\nA,{ISO[1]},1,1,1,1,-1,z\nA,{ISO[1]},1\n'
        f'A,{ISO[1]},1,1,1,1,1,"a\n""b""\nc"\nA,{ISO[0]},1,1,1,1,-1,q\n'
    )
    found = candles(text)
    assert found.accepted["line"].to_pylist() == [2, 6]
    assert found.rejected[["line", "rule"]].values.tolist() == [
        [4, "negative volume"],
        [9, "negative volume"],
        [5, "malformed row"],
    ]


def test_line_ends_in_values_of_a_large_file() -> None:
    rows = [
        f'{row},"x\n{"y" * 300}"'
        for day in (2, 3, 4)
        for row in session(f"2025-06-0{day}", symbol="A")
    ] * 12
    found = candles(table(*rows, header=f"{HEADER},remark"))
    assert found.received == len(found.accepted) == 375 * 3 * 12


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


def test_rows_without_any_moment_are_rejected_one_by_one() -> None:
    found = candles(table("ITC,,1,1,1,1,5", "ITC,,1,1,1,1,6"))
    assert found.rejected["rule"].tolist() == ["missing value"] * 2


@pytest.mark.parametrize(
    "header",
    [
        "Stock,Ticker,Date,Open,High,Low,Close,Volume",
        "Company,Symbol,Date,Open (\u20b9),High (\u20b9),Low (\u20b9),Close (\u20b9),Volume (Shares)",
        "Name,Symbol,Date,Open,High,Low,Close*,Volume",
    ],
)
def test_names_of_columns_with_units_notes_and_better_ones_beside(header: str) -> None:
    found = candles(table("ITC Limited,ITC,2025-06-02,1,2,1,1,5", header=header))
    assert (keys(found), values(found)) == (["NSE_EQ|ITC"], [[1, 2, 1, 1, 5]])


def test_a_volume_in_lakhs_is_not_one_in_shares() -> None:
    text = table(
        "ITC,2025-06-02,1,2,1,1,5", header="Symbol,Date,Open,High,Low,Close,Volume (Lakhs)"
    )
    assert refused(text).rule == "missing column"
