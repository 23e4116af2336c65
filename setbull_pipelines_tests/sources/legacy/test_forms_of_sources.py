"""Dumps and exports as other machines write them: read as they are, or told."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources.intake import take_in
from setbull_pipelines.sources.legacy.exporting import export, file_streams
from setbull_pipelines.sources.legacy.loading import load
from setbull_pipelines.sources.legacy.old_tables import CannotImport
from setbull_pipelines_tests.moments import LATER

COLUMNS = "id,instrument_key,timestamp,open,high,low,close,volume,open_interest,time_interval"
ROWS = [
    "1,'NSE_EQ|INE009A01021','2025-06-02 03:45:00',100.00,101.50,99.00,100.50,10,0,'1minute'",
    "2,'NSE_EQ|INE009A01021','2025-06-02 03:46:00',100.50,101.00,100.00,100.25,20,0,'1minute'",
]
CLOCKS = ["09:15", "09:16"]


def dump(rows: list[str], columns: str = COLUMNS) -> str:
    values = ",\n".join(f"({row})" for row in rows)
    return f"INSERT INTO `stock_candle_data` ({columns}) VALUES\n{values};\n"


def exported(rows: list[str]) -> str:
    return "\n".join([COLUMNS, *(row.replace("'", "") for row in rows)]) + "\n"


def clocks(content: bytes, name: str, tmp_path: Path) -> list[str]:
    """The minutes that come out of an import of one file, as intake reads them."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / name).write_bytes(content)
    folder = tmp_path / "imported"
    export(file_streams(tmp_path / "source"), folder, None, lambda line: None)
    load(folder)
    taken = take_in(folder, tmp_path / "landing", SampleSettings(), LATER)
    found = taken.load_range(taken.days("minutes")).candles_1min
    return [f"{moment:%H:%M}" for moment in found["timestamp"]]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (dump(ROWS).encode("utf-16"), "a.sql"),
        (gzip.compress(dump(ROWS).encode("utf-16"), mtime=0), "a.sql.gz"),
        (dump(ROWS).replace("`", '"').encode(), "a.sql"),
        (dump([f"{row},b'1'" for row in ROWS], f"{COLUMNS},active").encode(), "a.sql"),
        (dump(ROWS).replace("\n", "\r\n").encode(), "a.sql"),
        (exported(ROWS).encode("utf-16"), "stock_candle_data.csv"),
        (gzip.compress(exported(ROWS).encode("utf-16"), mtime=0), "stock_candle_data.csv.gz"),
        (exported(ROWS).encode("utf-8-sig"), "stock_candle_data.csv"),
    ],
    ids=[
        "UTF-16",
        "UTF-16.gz",
        "ANSI",
        "bits",
        "CRLF",
        "CSV, UTF-16",
        "CSV, UTF-16.gz",
        "CSV, mark",
    ],
)
def test_files_of_other_machines_are_read(content: bytes, name: str, tmp_path: Path) -> None:
    assert clocks(content, name, tmp_path) == CLOCKS


def test_rows_with_and_without_an_offset_are_the_moments_that_they_state(tmp_path: Path) -> None:
    more = [
        ROWS[0].replace("2025-06-02 03:45:00", "2025-06-02 09:17:00+05:30"),
        ROWS[0].replace("2025-06-02 03:45:00", "2025-06-02T03:48:00.000Z"),
    ]
    text = exported([*ROWS, *more])
    found = clocks(text.encode(), "stock_candle_data.csv", tmp_path)
    assert found == [*CLOCKS, "09:17", "09:18"]


def test_days_that_could_be_months_are_not_guessed(tmp_path: Path) -> None:
    text = exported([row.replace("2025-06-02", "02-06-2025") for row in ROWS])
    with pytest.raises(
        CannotImport, match="'02-06-2025 03:45:00' in column timestamp, expected the"
    ):
        clocks(text.encode(), "stock_candle_data.csv", tmp_path)


@pytest.mark.parametrize(
    "text", [dump(ROWS).replace("\n", " ").join([" SELECT 1; ", ""]), "-- x\n"]
)
def test_a_dump_of_which_nothing_is_read_is_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(CannotImport, match=r"a\.sql: found no row of the old tables"):
        clocks(text.encode(), "a.sql", tmp_path)
