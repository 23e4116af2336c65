"""Saved candle responses of the broker as input files, recorded ones included."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import date
from pathlib import Path

import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, take_in
from setbull_pipelines.sources.file_names import instrument_key_in
from setbull_pipelines_tests.moments import LATER

KEY = "NSE_EQ|INE002A01018"
DAY = date(2025, 6, 2)
CANDLE = ["2025-06-02T09:15:00+05:30", 100, 101.5, 99.05, 100.1, 12, 3]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def take(folder: Path) -> Intake:
    return take_in(folder, folder.parent / "landing", SampleSettings(), LATER)


def body(*candles: list) -> str:
    return json.dumps({"status": "success", "data": {"candles": list(candles)}})


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("NSE_EQ%7CINE002A01018.json", KEY),
        ("NSE_EQ%7CINE002A01018_2026-08.json.gz", KEY),
        ("NSE_EQ|INE002A01018_days.json", KEY),
        ("NSE_INDEX%7CNifty%2050_2026-08.json", "NSE_INDEX|Nifty 50"),
        ("NSE_EQ%7CM%26M.json", "NSE_EQ|M&M"),
        ("historical-candle/NSE_EQ%7CINE002A01018/minutes/1/2026-08-31.json", KEY),
        ("NSE_EQ%7CA/NSE_EQ%7CB.json", "NSE_EQ|B"),
        ("reliance.json", None),
        ("NYSE%7CIBM.json", None),
    ],
)
def test_the_path_names_the_instrument(path: str, key: str | None) -> None:
    assert instrument_key_in(path) == key


def test_candles_are_read_newest_first(inbox: Path) -> None:
    later = ["2025-06-02T09:16:00+05:30", *CANDLE[1:]]
    (inbox / "NSE_EQ%7CINE002A01018.json").write_text(body(later, CANDLE))
    rows = take(inbox).load_day(DAY).candles_1min
    assert rows["instrument_key"].tolist() == [KEY] * 2
    first = rows.iloc[0]
    assert first["timestamp"].isoformat() == "2025-06-02T09:15:00+05:30"
    assert first[["open", "high", "low", "close"]].tolist() == [100, 101.5, 99.05, 100.1]
    assert first[["volume", "open_interest"]].tolist() == [12, 3]


def test_equal_bodies_of_two_instruments_are_both_read(inbox: Path) -> None:
    (inbox / "NSE_EQ%7CA.json").write_text(body(CANDLE))
    (inbox / "NSE_EQ%7CB.json.gz").write_bytes(gzip.compress(body(CANDLE).encode()))
    (inbox / "NSE_EQ%7CC.json").write_text(body(CANDLE))
    rows = take(inbox).load_day(DAY).candles_1min
    assert rows["instrument_key"].tolist() == ["NSE_EQ|A", "NSE_EQ|B", "NSE_EQ|C"]


def test_bad_candles_are_quarantined_with_their_number(inbox: Path) -> None:
    (inbox / "NSE_EQ%7CA.json").write_text(
        body(CANDLE, CANDLE[:5], ["2025-06-02T09:17:00+05:30", 1, 1, 1, None, 1, 0])
    )
    taken = take(inbox)
    missing = taken.load_day(DAY).quarantine
    assert missing[["line", "rule", "column"]].values.tolist() == [[3, "missing value", "close"]]
    assert taken.unassigned[["line", "rule"]].values.tolist() == [[2, "malformed row"]]
    assert "Found 5 fields, expected 7" in taken.unassigned["reason"].iloc[0]
    assert taken.files["received"].tolist() == [3]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", body(CANDLE), "or NSE_EQ%7CINE002A01018_2026-08.json"),
        ("NSE_EQ%7CA.json", '{"status": "success"}', "expected the broker's candle response"),
        ("NSE_EQ%7CA.json", '{"data": {"candles": [1]}}', "a list data.candles of lists"),
        (
            "NSE_EQ%7CA.json",
            '{"status": "error", "errors": [{"errorCode": "UDAPI1148", "message": "Invalid date range"}]}',
            "found the broker's error UDAPI1148 (Invalid date range), expected candles",
        ),
        (
            "NSE_EQ%7CA.json",
            '{"status": "error"}',
            "found the broker's error without a code, expected",
        ),
        ("NSE_EQ%7CA.json", body(CANDLE)[:-9], "text that is not JSON"),
    ],
)
def test_other_responses_are_rejected_with_a_reason(
    inbox: Path, name: str, text: str, reason: str
) -> None:
    (inbox / "candles.csv").write_text(
        "instrument_key,timestamp,open,high,low,close,volume\nNSE_EQ|A,2025-06-02,1,1,1,1,1\n"
    )
    (inbox / name).write_text(text)
    file = take(inbox).files.set_index("source").loc[name]
    assert file["kind"] == "rejected"
    assert reason in file["reason"]


def test_recorded_responses(shared_data: Path, inbox: Path) -> None:
    recorded = shared_data / "market" / "upstox_responses"
    for name, target in (
        ("hist_1d_2026-09-08_22.json", "NSE_EQ%7CINE002A01018_days.json"),
        ("hist_1m_sme_sparse.json", "NSE_EQ%7CINE00C501018_minutes.json"),
        ("hist_1d_sme_2026-08_excerpt.json", "NSE_EQ%7CINE00C501018_days.json"),
        ("empty_200.json", "NSE_EQ%7CINE00C501018_2021-12.json"),
        ("err_400_udapi1148.json", "NSE_EQ%7CINE00C501018_error.json"),
    ):
        shutil.copy(recorded / name, inbox / target)
    taken = take(inbox)
    files = taken.files.set_index("source")
    assert files["kind"].value_counts().to_dict() == {"daily": 3, "rejected": 1, "minutes": 1}
    # Nothing traded in that month: an answer, not a fault.
    assert files.loc["NSE_EQ%7CINE00C501018_2021-12.json", "received"] == 0
    assert files.loc["NSE_EQ%7CINE00C501018_minutes.json", "received"] == 1719
    assert taken.unassigned.empty
    coverage = taken.coverage.set_index(["instrument_key", "series"])["rows"]
    assert coverage["NSE_EQ|INE00C501018", "minutes"] == 1719
    assert coverage["NSE_EQ|INE00C501018", "exchange"] == 7
    # Its days equal its minutes, as the README of the recordings says.
    for row in taken.load_day(date(2026, 8, 27)).candles_daily_history.itertuples():
        minutes = taken.load_day(date(2026, 8, 27)).candles_1min
        assert row.volume == minutes["volume"].sum()
        assert row.close == minutes["close"].iloc[-1]
    last = taken.load_day(date(2026, 9, 22)).candles_daily_history.iloc[0]
    assert last[["open", "close", "volume"]].tolist() == [1247.6, 1240.4, 10684376]
