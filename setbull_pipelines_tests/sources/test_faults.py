"""Files that are damaged, hostile or something else: each is told, none stops the others, none is lost."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path, PurePath

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from setbull_pipelines.settings import InputSettings, SampleSettings
from setbull_pipelines.sources import Intake, NoInput, take_in
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines.sources.reading import file_suffix, read_rows
from setbull_pipelines.sources.understanding import judged
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.sources.layouts.test_layouts import DAY_FILES, FILES
from setbull_pipelines_tests.sources.reading_files import (
    HEADER,
    candles,
    moments,
    refused,
    session,
    table,
    values,
)

GOOD = table(*session(minutes=3))
BODY = {"status": "success", "data": {"candles": [["2025-06-02T09:15:00+05:30", 1, 1, 1, 1, 1, 0]]}}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def take(folder: Path, **reading: object) -> Intake:
    landing = folder.parent / "landing"
    return take_in(folder, landing, SampleSettings(), LATER, reading=InputSettings(**reading))


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def parquet(**columns: object) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue().to_pybytes()


DEEP = b'{"a":' * 100_000
FAULTS: dict[str, tuple[bytes, str]] = {
    "errors.json": (b'{"errors":["too many requests"]}', "too many requests"),
    "no_errors.json": (b'{"status":"error","errors":[null]}', "the broker's error"),
    "deep.json": (DEEP, "nested too deeply"),
    "deep_list.json": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "scalar.json": (b"12", "found a JSON int"),
    "surrogate.json": (
        json.dumps({"errors": ["\ud800"]}).encode(),
        "the broker's error",
    ),
    "long_integer.json": (b'{"data":' + b"9" * 5_000 + b"}", "text that is not JSON"),
    "cut.zip": (zipped(("a.csv", GOOD.encode()))[:-40], "cannot be unpacked"),
    "cut.csv.gz": (gzip.compress(GOOD.encode() * 50, mtime=0)[:-12], "cannot be decompressed"),
    "cut.csv.bz2": (bz2.compress(GOOD.encode() * 50)[:-12], "cannot be decompressed"),
    "no.csv.zst": (b"no zstd", "cannot be decompressed"),
    "nul.csv": (b"\0" * 2_000, "found"),
    "columns.csv": (",".join(f"c{n}" for n in range(20_000)).encode() + b"\n1\n", "20,000 columns"),
    "columns.json": (
        json.dumps([{f"c{n}": n for n in range(20_000)}]).encode(),
        "20,000 columns",
    ),
    "nested.parquet": (
        parquet(
            symbol=["A"], timestamp=[["x"]], open=[1], high=[1], low=[1], close=[1], volume=[1]
        ),
        "expected plain values",
    ),
    "zone.parquet": (
        parquet(
            symbol=["A"],
            timestamp=pyarrow.array([1], pyarrow.time32("s")),
            **{name: [1] for name in ("open", "high", "low", "close", "volume")},
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_bad_file_never_stops_the_others(inbox: Path, name: str) -> None:
    content, said = FAULTS[name]
    (inbox / name).write_bytes(content)
    (inbox / "good.csv").write_text(GOOD)
    taken = take(inbox)
    files = taken.files.set_index("source")
    assert files.loc["good.csv", "kind"] == "minutes"
    bad = files.loc[name]
    assert bad["kind"] == "rejected" or bad["received"] == bad["unassigned"]
    assert said in str(bad["reason"])
    assert "fault of the program" not in str(bad["reason"])
    assert sum(taken.landed_rows().values()) == 3


BAD_ROWS = {
    "an integer of thousands of digits": ('"symbol":"A"', f'"symbol":{"9" * 4000}'),
    "half of a surrogate pair": ('"symbol":"A"', '"symbol":"A\\ud800"'),
    "a sign that no text has": ('"symbol":"A"', '"symbol":"A\\u0000"'),
    "a key of 70 kB": ('"symbol":"A"', f'"symbol":"{"A" * 70_000}"'),
    "a list as a price": ('"open":1', '"open":[1]'),
    "infinity": ('"open":1', '"open":1e999'),
    "an object as a moment": ('"date":"2025-06-02T09:15:00+05:30"', '"date":{"a":1}'),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_bad_value_is_quarantined_and_spares_the_good_row(inbox: Path, what: str) -> None:
    row = '{"symbol":"A","date":"2025-06-02T09:15:00+05:30","open":1,"high":1,"low":1,"close":1,"volume":1}'
    old, new = BAD_ROWS[what]
    good = row.replace("09:15", "09:16")
    (inbox / "rows.json").write_text(f"[{row.replace(old, new)},{good}]")
    taken = take(inbox)
    assert sum(taken.landed_rows().values()) == 1
    days = taken.load_days(taken.days("minutes"))
    quarantine = pd.concat([*(day.quarantine for day in days.values()), taken.unassigned])
    assert len(quarantine) == 1
    assert len(quarantine["reason"].iloc[0]) < 1_000


def test_files_that_are_not_read_are_listed_with_the_reason(inbox: Path) -> None:
    (inbox / "good.csv").write_text(GOOD)
    (inbox / "report.pdf").write_bytes(b"%PDF")
    (inbox / "book.xls").write_bytes(b"x")
    (inbox / "notes.txt").write_text("a note about these prices\n")
    files = take(inbox).files.set_index("source")
    assert files["kind"].to_dict() == {
        "book.xls": "not read",
        "good.csv": "minutes",
        "notes.txt": "not read",
        "report.pdf": "not read",
    }
    assert "expected a file that ends in .csv" in files.loc["report.pdf", "reason"]
    assert files.loc["good.csv", "taken_for"] == "minutes candles"


def test_a_workbook_is_listed_where_nothing_reads_it(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("setbull_pipelines.sources.found_files.can_read_workbooks", lambda: False)
    (inbox / "good.csv").write_text(GOOD)
    (inbox / "book.xlsx").write_bytes(b"PK")
    book = take(inbox).files.set_index("source").loc["book.xlsx"]
    assert book["kind"] == "not read"
    assert "needs the package openpyxl" in book["reason"]
    with pytest.raises(NoInput, match="needs the package openpyxl"):
        take(inbox / "book.xlsx")


def _workbook(*sheets: list[list[object]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


_SHEET: list[list[object]] = [
    ["Symbol", "Date", "Open", "High", "Low", "Close", "Volume"],
    ["ALPHA", datetime(2025, 6, 2), 100, 101.5, 99.25, 100.5, 7533],
    [None] * 7,
    ["ALPHA", date(2025, 6, 3), 100.5, 102, 100, 101, 4790.0],
]


def test_a_workbook_is_read_with_its_dates_and_numbers() -> None:
    found = candles(_workbook(_SHEET), "book.xlsx")
    assert found.kind == "daily"
    assert moments(found) == ["2025-06-02 00:00", "2025-06-03 00:00"]
    assert values(found) == [[100, 101.5, 99.25, 100.5, 7533], [100.5, 102, 100, 101, 4790]]
    assert found.accepted["line"].to_pylist() == [2, 4]
    assert "workbook, sheet 'sheet 1'" in found.notes
    assert not any("not read" in note for note in found.notes)


def test_minutes_of_a_workbook_are_moments() -> None:
    rows = [
        ["ALPHA", datetime(2025, 6, 2, 9, minute), 100, 101, 99, 100, 5 + minute % 2]
        for minute in (15, 16)
    ]
    found = candles(_workbook([_SHEET[0], *rows]), "book.xlsx")
    assert moments(found) == ["2025-06-02 09:15", "2025-06-02 09:16"]
    of_clock = [[*row[:1], row[1].date(), row[1].time(), *row[2:]] for row in rows]
    header = [*_SHEET[0][:2], "Time", *_SHEET[0][2:]]
    assert moments(candles(_workbook([header, *of_clock]), "book.xlsx")) == moments(found)


def test_further_sheets_of_a_workbook_are_named_as_not_read() -> None:
    empty: list[list[object]] = []
    found = candles(_workbook(empty, _SHEET, [["a note"], ["x"]], empty), "book.xlsx")
    assert "workbook, sheet 'sheet 2'" in found.notes
    assert "sheet 'sheet 3' is not read" in found.notes
    assert len(found.accepted) == 2


def test_a_cell_beside_the_columns_of_a_workbook_is_no_traceback() -> None:
    beside = [*_SHEET[:2], [*_SHEET[3], "a remark"]]
    found = candles(_workbook(beside), "book.xlsx")
    assert len(found.accepted) == 2


def test_a_workbook_is_refused_where_the_package_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("setbull_pipelines.sources.workbooks.can_read_workbooks", lambda: False)
    reason = refused(_workbook(_SHEET), "book.xlsx").reason
    assert "a workbook, which needs the package openpyxl" in reason
    assert "pip install 'setbull_pipelines[xlsx]'" in reason
    assert "save it as CSV" in reason


@pytest.mark.parametrize("content", [b"PK", b"no workbook", zipped(("a.txt", b"x")), b""], ids=repr)
def test_what_is_no_workbook_is_refused(content: bytes) -> None:
    pytest.importorskip("openpyxl")
    assert "expected" in refused(content, "book.xlsx").reason


def test_a_cut_workbook_is_refused() -> None:
    whole = _workbook(_SHEET)
    assert "expected a whole workbook" in refused(whole[: len(whole) // 2], "book.xlsx").reason


def test_every_file_of_an_archive_is_read_and_named(inbox: Path) -> None:
    rows = {symbol: GOOD.replace("ALPHA", symbol).encode() for symbol in ("A", "B")}
    bare = GOOD.replace("symbol,", "").replace("ALPHA,", "").encode()
    content = zipped(
        ("one/A.csv", rows["A"]),
        ("B.csv", rows["B"]),
        ("TCS_1min.csv", bare),
        ("INFY_1min.csv", bare),
        ("bad.csv", b"a,b\n1,2\n"),
        ("__MACOSX/x.csv", b"x"),
    )
    (inbox / "all.zip").write_bytes(content)
    taken = take(inbox)
    files = taken.files.set_index("source")
    assert files["kind"].to_dict() == {
        "all.zip/B.csv": "minutes",
        "all.zip/INFY_1min.csv": "minutes",
        "all.zip/TCS_1min.csv": "minutes",
        "all.zip/bad.csv": "rejected",
        "all.zip/one/A.csv": "minutes",
    }
    assert taken.coverage["instrument_key"].tolist() == [
        f"NSE_EQ|{symbol}" for symbol in ("A", "B", "INFY", "TCS")
    ]
    again = take(inbox)
    assert again.files.equals(taken.files)


def test_files_of_equal_bytes_under_two_names_are_two_instruments(inbox: Path) -> None:
    bare = GOOD.replace("symbol,", "").replace("ALPHA,", "")
    for name in ("TCS_1min.csv", "INFY_1min.csv", "prices.csv"):
        (inbox / name).write_text(bare)
    taken = take(inbox, symbols={"prices.csv": "ITC"})
    keys = [f"NSE_EQ|{symbol}" for symbol in ("INFY", "ITC", "TCS")]
    assert taken.coverage["instrument_key"].tolist() == keys
    assert taken.coverage["rows"].tolist() == [3, 3, 3]


def test_another_setting_reads_again(inbox: Path) -> None:
    rows = session(first="03:45", minutes=30, written="%Y-%m-%d %H:%M:%S")
    (inbox / "a.csv").write_text(table(*rows))
    assert not take(inbox).has_accepted_rows
    taken = take(inbox, timezone="UTC")
    assert sum(taken.landed_rows().values()) == 30
    assert "by [input] timezone" in taken.files["taken_for"].item()
    assert not take(inbox).has_accepted_rows


def test_one_ambiguous_file_does_not_decide_for_another(inbox: Path) -> None:
    (inbox / "a.csv").write_text(table("A,02-06-2025 09:15,1,1,1,1,1"))
    (inbox / "b.csv").write_text(table("B,13-06-2025 09:15,1,1,1,1,1"))
    files = take(inbox).files.set_index("source")
    assert files["kind"].to_dict() == {"a.csv": "rejected", "b.csv": "minutes"}


SEEDS = {
    **{what: (name, text.encode()) for what, (name, text, _) in FILES.items()},
    **{
        what: ("Quote-Equity-ITC-EQ.csv", f"{header}\n{row}\n".encode())
        for what, (header, row, _) in DAY_FILES.items()
    },
    "plain": ("a.csv", GOOD.encode()),
    "semicolons": ("a.csv", GOOD.replace(",", ";").replace("100.5", "100,5").encode()),
    "UTF-16": ("a.csv", GOOD.encode("utf-16")),
    "gzip": ("a.csv.gz", gzip.compress(GOOD.encode(), mtime=0)),
    "zip": ("a.zip", zipped(("a.csv", GOOD.encode()))),
    "parquet": (
        "a.parquet",
        parquet(
            symbol=["A"],
            timestamp=["2025-06-02 09:15:00"],
            **{name: [1.0] for name in ("open", "high", "low", "close", "volume")},
        ),
    ),
    "response": ("NSE_EQ%7CA.json", json.dumps(BODY).encode()),
}
_PIECES = (
    *(
        b"\0",
        b"\xff",
        b'"',
        b",",
        b";",
        b"\n",
        b"\r",
        b"{",
        b"[",
        b"]",
        b"}",
        b"null",
        b"-",
        b"1e999",
    ),
    *(
        b"9" * 400,
        b"\xef\xbb\xbf",
        b"NaN",
        b"\\ud800",
        b"2025-06-02",
        b"99-99-9999 99:99",
        b"<html>",
    ),
)


def _flip(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] = chance.randrange(256)


def _insert(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content) + 1)
    content[place:place] = chance.choice(_PIECES)


def _remove(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    del content[place : place + chance.randrange(1, 12)]


def _repeat(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    content += content[place : place + chance.randrange(1, 60)]


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) + 1 :]


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _insert, _remove, _repeat, _cut),
)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A few changes to a file."""
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        if changed:
            chance.choice(CHANGES)(changed, chance)
    return bytes(changed)


@pytest.mark.parametrize("what", SEEDS)
def test_mutated_files_are_read_or_refused(what: str) -> None:
    """``judged`` has no net under it: whatever else than a refusal comes out is a fault of the program."""
    name, content = SEEDS[what]
    suffix = file_suffix(PurePath(name)) or ""
    for seed in range(25):
        changed = mutated(content, random.Random(f"{what} {seed}"))
        try:
            found = judged(read_rows(changed, suffix, InputSettings()), name, InputSettings())
        except UnreadableFile:
            continue
        if hasattr(found, "accepted"):
            assert len(found.accepted) + len(found.rejected) == found.received, (what, seed)


def test_a_header_alone_is_refused() -> None:
    assert "without any row" in refused(HEADER + "\n").reason
