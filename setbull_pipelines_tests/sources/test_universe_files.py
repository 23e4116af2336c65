"""Instrument files: what is read from each form of list."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, take_in
from setbull_pipelines.sources.universe_files import CheckedUniverse
from setbull_pipelines.tables import INSTRUMENTS
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.sources.reading_files import read, refused

CANDLES = (
    "instrument_key,timestamp,open,high,low,close,volume\n"
    "NSE_EQ|INE002A01018,2025-06-02T09:15:00+05:30,1,1,1,1,1\n"
)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "candles.csv").write_text(CANDLES)
    return folder


def take(folder: Path) -> Intake:
    taken = take_in(folder, folder.parent / "landing", SampleSettings(), LATER)
    INSTRUMENTS.schema.validate(taken.instruments)
    return taken


def test_the_brokers_json_master_states_ticks_in_paise(inbox: Path) -> None:
    entries = [
        {
            "segment": "NSE_EQ",
            "name": "RELIANCE INDUSTRIES LTD",
            "isin": "INE002A01018",
            "instrument_type": "EQ",
            "instrument_key": "NSE_EQ|INE002A01018",
            "lot_size": 1,
            "exchange_token": "2885",
            "tick_size": 10.0,
            "trading_symbol": "RELIANCE",
        },
        {"instrument_key": "NSE_INDEX|Nifty 50", "trading_symbol": "NIFTY", "name": "Nifty 50"},
        {"instrument_key": "MOON|1", "trading_symbol": "MOON", "isin": ""},
    ]
    (inbox / "NSE.json.gz").write_bytes(gzip.compress(json.dumps(entries).encode()))
    taken = take(inbox)
    found = taken.instruments.set_index("symbol")
    assert found.loc["RELIANCE"].drop("source").tolist() == [
        "NSE_EQ|INE002A01018",
        "RELIANCE INDUSTRIES LTD",
        "INE002A01018",
        "2885",
        0.1,
        1,
        "EQ",
    ]
    assert found.loc["NIFTY", ["isin", "tick_size", "lot_size"]].isna().all()
    assert taken.unassigned[["line", "rule"]].values.tolist() == [[3, "invalid instrument"]]
    assert "unknown segment 'MOON'" in taken.unassigned["reason"].iloc[0]


def test_a_broker_s_list_of_all_markets_keeps_them_apart(inbox: Path) -> None:
    (inbox / "instruments.csv").write_text(
        "exchange_token,tradingsymbol,tick_size,lot_size,instrument_type,exchange\n"
        "2885,RELIANCE,0.1,1,EQ,NSE\n"
        "500325,RELIANCE,0.05,1,EQ,BSE\n"
        "1,RELIANCE25JUNFUT,0.05,250,FUT,NFO\n"
    )
    taken = take(inbox)
    found = taken.instruments.set_index("instrument_key")["exchange_token"].to_dict()
    assert found == {"BSE_EQ|RELIANCE": "500325", "NSE_EQ|RELIANCE": "2885"}
    rejected = taken.unassigned[taken.unassigned["source"] == "instruments.csv"]
    assert rejected[["line", "rule", "value"]].values.tolist() == [[4, "other market", "NFO"]]


@pytest.mark.parametrize("isin", ["", "INE002A01018"])
def test_prices_of_bse_are_not_taken_for_those_of_the_share_that_a_list_names(
    inbox: Path, isin: str
) -> None:
    row = "2025-06-02T09:15:00+05:30,1,1,1,1,1"
    (inbox / "candles.csv").write_text(
        f"symbol,timestamp,open,high,low,close,volume\nBSE:RELIANCE,{row}\nRELIANCE,{row}\n"
    )
    (inbox / "list.csv").write_text(f"symbol,isin,tick_size\nRELIANCE-EQ,{isin},0.1\n")
    taken = take(inbox)
    day = taken.load_days(taken.days("minutes"))[taken.days("minutes")[0]]
    assert list(day.candles_1min["instrument_key"]) == [f"NSE_EQ|{isin or 'RELIANCE'}"]
    assert day.quarantine[["instrument_key", "rule"]].values.tolist() == [
        ["BSE_EQ|RELIANCE", "unknown instrument"]
    ]


SHARES = (
    "SYMBOL,NAME OF COMPANY, SERIES, DATE OF LISTING, PAID UP VALUE, MARKET LOT, ISIN NUMBER, FACE VALUE\n"
    "RELIANCE,Reliance Industries Limited,EQ,29-NOV-1995,10,1,INE002A01018,10\n"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHARES, "found the exchange's list of what is traded"),
        (
            "Symbol,Underlying,SecurityName, DateofListing, MarketLot, ISINNumber, FaceValue\n"
            "NIFTYBEES,Nifty 50,NIFTY BEES,08-JAN-02,1,INF204KB14I2,1\n",
            "found the exchange's list of what is traded",
        ),
        (
            "Company Name,Industry,Symbol,Series,ISIN Code\nReliance,Oil,RELIANCE,EQ,INE002A01018\n",
            "found the members of an index",
        ),
        (
            "Amara Raja,AMARAJABAT,ARE&M,05-OCT-2023\nZomato Limited,ZOMATO,ETERNAL,09-APR-2025\n",
            "found the exchange's list of changed symbols",
        ),
        (
            "SYMB_COMPANY_NAME, SM_KEY_SYMBOL, SM_NEW_SYMBOL, SM_APPLICABLE_FROM\nZomato,ZOMATO,ETERNAL,09-APR-2025\n",
            "found the exchange's list of changed symbols",
        ),
    ],
)
def test_lists_of_the_exchange_that_are_no_input_are_told_as_what_they_are(
    text: str, said: str
) -> None:
    asked = refused(text, "list.csv")
    assert asked.rule == "list of the exchange"
    assert asked.reason.startswith(said)
    assert len(asked.reason) < 300


def test_the_list_of_all_shares_counts_where_the_settings_say_so() -> None:
    columns = "isin number=isin,name of company=name"
    assert f"--columns '{columns}'" in refused(SHARES, "EQUITY_L.csv").reason
    said = dict(pair.split("=") for pair in columns.split(","))
    found = read(SHARES, "EQUITY_L.csv", columns=said)
    assert isinstance(found, CheckedUniverse)
    row = found.instruments.iloc[0]
    assert row[["instrument_key", "symbol", "name"]].tolist() == [
        "NSE_EQ|INE002A01018",
        "RELIANCE",
        "Reliance Industries Limited",
    ]


def test_several_lists_are_one_and_the_later_file_counts(inbox: Path) -> None:
    (inbox / "1.csv").write_text(
        "instrument_key,symbol,tick_size,lot_size\nNSE_EQ|INE002A01018,OLD,0.05,1\n"
    )
    (inbox / "2.csv").write_text("symbol,isin,name\nRELIANCE,INE002A01018,Reliance\n")
    row = take(inbox).instruments.iloc[0]
    assert (row["symbol"], row["name"], row["tick_size"], row["lot_size"], row["source"]) == (
        "RELIANCE",
        "Reliance",
        0.05,
        1,
        "2.csv",
    )


def test_bad_rows_of_a_list_are_quarantined(inbox: Path) -> None:
    (inbox / "list.csv").write_text(
        "instrument_key,symbol,tick_size,lot_size\n"
        "NSE_EQ|A,A,0.05,1\n"
        "NSE_EQ|B,,0.05,1\n"
        "NSE_EQ|C,C,five,1\n"
        "NSE_EQ|D,D,0.05,1.5\n"
        "NSE_EQ|A,A,0.01,1\n"
        "NSE_EQ|E\n"
    )
    taken = take(inbox)
    assert taken.unassigned[["line", "rule"]].values.tolist() == [
        [2, "superseded"],
        [3, "missing value"],
        [4, "not a number"],
        [5, "fractional lot_size"],
        [7, "malformed row"],
    ]
    assert taken.instruments[["instrument_key", "tick_size"]].values.tolist() == [
        ["NSE_EQ|A", 0.01]
    ]


def test_formulas_in_the_place_of_names_are_quarantined(inbox: Path) -> None:
    """The lists of the report are CSV files, which a spreadsheet opens and would compute."""
    (inbox / "list.csv").write_text(
        "instrument_key,symbol,name,tick_size\n"
        'NSE_EQ|A,"=HYPERLINK(""http://example.com"")",A,0.05\n'
        "NSE_EQ|B,B,+SUM(1),0.05\n"
        "NSE_EQ|C,@C,C,0.05\n"
        "NSE_EQ|D,D,-2+3,0.05\n"
        "NSE_EQ|E,E,-,0.05\n"
    )
    taken = take(inbox)
    assert taken.unassigned[["line", "rule", "column"]].values.tolist() == [
        [2, "formula", "symbol"],
        [3, "formula", "name"],
        [4, "formula", "symbol"],
        [5, "formula", "name"],
    ]
    assert taken.instruments[["symbol", "name"]].values.tolist() == [["E", "-"]]


def test_the_real_lists_are_read(shared_data: Path, inbox: Path) -> None:
    (inbox / "all.csv").write_bytes((shared_data / "instruments_nse_eq.csv").read_bytes())
    taken = take(inbox)
    instruments = taken.instruments.set_index("instrument_key")
    assert len(instruments) == 2831
    assert instruments["series"].value_counts().to_dict() == {
        "EQ": 2139,
        "SM": 286,
        "BE": 200,
        "ST": 163,
        "BZ": 43,
    }
    assert instruments.loc["NSE_EQ|INE002A01018", "symbol"] == "RELIANCE"
    assert instruments.loc["NSE_EQ|INE349Y01013", "tick_size"] == 0.05
    assert instruments.loc["NSE_EQ|INE005B01027", "tick_size"] == 0.01
    dummies = instruments[instruments.index.str.contains("DUMMY")]
    assert len(dummies) == 22
    assert dummies["isin"].isna().all()
    assert len(taken.unassigned) == 0


def test_former_symbols_lead_to_the_key_of_today(shared_data: Path, inbox: Path) -> None:
    (inbox / "market.csv").write_bytes((shared_data / "market" / "instruments.csv").read_bytes())
    (inbox / "candles.csv").write_text(
        CANDLES.replace("instrument_key", "symbol").replace("NSE_EQ|INE002A01018", "TATAMOTORS")
    )
    taken = take(inbox)
    key = taken.coverage["instrument_key"].item()
    assert taken.instruments.set_index("instrument_key").loc[key, "symbol"] == "TMPV"
    assert taken.files.set_index("source").loc[
        "market.csv", ["received", "unassigned"]
    ].tolist() == [
        1231,
        0,
    ]
