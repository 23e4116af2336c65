"""The exchange's day files: both layouts, plain and as published, and what is no candle in them."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date
from pathlib import Path

import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, take_in
from setbull_pipelines_tests.moments import LATER

OLD_HEADER = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,"
OLD_ROWS = (
    "RELIANCE,EQ,2519.4,2554.3,2515.2,2550.25,2548,2515.05,8453204,21447530312.1,30-JUN-2023,268530,INE002A01018,",
    "1018GS2026,GS,118.77,120.65,118.77,120.47,120.65,121,11,1325.27,30-JUN-2023,3,IN0020010081,",
    "RELINFRA,BE,140,141,139,140.5,140.5,140,1000,140500,30-JUN-2023,30,INE036A01016,",
)
OLD_NAME = "cm30JUN2023bhav.csv"
UDIFF_HEADER = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,"
    "OptnTp,FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,"
    "ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4"
)
UDIFF_ROWS = (
    "2024-07-08,2024-07-08,CM,NSE,STK,2885,INE002A01018,RELIANCE,EQ,,,,,RELIANCE INDUSTRIES LTD,3180.00,3217.90,"
    "3164.75,3201.80,3205.00,3177.25,,3201.80,,,6181284,19747312345.60,238151,F1,1,,,,,",
    "2024-07-08,2024-07-08,CM,NSE,STK,19078,IN0020200104,SGBJUN28,GB,,,,,2.5%GOLDBONDS2028SR-III,7300.00,7310.00,"
    "7290.00,7300.00,7300.00,7300.00,,7300.00,,,25,182500.00,9,F1,1,,,,,",
)
UDIFF_NAME = "BhavCopy_NSE_CM_0_0_0_20240708_F_0000.csv"
LAYOUTS = {
    OLD_NAME: (OLD_HEADER, OLD_ROWS, date(2023, 6, 30)),
    UDIFF_NAME: (UDIFF_HEADER, UDIFF_ROWS, date(2024, 7, 8)),
}
EXPECTED = {
    OLD_NAME: [2519.4, 2554.3, 2515.2, 2550.25, 8453204],
    UDIFF_NAME: [3180.0, 3217.9, 3164.75, 3201.8, 6181284],
}
VALUES = ["open", "high", "low", "close", "volume"]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def take(folder: Path) -> Intake:
    return take_in(folder, folder.parent / "landing", SampleSettings(), LATER)


def zipped(**members: str) -> bytes:
    """An archive without the moment of packing, which would make every collection another one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("name", list(LAYOUTS))
def test_ordinary_shares_are_daily_candles_and_other_series_are_quarantined(
    inbox: Path, name: str, as_published: bool
) -> None:
    header, rows, day = LAYOUTS[name]
    text = "\n".join([header, *rows]) + "\n"
    if as_published:
        (inbox / f"{name}.zip").write_bytes(zipped(**{name: text}))
    else:
        (inbox / name).write_text(text)
    taken = take(inbox)
    assert taken.files["kind"].tolist() == ["daily"]
    assert taken.files["reason"].isna().all()
    loaded = taken.load_day(day)
    (bar,) = loaded.candles_daily_history.to_dict("records")
    assert bar["instrument_key"] == "NSE_EQ|INE002A01018"
    assert bar["timestamp"].isoformat() == f"{day}T00:00:00+05:30"
    assert [bar[name] for name in VALUES] == EXPECTED[name]
    others = loaded.quarantine
    assert len(others) == len(rows) - 1
    assert set(others["rule"]) == {"other series"}
    assert others["value"].tolist() == [
        row.split(",")[1 if name == OLD_NAME else 8] for row in rows[1:]
    ]
    assert "expected EQ, the only exchange series" in others["reason"].iloc[0]
    assert json.loads(others["record"].iloc[0])["isin"].startswith("IN0020")
    account = loaded.accounting.set_index("kind").loc["daily"]
    assert (account["received"], account["accepted"]) == (len(rows), 1)
    assert taken.instruments["symbol"].tolist() == ["RELIANCE"]


def test_a_share_without_isin_is_keyed_by_its_symbol(inbox: Path) -> None:
    row = OLD_ROWS[0].replace("INE002A01018", "")
    (inbox / OLD_NAME).write_text(f"{OLD_HEADER}\n{row}\n")
    assert take(inbox).coverage["instrument_key"].tolist() == ["NSE_EQ|RELIANCE"]


def test_rows_of_closed_days_and_of_other_dates_are_judged_like_all_others(inbox: Path) -> None:
    closed = OLD_ROWS[0].replace("30-JUN-2023", "29-JUN-2023")
    odd = OLD_ROWS[0].replace("30-JUN-2023", "30/06/2023")
    (inbox / OLD_NAME).write_text("\n".join([OLD_HEADER, *OLD_ROWS, closed, odd]) + "\n")
    unassigned = take(inbox).unassigned
    assert unassigned["rule"].tolist() == ["closed day", "unreadable timestamp"]
    assert unassigned["value"].tolist() == ["2023-06-29", "30/06/2023"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",CM,NSE,", ",FO,NSE,", "found a bhavcopy with FO in column sgmt, expected CM"),
        (",CM,NSE,", ",CM,BSE,", "found a bhavcopy with BSE in column src, expected NSE"),
    ],
)
def test_other_markets_in_the_same_layout_are_rejected(
    inbox: Path, old: str, new: str, reason: str
) -> None:
    (inbox / "a.csv").write_text("\n".join([OLD_HEADER, *OLD_ROWS]))
    (inbox / UDIFF_NAME).write_text("\n".join([UDIFF_HEADER, *UDIFF_ROWS]).replace(old, new))
    file = take(inbox).files.set_index("source").loc[UDIFF_NAME]
    assert file["kind"] == "rejected"
    assert reason in file["reason"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK no archive", "cannot be unpacked"),
        (zipped(**{"a.pdf": "x"}), "a zip archive with 0 files to read, expected one"),
        (zipped(**{OLD_NAME: OLD_HEADER})[:-30], "cannot be unpacked"),
    ],
)
def test_other_archives_are_rejected(inbox: Path, content: bytes, reason: str) -> None:
    (inbox / "a.csv").write_text("\n".join([OLD_HEADER, *OLD_ROWS]))
    (inbox / "b.zip").write_bytes(content)
    file = take(inbox).files.set_index("source").loc["b.zip"]
    assert file["kind"] == "rejected"
    assert reason in file["reason"]


def test_both_layouts_of_one_day_agree_and_count_once(inbox: Path) -> None:
    """Both were published on some days of 2024."""
    old = OLD_ROWS[0].split(",")
    udiff = UDIFF_ROWS[0].split(",")
    old[2:6], old[8], old[10] = udiff[14:18], udiff[24], "08-JUL-2024"
    (inbox / OLD_NAME).write_text(f"{OLD_HEADER}\n{','.join(old)}\n")
    (inbox / UDIFF_NAME).write_text(f"{UDIFF_HEADER}\n{UDIFF_ROWS[0]}\n")
    loaded = take(inbox).load_day(date(2024, 7, 8))
    assert len(loaded.candles_daily_history) == 1
    assert loaded.quarantine.empty
    assert loaded.accounting.set_index("kind").loc["daily", "duplicates_ignored"] == 1
