"""Signs, guards, names and orders of rows as strangers write them: read where they mean one thing, else asked about.

Belongs here: what one value, name or row is written as, in files of the general layout. Does not belong here: vendors'
layouts (``layouts/``), dialects of separators and code pages (``test_dialects``).
"""

from __future__ import annotations

import gzip
import io
import json
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pytest

from setbull_pipelines_tests.sources.reading_files import (
    HEADER,
    candles,
    keys,
    moments,
    read,
    refused,
    session,
    table,
    values,
)

DAILY = "symbol,date,open,high,low,close,volume"
BAR = [[500.5, 501, 500, 500.75, 1200]]


def one_day(*prices: str, volume: str = "1200") -> str:
    """A file of one daily bar whose values are written like this."""
    return table(
        "ITC,2025-06-09," + ",".join(f'"{text}"' for text in (*prices, volume)), header=DAILY
    )


@pytest.mark.parametrize(
    ("prices", "note"),
    [
        (("500.5 INR", "501 INR", "500 INR", "500.75 INR"), "currency signs"),
        (("Rs. 500.50/-", "Rs. 501/-", "500/-", "500.75 \u20b9"), "currency signs"),
        (("\u096b\u0966\u0966.\u096b", "501", "500", "500.75"), "digits of another script"),
        (("\u200e500.5", "501\u200b", "500", "500.75"), "signs that nobody sees left out"),
        (
            ("'500.5", "'501", "'500", "'500.75"),
            'open, high, low, close written for a spreadsheet to take for texts (="..." or \')',
        ),
    ],
)
def test_prices_whose_meaning_is_certain_are_read_and_said(
    prices: tuple[str, ...], note: str
) -> None:
    found = candles(one_day(*prices))
    assert values(found) == BAR
    assert note in found.notes


def test_decimals_of_a_parquet_file_are_the_nearest_numbers() -> None:
    """Of the 4 digits that a day's prices differ in, Arrow's own way misses about one of fifty."""
    prices = [Decimal(number).scaleb(-2) for number in range(240_000, 250_000, 7)]
    start = datetime(2025, 6, 2)
    frame = pd.DataFrame({"symbol": [f"A{n}" for n in range(len(prices))], "timestamp": start})
    for name in ("open", "high", "low", "close"):
        frame[name] = prices
    content = io.BytesIO()
    frame.assign(volume=1).to_parquet(content)
    found = values(candles(content.getvalue(), "prices.parquet"))
    assert sorted(row[0] for row in found) == [float(str(price)) for price in prices]


def test_thin_spaces_between_groups_of_digits_are_read() -> None:
    found = candles(one_day(*(f"1\u2009{price}" for price in ("500.5", "501", "500", "500.75"))))
    assert values(found) == [[1500.5, 1501, 1500, 1500.75, 1200]]
    assert "thousands separators" in found.notes
    document = json.dumps(
        [
            {
                **dict(
                    zip(
                        DAILY.split(","),
                        ("ITC", "2025-06-09", *["1\u2009500.5"] * 4, 7),
                        strict=True,
                    )
                )
            }
        ]
    )
    assert values(candles(document, "a.json")) == [[*[1500.5] * 4, 7]]


def test_a_minus_of_typography_is_one_and_no_price() -> None:
    (row,) = candles(one_day("\u2212500.5", "501", "500", "500.75")).rejected.to_dict("records")
    assert (row["rule"], row["value"]) == ("not positive", "\u2212500.5")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("12,345K", 12_345_000),
        ("1,234.5K", 1_234_500),
        ("1,23,456.5L", 12_345_650_000),
        ("9.83 mln", 9_830_000),
    ],
)
def test_short_volumes_are_grouped_as_the_numbers_of_their_file(written: str, number: int) -> None:
    found = candles(one_day("500.5", "501", "500", "500.75", volume=written))
    assert values(found)[0][-1] == number
    assert (
        f"1 values of volume are written short, so that they are rounded: {written} = {number:,}"
        in found.notes
    )


def test_a_short_volume_with_one_comma_is_asked_about_where_nothing_decides() -> None:
    asked = refused(one_day("500", "501", "500", "500", volume="12,345K"))
    assert (asked.rule, asked.value) == ("ambiguous numbers", "12,345")
    read_so = candles(one_day("500", "501", "500", "500", volume="12,345K"), decimal=",")
    assert values(read_so)[0][-1] == 12_345
    read_so = candles(one_day("500", "501", "500", "500", volume="12,345K"), decimal=".")
    assert values(read_so)[0][-1] == 12_345_000


@pytest.mark.parametrize("written", ["12.4 T", "1.1MM", "0.5Q", "5shares", "K", "2K-"])
def test_units_that_mean_nothing_certain_are_no_numbers(written: str) -> None:
    found = candles(one_day("500.5", "501", "500", "500.75", volume=written))
    assert found.rejected[["rule", "value"]].values.tolist() == [["not a number", written]]


def test_volumes_that_a_spreadsheet_has_rounded_are_said_to_be() -> None:
    found = candles(one_day("500.5", "501", "500", "500.75", volume="1.23E+08"))
    assert values(found)[0][-1] == 123_000_000
    assert (
        "1 values of volume are written with an exponent, so that they are rounded: 1.23E+08 = 123,000,000"
        in found.notes
    )
    exact = candles(one_day("500.5", "501", "500", "500.75", volume="1.2345e+04"))
    assert values(exact)[0][-1] == 12_345
    assert not any("exponent" in note for note in exact.notes)


def test_symbols_in_small_letters_and_in_guards_are_the_exchange_s() -> None:
    minutes = session(minutes=4)
    rows = [
        row.replace("ALPHA", symbol)
        for row, symbol in zip(minutes, ("itc", "ITC", '"=""ITC"""', "nse:itc-eq"), strict=True)
    ]
    found = candles(table(*rows))
    assert keys(found) == ["NSE_EQ|ITC"]
    assert len(found.accepted) == 4
    assert "instruments itc = NSE_EQ|ITC, nse:itc-eq = NSE_EQ|ITC" in found.notes


def test_names_of_indices_keep_their_small_letters() -> None:
    assert keys(candles(table(*session(minutes=2, symbol="Nifty 50")))) == ["NSE_INDEX|Nifty 50"]


@pytest.mark.parametrize("written", ["NIFTY 50", "^NSEI", "NIFTY"])
def test_an_index_under_another_name_than_the_broker_s_is_said_to_be_another(written: str) -> None:
    """Two files of one index under two names are two instruments."""
    found = candles(table(*session(minutes=2, symbol=written)))
    (key,) = keys(found)
    said = f"{key} is an instrument of its own, apart from the broker's NSE_INDEX|Nifty 50"
    assert said in found.notes
    same = candles(table(*session(minutes=2, symbol="Nifty 50")))
    assert not any("of its own" in note for note in same.notes)


def test_a_name_that_an_object_has_twice_is_said_and_the_last_value_counts() -> None:
    row = '"symbol":"ITC","date":"2025-06-09","open":500.5,"high":501,"low":500,"volume":1200'
    again = f'{{{row},"close":500,"close":500.75}}'
    found = candles(f"[{again},{again.replace('ITC', 'TCS')}]", "a.json")
    assert [bar[3] for bar in values(found)] == [500.75, 500.75]
    assert "2 objects have 'close' twice: the last value counts" in found.notes
    lines = candles(f"{again}\n{again.replace('ITC', 'TCS')}\n", "a.json")
    assert "2 objects have 'close' twice: the last value counts" in lines.notes
    once = candles(f'[{{{row},"close":500.75}}]', "a.json")
    assert not any("twice" in note for note in once.notes)


def test_isins_in_place_of_symbols_are_the_keys() -> None:
    found = candles(
        table(*session(minutes=2, symbol="INE154A01025"), header=HEADER.replace("symbol", "ISIN"))
    )
    assert keys(found) == ["NSE_EQ|INE154A01025"]
    assert "columns isin = symbol" in found.notes


def test_quotation_marks_after_spaces_are_no_part_of_values() -> None:
    rows = [
        ", ".join(f'"{value}"' for value in row.split(",")) for row in (HEADER, *session(minutes=2))
    ]
    found = candles("\n".join(rows) + "\n")
    assert len(found.accepted) == 2
    assert "spaces before quotation marks left out" in found.notes


def test_names_in_another_language_are_proposed_by_their_place() -> None:
    text = table(
        *session(minutes=3),
        header="Scrip,\u0924\u093e\u0930\u0940\u0916,Er\u00f6ffnung,Hoch,Tief,Schluss,Menge",
    )
    asked = refused(text)
    proposed = dict(
        zip(
            (
                "scrip",
                "\u0924\u093e\u0930\u0940\u0916",
                "er\u00f6ffnung",
                "hoch",
                "tief",
                "schluss",
                "menge",
            ),
            HEADER.split(","),
            strict=True,
        )
    )
    assert (asked.rule, asked.line, asked.paste) == ("unknown columns", 2, {"columns": proposed})
    assert len(candles(text, columns=proposed).accepted) == 3


@pytest.mark.parametrize(
    "row",
    [
        "2025-06-09,400,3000,1500,90,10",  # closes of five shares
        "2025-06-09,x,400,500,300,350",
    ],
)
def test_columns_that_cannot_be_candles_are_not_proposed(row: str) -> None:
    assert not refused(table(row, header="Tag,a,b,c,d,e")).paste


def test_a_compressed_file_under_a_plain_name_and_the_other_way_round_are_read_and_said() -> None:
    text = table(*session(minutes=2)).encode()
    found = candles(gzip.compress(text, mtime=0), "prices.csv")
    assert "compressed (gzip), though the name says .csv" in found.notes
    assert values(candles(text, "prices.csv.gz")) == values(found)
    assert "not compressed, though the name says .csv.gz" in candles(text, "prices.csv.gz").notes
    assert "whole gzip file" in refused(gzip.compress(text, mtime=0)[:-9], "prices.csv").reason


def test_the_end_of_a_day_is_that_day() -> None:
    rows = [f"ITC,2025-06-{day:02} 24:00,100,101,99,100,5" for day in (9, 10, 13)]
    found = candles(table(*rows))
    assert moments(found) == [f"2025-06-{day:02} 00:00" for day in (9, 10, 13)]
    assert found.kind == "daily"
    assert "24:00 is the end of its day" in found.notes


def test_epochs_with_an_exponent_are_read_where_it_left_all_digits() -> None:
    bars = ",100,101,99,100,5"
    found = candles(table(f"ITC,1.7494407e+18{bars}", f"ITC,1.74944076e+18{bars}"))
    assert moments(found) == ["2025-06-09 09:15", "2025-06-09 09:16"]
    asked = refused(table(*[f"ITC,1.74944E+12{bars}"] * 3))
    assert (asked.rule, asked.value, asked.count) == ("rounded moments", "1.74944E+12", 3)


def test_rows_that_repeat_a_bar_are_counted_and_shown() -> None:
    minutes = session(minutes=4)
    other = minutes[1].replace("100.5", "100.25")
    found = candles(table(*minutes, minutes[3], other))
    assert (
        "2 rows repeat a bar, 1 with other values: the last line counts, such as line 7 over line 3, the others go to "
        "quarantine"
    ) in found.notes
    assert not any("repeat" in note for note in candles(table(*minutes)).notes)
    assert "1 rows repeat a bar" in candles(table(*minutes, minutes[3])).notes


def test_nameless_columns_are_told_once() -> None:
    rows = [f"{row},," for row in session(minutes=2)]
    assert candles(table(*rows, header=f"{HEADER},,")).ignored_columns == ["(without a name)"]


def test_rows_of_other_markets_in_a_day_file_are_rejected_one_by_one() -> None:
    names = "TradDt,Sgmt,Src,ISIN,TckrSymb,SctySrs,OpnPric,HghPric,LwPric,ClsPric,TtlTradgVol"
    share = "2025-06-09,CM,NSE,INE154A01025,ITC,EQ,418.5,420.1,417.2,419.9,7533210"
    future = "2025-06-09,FO,NSE,,ITC,,418.5,420.1,417.2,419.9,7533210"
    found = candles(table(share, future, header=names))
    assert values(found) == [[418.5, 420.1, 417.2, 419.9, 7533210]]
    assert found.rejected[["line", "rule"]].values.tolist() == [[3, "other series"]]
    assert "1 rows of other markets" in found.notes
    assert "column sgmt, expected CM" in refused(table(future, header=names)).reason


def test_totals_notes_and_a_header_again_are_kept_with_their_reason() -> None:
    minutes = session(minutes=3)
    found = candles(table(*minutes[:2], HEADER, minutes[2], "Total,,,,,,999", "", "Source: NSE"))
    assert len(found.accepted) == 3
    assert found.rejected[["line", "rule"]].sort_values("line").values.tolist() == [
        [4, "unreadable timestamp"],
        [6, "missing value"],
        [8, "malformed row"],
    ]
    # Names that only rejected rows have are no instruments.
    assert not any("instruments" in note for note in found.notes)


def test_a_second_header_with_another_order_is_refused() -> None:
    other = HEADER.replace("open,high,low,close", "close,high,low,open")
    minutes = session(minutes=6)
    asked = refused(table(*minutes[:3], other, *minutes[3:]))
    assert (asked.rule, asked.line, asked.value) == ("second header", 5, "close")
    row = minutes[0].replace(",100,", ",low liquidity,")
    assert len(candles(table(*minutes[1:], row)).accepted) == 5


def test_a_quotation_mark_that_nothing_closes_is_told_with_what_it_swallows() -> None:
    minutes = session(minutes=6)
    found = candles(table(*minutes[:3], f'"{minutes[3]}', *minutes[4:]))
    (row,) = found.rejected.to_dict("records")
    assert (row["line"], row["rule"]) == (5, "malformed row")
    assert "nothing closes, so that 2 more lines are part of the row" in row["reason"]
    assert minutes[5] in row["value"]


def test_numbers_in_place_of_symbols_are_those_of_another_exchange() -> None:
    text = table(*session(minutes=2, symbol="500875"))
    found = candles(text)
    assert found.rejected["rule"].tolist() == ["invalid instrument"] * 2
    assert keys(candles(text, exchange="BSE")) == ["BSE_EQ|500875"]


@pytest.mark.parametrize("day", ["45817", "2025-06-09", "09-Jun-2025"])
def test_clocks_that_are_fractions_of_a_day_are_read(day: str) -> None:
    rows = [f"ITC,{day},{minute / 1440:.9f},100,101,99,100,5" for minute in (555, 556, 929)]
    found = candles(table(*rows, header="Symbol,Date,Time,Open,High,Low,Close,Volume"))
    assert moments(found) == [f"2025-06-09 {clock}" for clock in ("09:15", "09:16", "15:29")]


def test_offsets_without_a_leading_zero_are_read() -> None:
    rows = [f"ITC,2025-06-09 09:{minute}:00 GMT+5:30,100,101,99,100,5" for minute in (15, 16)]
    assert moments(candles(table(*rows))) == ["2025-06-09 09:15", "2025-06-09 09:16"]


def test_columns_that_spaces_align_are_read() -> None:
    rows = [row.replace(",", "   ") for row in session(minutes=2)]
    text = "\n".join(["symbol    timestamp   open  high low   close volume", *rows]) + "\n"
    assert len(candles(text, "prices.txt").accepted) == 2


def test_moments_that_none_can_read_are_not_taken_for_one() -> None:
    found = candles(table(*["ITC,-5,100,101,99,100,5"] * 12))
    assert found.rejected["rule"].tolist() == ["unreadable timestamp"] * 12


def test_lines_that_are_no_json_are_rejected_and_the_others_read() -> None:
    rows = [
        json.dumps(dict(zip(HEADER.split(","), row.split(","), strict=True)))
        for row in session(minutes=6)
    ]
    text = "\n".join([*rows[:2], "", rows[2][:-20], *rows[3:]]) + "\n"
    found = candles(text, "a.jsonl")
    assert found.accepted["line"].to_pylist() == [1, 2, 5, 6, 7]
    (row,) = found.rejected.to_dict("records")
    assert (row["line"], row["rule"], row["value"]) == (4, "malformed row", rows[2][:-20])
    assert row["reason"].startswith("Found text that is not JSON (Unterminated string")
    assert "not JSON" in refused("\n".join([rows[0], rows[1][:-9], rows[2][:-9]]), "a.jsonl").reason
    lists = [json.dumps({"candles": [[1, 2, 3]]})] * 3
    assert refused("\n".join([*lists, "{"]), "a.jsonl").line == 4


def test_what_is_not_a_table_stays_one_sentence() -> None:
    for text in ("Total,,,,,,12345\n", "\n\n\n", HEADER, "\ufeff", "'\n", '="'):
        assert read(text).reason.startswith("found ")
