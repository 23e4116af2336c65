"""The inputs that users bring, as far as they lie beside the checkout: each has the result that its README names."""

from __future__ import annotations

from pathlib import Path

import pytest

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.candle_files import CheckedCandles
from setbull_pipelines.sources.landing_writing import Rejection
from setbull_pipelines.sources.reading import file_suffix
from setbull_pipelines.sources.understanding import understood

MINUTES, DAILY = "minutes", "daily"
READ = {
    "00_base.csv": (MINUTES, 375, "NSE_EQ|ALPHACO", "2025-06-02 09:15", ""),
    "02_kite.csv": (MINUTES, 375, "NSE_EQ|C02KITE", "2025-06-02 09:15", ""),
    "05_daily_midnight_utc.csv": (DAILY, 21, "NSE_EQ|C05DUTC", "2025-05-05 00:00", "is daily"),
    "07_epoch_s.csv": (MINUTES, 375, "NSE_EQ|C07EPS", "2025-06-02 09:15", "epoch seconds"),
    "07_epoch_ms.csv": (MINUTES, 375, "NSE_EQ|C07EPMS", "2025-06-02 09:15", "epoch milliseconds"),
    "30_12h.csv": (MINUTES, 375, "NSE_EQ|C30H12", "2025-06-02 09:15", "clock of 12 hours"),
    "09_naive.csv": (MINUTES, 375, "NSE_EQ|C09NAIVE", "2025-06-02 09:15", "are Asia/Kolkata"),
    "11_date_time.csv": (MINUTES, 375, "NSE_EQ|C11DT", "2025-06-02 09:15", "date and time"),
    "43_amibroker.csv": (MINUTES, 1, "NSE_EQ|ALPHA", "2025-06-02 09:15", "AmiBroker"),
    "13_thousands.csv": (MINUTES, 375, "NSE_EQ|C13TH", "2025-06-02 09:15", "thousands separators"),
    "14_semi.csv": (MINUTES, 375, "NSE_EQ|C14SEMI", "2025-06-02 09:15", "decimal comma"),
    "14_tab.csv": (MINUTES, 375, "NSE_EQ|C14TAB", "2025-06-02 09:15", "separated by tabs"),
    "14_utf16.csv": (MINUTES, 375, "NSE_EQ|C14U16", "2025-06-02 09:15", "UTF-16"),
    "18_index_vol0.csv": (
        MINUTES,
        375,
        "NSE_INDEX|Nifty Bank",
        "2025-06-02 09:15",
        "375 bars of indices without volume: they count, volume and VWAP are not known",
    ),
    "20_adjnoise.csv": (
        MINUTES,
        375,
        "NSE_EQ|C20ADJ",
        "2025-06-02 09:15",
        "29 rows with a high or low that equals",
    ),
    "33_sec_bhavdata_full.csv": (
        DAILY,
        3,
        "NSE_EQ|AALPHA",
        "2025-06-02 00:00",
        "sec_bhavdata_full",
    ),
    "38_yf3.csv": (DAILY, 1, "NSE_EQ|ALPHA", "2025-06-02 00:00", "three header lines"),
}
REFUSED = {
    "01_endlabel.csv": ("end labels", 'label = "end"'),
    "08_ddmmyyyy.csv": ("ambiguous dates", "day_first = true"),
    "41_headerless.csv": (
        "no header",
        'columns = {1 = "symbol", 2 = "date", 3 = "time", 4 = "open"',
    ),
    "33_nse_website.csv": ("no instrument", 'symbols = {"33_nse_website.csv" = "SYMBOL"}'),
    "42_tradingview.csv": ("no instrument", 'symbols = {"42_tradingview.csv" = "SYMBOL"}'),
    "44_kite.csv": ("no instrument", 'symbols = {"44_kite.csv" = "SYMBOL"}'),
    "45_fyers.json": ("no instrument", 'symbols = {"45_fyers.json" = "SYMBOL"}'),
    "46_kite.json": ("no instrument", 'symbols = {"46_kite.json" = "SYMBOL"}'),
    "48_dhan.json": ("no instrument", 'symbols = {"48_dhan.json" = "SYMBOL"}'),
}
WITH_WHAT_WAS_ASKED_FOR = {
    "01_endlabel.csv": ({"label": "end"}, 375, "NSE_EQ|C01END"),
    "08_ddmmyyyy.csv": ({"day_first": True}, 375, "NSE_EQ|C08DMY"),
    "41_headerless.csv": (
        {
            "columns": dict(
                zip(
                    "12345678",
                    ["symbol", "date", "time", "open", "high", "low", "close", "volume"],
                    strict=True,
                )
            )
        },
        2,
        "NSE_EQ|ALPHA",
    ),
    **{
        name: ({"symbols": {name: "ALPHA"}}, rows, "NSE_EQ|ALPHA")
        for name, rows in (
            ("33_nse_website.csv", 1),
            ("42_tradingview.csv", 2),
            ("44_kite.csv", 2),
            ("45_fyers.json", 2),
            ("46_kite.json", 2),
            ("48_dhan.json", 1),
        )
    },
}


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> Path:
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"the inputs that users bring are not found at {folder}")
    return folder


def look(path: Path, name: str | None = None, **reading: object):
    suffix = file_suffix(path) or ""
    return understood(path.read_bytes(), suffix, name or path.name, InputSettings(**reading))


def test_every_case_has_an_expected_result(cases: Path) -> None:
    names = {path.name for path in cases.iterdir() if path.is_file()} - {"README.md"}
    assert names == {*READ, *REFUSED}


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read_is_read_and_said(cases: Path, name: str) -> None:
    kind, rows, key, first, said = READ[name]
    found = look(cases / name)
    assert isinstance(found, CheckedCandles), found
    assert (found.kind, len(found.accepted)) == (kind, rows)
    assert found.accepted["instrument_key"][0].as_py() == key
    assert f"{found.accepted['timestamp'][0].as_py():%Y-%m-%d %H:%M}" == first
    assert said in "; ".join(found.notes)
    assert len(found.accepted) + len(found.rejected) == found.received


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_asked_for_with_the_line_to_paste(cases: Path, name: str) -> None:
    rule, said = REFUSED[name]
    found = look(cases / name)
    assert isinstance(found, Rejection)
    assert found.rule == rule
    assert said in found.reason


@pytest.mark.parametrize("name", WITH_WHAT_WAS_ASKED_FOR)
def test_with_the_line_that_was_asked_for_it_is_read(cases: Path, name: str) -> None:
    reading, rows, key = WITH_WHAT_WAS_ASKED_FOR[name]
    found = look(cases / name, **reading)
    assert isinstance(found, CheckedCandles), found
    assert len(found.accepted) == rows
    assert set(found.accepted["instrument_key"].to_pylist()) == {key}
    if rows == 375:
        assert f"{found.accepted['timestamp'][0].as_py():%Y-%m-%d %H:%M}" == "2025-06-02 09:15"


@pytest.mark.parametrize("name", ["44_kite.csv", "42_tradingview.csv", "45_fyers.json"])
def test_the_symbol_in_a_usual_file_name_is_taken(cases: Path, name: str) -> None:
    suffix = file_suffix(cases / name)
    found = look(cases / name, f"RELIANCE_1min{suffix}")
    assert found.accepted["instrument_key"].unique().to_pylist() == ["NSE_EQ|RELIANCE"]
    assert "instrument RELIANCE from the file name" in found.notes
