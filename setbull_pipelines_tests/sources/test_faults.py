"""Files that are damaged, hostile or something else: each is told, none stops the others, none is lost."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from setbull_pipelines.market.calendar_file import InvalidCalendar
from setbull_pipelines.settings import InputSettings, SampleSettings
from setbull_pipelines.sources import Intake, NoInput, take_in
from setbull_pipelines.sources.looking import looks
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.sources.fuzzed_readers import (
    READERS,
    BrokenPromise,
    Reader,
    feather,
    parquet,
    zipped,
)
from setbull_pipelines_tests.sources.fuzzing import Fuzzer, mutated
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
    "cut.csv.xz": (lzma.compress(GOOD.encode() * 50)[:-12], "cannot be decompressed"),
    "no.csv.xz": (b"no xz", "cannot be decompressed"),
    "xz.csv.gz": (gzip.compress(lzma.compress(GOOD.encode()), mtime=0), "an xz file in another"),
    "cut.feather": (feather(a=["A" * 100] * 100)[:-40], "expected a whole Feather"),
    "cut.arrow": (feather(is_stream=True, a=["A" * 100] * 100)[:-400], "expected a whole Feather"),
    "text.feather": (GOOD.encode(), "expected a whole Feather"),
    "nothing.feather": (feather(), "expected a whole Feather"),
    "feather.csv": (feather(a=[1]), "a Feather file (its name ends in .feather)"),
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


def test_files_of_equal_bytes_are_each_told_under_their_own_name(inbox: Path) -> None:
    bare = GOOD.replace("symbol,", "").replace("ALPHA,", "")
    for name in ("prices.csv", "candles.csv"):
        (inbox / name).write_text(bare)
    with pytest.raises(NoInput) as refusal:
        take(inbox)
    taken = refusal.value.intake
    for look in looks(taken):
        (told,) = look.refusals
        assert told.paste == {"symbols": {look.file: "SYMBOL"}}
        assert f"no symbol in the name '{look.file}'" in told.reason
        assert told.value == look.file
    reasons = taken.files.set_index("source")["reason"]
    assert all(f"in the name '{name}'" in reason for name, reason in reasons.items())


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


@pytest.mark.parametrize(
    ("reader", "what"), [(name, what) for name, reader in READERS.items() for what in reader.seeds]
)
def test_changed_files_are_read_or_refused(reader: str, what: str) -> None:
    """Without the net of ``understood``: whatever else than a refusal comes out is a fault of the program."""
    name, content = READERS[reader].seeds[what]
    read, refusals = [], {}
    for seed in range(25):
        changed = mutated(content, random.Random(f"{what} {seed}"))
        try:
            READERS[reader].read(name, changed)
            read.append(seed)
        except READERS[reader].refusals as error:
            refusals[seed] = str(error).strip()
    assert sorted([*read, *refusals]) == list(range(25))
    assert all(refusals.values()), "a refusal without a word"


@pytest.mark.parametrize("reader", READERS)
def test_the_seeds_of_the_fuzzing_are_read(reader: str) -> None:
    """A seed that is refused as it is reaches nothing."""
    refused = {}
    for what, (name, content) in READERS[reader].seeds.items():
        try:
            READERS[reader].read(name, content)
        except READERS[reader].refusals as error:
            refused[what] = str(error)
    assert READERS[reader].seeds
    assert refused == {}


def test_fuzzing_goes_on_from_what_reaches_new_lines_and_keeps_what_breaks() -> None:
    def read(name: str, content: bytes) -> None:
        if b"9" * 400 in content:
            raise UnreadableFile("long")
        if b"2025-06-02" in content:
            raise BrokenPromise("a piece")
        READERS["calendar"].read(name, content)

    reader = Reader(READERS["calendar"].seeds, read, (UnreadableFile, InvalidCalendar))
    fuzzer = Fuzzer(reader, random.Random(1))
    for _ in range(400):
        fuzzer.step()
    tally = fuzzer.tally
    assert tally.trials == 400
    assert tally.read + tally.refused < 400
    (fault,) = tally.faults
    assert fault.startswith("BrokenPromise")
    assert b"2025-06-02" in tally.faults[fault]
    assert len(fuzzer.corpus) > len(reader.seeds)
    assert fuzzer.lines > 20


def test_a_header_alone_is_refused() -> None:
    assert "without any row" in refused(HEADER + "\n").reason
