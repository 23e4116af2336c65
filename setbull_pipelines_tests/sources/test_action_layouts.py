"""What the exchanges and vendors write of corporate actions: which texts are read, and how; what is never guessed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from setbull_pipelines.sources.action_purposes import UnreadablePurpose, share_actions
from setbull_pipelines.sources.corporate_files import ACTIONS_KIND, check_facts
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines.sources.reading import read_rows
from setbull_pipelines_tests.sources.action_files import take, with_candles, write

NSE = (
    '"SYMBOL ","COMPANY NAME ","SERIES ","PURPOSE ","FACE VALUE ","EX-DATE ","RECORD DATE ",'
    '"BOOK CLOSURE START DATE ","BOOK CLOSURE END DATE "'
)
BSE = (
    "Security Code,Security Name,Company Name,Ex Date,Purpose,Record Date,BC Start Date,BC End Date,"
    "ND Start Date,ND End Date,Actual Payment Date"
)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return with_candles(tmp_path / "inbox")


def nse(symbol: str, purpose: str, day: str = "28-Oct-2024", series: str = "EQ") -> str:
    return f'"{symbol}","{symbol} Limited","{series}","{purpose}","10","{day}","{day}","-","-"'


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ("Bonus 1:1", [("bonus", 2.0)]),
        ("Bonus 1 : 2", [("bonus", 1.5)]),
        ("BONUS ISSUE 3:1", [("bonus", 4.0)]),
        ("Bonus issue in the ratio of 1:3", [("bonus", 4 / 3)]),
        (
            "Face Value Split (Sub-Division) - From Rs 10/- Per Share To Rs 2/- Per Share",
            [("split", 5.0)],
        ),
        (
            "Face Value Split (Sub-Division) - From Rs 10/- Per Share To Re 1/- Per Share",
            [("split", 10.0)],
        ),
        ("FV SPLIT RS.10/- TO RE.1/-", [("split", 10.0)]),
        ("Fv Splt Frm Rs 10 To Rs 2", [("split", 5.0)]),
        ("Stock  Split From Rs.10/- to Rs.2.50/-", [("split", 4.0)]),
        ("Consolidation Of Shares - From Re 1/- To Rs 10/-", [("split", 0.1)]),
        (
            "Bonus 1:1/Face Value Split (Sub-Division) - From Rs 10/- Per Share To Re 1/- Per Share",
            [("bonus", 2.0), ("split", 10.0)],
        ),
        ("Annual General Meeting/Dividend - Rs 5 Per Share/Bonus 1:1", [("bonus", 2.0)]),
        ("Dividend - Rs 5 Per Share", []),
        ("AGM/Div-Rs.1.50 Per Share", []),
        ("Interim Dividend - Rs. - 5.0000", []),
        ("Special Dividend - Rs 20 Per Share", []),
        ("DIV-RS.2/SH", []),
        # As the exchange wrote them between 2015 and 2026.
        (" Fv Splt Frm Rs 10 To Re 1", [("split", 10.0)]),
        ("Face Value Split From Rs 10 To Re 1 (Record Date Revised)", [("split", 10.0)]),
        (
            "Face Value Split (Sub-Division) - From Rs10/- Per Share To Re 1/- Per Share",
            [("split", 10.0)],
        ),
        (
            "Face Value Split (Sub-Division) - From Rs 10 /- Per Share To Re 1/- Per Share",
            [("split", 10.0)],
        ),
        (
            "Face Value Split (Sub-Division): From Rs 10/- Per Share To Rs 2/- Per Share",
            [("split", 5.0)],
        ),
        (
            "Face Valus Split (Sub-Division) - From Rs 10/- Per To Rs 2/- Per Share",
            [("split", 5.0)],
        ),
        ("Face Value Split Rs 10 To Rs 1", [("split", 10.0)]),
        (
            "Bonus 1:1 / Face Value Split - From Rs 10/- Per Share To Rs 5/- Per Share",
            [("bonus", 2.0), ("split", 2.0)],
        ),
        (
            "Interim Div - Rs 5/- Per Share + Face Value Split (Sub-Division) - From Rs 10/- Per Share "
            "To Re 1/- Per Share",
            [("split", 10.0)],
        ),
        (
            "Consolidation Of Equity Shares From Re 1 Per Share To Rs 10 Per Share",
            [("split", 0.1)],
        ),
        ("Bonus 1 : 1250", [("bonus", 1251 / 1250)]),
        ("Bonus- 1:1", [("bonus", 2.0)]),
        ("Bonus Issue of 1:1", [("bonus", 2.0)]),
        ("Annual General Meeting / Dividend - Rs 3/- Per Share / Bonus - 1:2", [("bonus", 1.5)]),
        (
            "Annual General Meeting/ Dividend - Rs 29.50/- Per Share And Bonus 1:1",
            [("bonus", 2.0)],
        ),
        (
            "Annual General Meeting/Dividend - Rs 3 Per Share/Bonus 1:1 (Revised)",
            [("bonus", 2.0)],
        ),
        ("Annual General Meetng", []),
        ("E-Voting", []),
        ("Interim Divdend - Rs 5/- Per Share", []),
        ("Dividend - Re 0.40 Per Sh", []),
        ("Dividend - Re 1 Per Share & Bonus 1:1", [("bonus", 2.0)]),
        ("Interest Payment", []),
        ("Buy Back", []),
    ],
)
def test_purposes_that_are_read(purpose: str, expected: list[tuple[str, float]]) -> None:
    assert share_actions(purpose) == expected


@pytest.mark.parametrize(
    "purpose",
    [
        "Bonus",
        "Bonus 1:0",
        "Bonus Debentures 1:1",
        "Bonus 1:1 (NCRPS)",
        "Face Value Split From Rs 10",
        "Face Value Split From Rs 10 To Rs 0",
        "Demerger",
        "Scheme Of Arrangement",
        "Capital Reduction",
        "Amalgamation/Dividend - Rs 2 Per Share",
        "Rights 1:15 @ Premium Rs 1247/-",
        "Bonus 1:1/Demerger",
        "Bonus 1:1/Bonus 1:2",
        "Dividend - Rs 5 Per Share Bonus 1:1",
        "Dividend In Scheme Of Arrangement",
        "Scheme Of Arrangement - Bonus Debentures 1:1",
        "Scheme Of Arangement- Bonus - 1 Debenture For 1 Equity Share Held",
        "For Distribution Of Chennai Super Kings Cricket Limited Shares To The Shareholders Of India Cements",
        "Annual General Meeting/Scheme Of Arrangement",
        "Capital Reduction Rs 10 To Rs 1 / Consolidation Rs 1 To Rs.10",
        "Merger/Demerger",
        "Rights : 24:10 At Par",
        "Face Value Split - details awaited",
        "Sub-Division/Split From Rs 10 To Rs 5",
        "something new",
    ],
)
def test_what_cannot_be_read_is_not_guessed(purpose: str) -> None:
    with pytest.raises(UnreadablePurpose):
        share_actions(purpose)


def test_the_list_of_the_exchange(inbox: Path) -> None:
    write(inbox / "universe.csv", "symbol,isin", "RELIANCE,INE002A01018")
    write(
        inbox / "CF-CA-equities.csv",
        NSE,
        nse("RELIANCE", "Bonus 1:1"),
        nse("RELIANCE", "Dividend - Rs 10 Per Share", "19-Aug-2024"),
        nse("RELIANCE", "Bonus Interest", series="N9"),
        nse("KESORAMIND", "Demerger", "10-Mar-2025"),
        nse("RELIANCE", "Bonus 1:2", "-"),
        nse("SHAKTIPUMP", "Bonus 5:1/Fv Split Rs 10 To Rs 2", "25-Nov-2024"),
    )
    taken = take(inbox)
    assert taken.corporate_actions.drop(columns="source").values.tolist() == [
        ["NSE_EQ|INE002A01018", pd.Timestamp("2024-10-28"), "bonus", 2.0],
        ["NSE_EQ|SHAKTIPUMP", pd.Timestamp("2024-11-25"), "bonus", 6.0],
        ["NSE_EQ|SHAKTIPUMP", pd.Timestamp("2024-11-25"), "split", 5.0],
    ]
    found = taken.unassigned[["line", "rule", "column", "value"]]
    assert found.values.tolist() == [
        [5, "unreadable purpose", "purpose", "Demerger"],
        [6, "unreadable date", "ex-date", "-"],
    ]
    files = taken.files.set_index("source")
    assert files.at["CF-CA-equities.csv", "reason"] == (
        "NSE corporate actions; 2 rows without a change of shares (dividends, meetings, other securities)"
    )


def test_the_list_of_bse_and_the_json_of_nse(inbox: Path) -> None:
    write(
        inbox / "bse.csv",
        BSE,
        "500325,RELIANCE,Reliance Industries Ltd,28 Oct 2024,Bonus issue 1:1,28 Oct 2024,,,,,",
        "532540,TCS,Tata Consultancy Services Ltd,17 Jan 2025,Interim Dividend - Rs. - 10.0000,17 Jan 2025,,,,,",
        "500002,ABB,ABB India Ltd,03-04-2025,Spin Off,,,,,,",
    )
    (inbox / "nse.json").write_text(
        '[{"symbol": "IOLCP", "series": "EQ", "faceVal": "10", "isin": "INE485C01029", "exDate": "11-Mar-2025",'
        ' "subject": "Face Value Split (Sub-Division) - From Rs 10/- Per Share To Rs 2/- Per Share"}]'
    )
    taken = take(inbox)
    assert taken.corporate_actions.values.tolist() == [
        ["NSE_EQ|INE485C01029", pd.Timestamp("2025-03-11"), "split", 5.0, "nse.json"],
        ["NSE_EQ|RELIANCE", pd.Timestamp("2024-10-28"), "bonus", 2.0, "bse.csv"],
    ]
    assert taken.unassigned[["source", "line", "rule"]].values.tolist() == [
        ["bse.csv", 4, "unreadable purpose"]
    ]


def test_actions_of_yfinance_are_of_the_share_in_the_name_of_their_file(inbox: Path) -> None:
    header = "Date,Dividends,Stock Splits"
    rows = (
        "2017-09-07 00:00:00+05:30,0.0,2.0",
        "2024-08-19 00:00:00+05:30,10.0,0.0",
        "2024-10-28 00:00:00+05:30,0.0,x",
    )
    write(inbox / "RELIANCE.NS_actions.csv", header, *rows)
    write(inbox / "TCS_actions.csv", header, *rows)  # equal bytes of another share
    write(inbox / "splits.csv", "Date,Ticker,Stock Splits", "2018-05-31,TCS.NS,2:1")
    write(inbox / "download.csv", header, *rows)
    taken = take(inbox)
    assert taken.corporate_actions.drop(columns="source").values.tolist() == [
        ["NSE_EQ|RELIANCE", pd.Timestamp("2017-09-07"), "split or bonus", 2.0],
        ["NSE_EQ|TCS", pd.Timestamp("2017-09-07"), "split or bonus", 2.0],
        ["NSE_EQ|TCS", pd.Timestamp("2018-05-31"), "split or bonus", 2.0],
    ]
    assert set(taken.unassigned["rule"]) == {"not a ratio"}
    (reason,) = taken.files.loc[taken.files["kind"] == "rejected", "reason"]
    assert "expected a column symbol or a file name such as RELIANCE.NS_actions.csv" in reason


def test_one_bonus_that_two_sources_tell_counts_once(inbox: Path) -> None:
    write(
        inbox / "CF-CA.csv",
        NSE,
        nse("RELIANCE", "Bonus 1:1"),
        nse("SHAKTIPUMP", "Bonus 5:1/Fv Split Rs 10 To Rs 2", "25-Nov-2024"),
        nse("TCS", "Bonus 1:1", "31-May-2018"),
    )
    header = "Date,Ticker,Dividends,Stock Splits"
    write(
        inbox / "yfinance.csv",
        header,
        "2024-10-28,RELIANCE.NS,0.0,2.0",
        "2024-11-25,SHAKTIPUMP.NS,0.0,30.0",
        "2018-05-31,TCS.NS,0.0,3.0",
    )
    taken = take(inbox)
    assert set(taken.corporate_actions["kind"]) == {"bonus", "split"}
    assert len(taken.corporate_actions) == 4
    (found,) = taken.unassigned.to_dict("records")
    assert (found["source"], found["line"], found["rule"]) == ("yfinance.csv", 4, "superseded")
    assert found["reason"].startswith("Found 3 new shares per old share, expected 2 by the rows")


def test_a_genuine_move_has_no_ratio(inbox: Path) -> None:
    write(
        inbox / "actions.csv",
        "instrument_key,ex_date,kind,ratio",
        "NSE_EQ|A,2020-08-24,genuine,",
        "NSE_EQ|B,2020-08-24,genuine,1",
        "NSE_EQ|C,2020-08-24,genuine,2",
    )
    taken = take(inbox)
    assert taken.corporate_actions["ratio"].tolist() == [1.0, 1.0]
    assert taken.unassigned[["line", "rule"]].values.tolist() == [[4, "impossible ratio"]]


_WORDS = st.sampled_from(
    [
        "Bonus",
        "1:1",
        "1 : 2",
        "Face Value Split",
        "(Sub-Division)",
        "-",
        "From",
        "Rs",
        "10/-",
        "To",
        "Re 1/-",
        "Per Share",
        "/",
        "Dividend",
        "Rights",
        "Demerger",
        "0",
        ":",
        "AGM",
        "And",
        "Consolidation",
    ]
)


@given(st.lists(_WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_purpose_is_read_refused_or_moves_nothing(purpose: str) -> None:
    try:
        found = share_actions(purpose)
    except UnreadablePurpose:
        return
    assert len({kind for kind, _ in found}) == len(found)
    assert all(kind in ("bonus", "split") and ratio > 0 for kind, ratio in found)
    if not found:
        assert not any(word in purpose.lower() for word in ("bonus", "split", "demerger"))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([NSE, BSE, "Date,Ticker,Dividends,Stock Splits"]),
    st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=11), min_size=1, max_size=5),
)
def test_any_rows_of_a_layout_are_accepted_or_quarantined(
    header: str, rows: list[list[str]]
) -> None:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    with suppress(UnreadableFile):
        found = read_rows("\n".join([header, *lines]).encode("utf-8", "replace"), ".csv")
        checked = check_facts(found, ACTIONS_KIND)
        assert len(checked.rejected) <= checked.received == found.received
