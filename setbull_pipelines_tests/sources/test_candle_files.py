"""Bad rows and bad files: each is told apart, says why in one sentence, and nothing is lost."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources import Intake, NoInput, take_in
from setbull_pipelines.tables import CANDLES_1MIN, INTAKE, QUARANTINE
from setbull_pipelines_tests.moments import LATER

HEADER = "instrument_key,timestamp,open,high,low,close,volume"
GOOD = "NSE_EQ|INE005B01027,2025-06-02T09:15:00+05:30,100,101,99.5,100.5,10"
DAY = date(2025, 6, 2)


def take(folder: Path) -> Intake:
    return take_in(folder, folder.parent / "landing", SampleSettings(), LATER)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def write_csv(inbox: Path, *rows: str, header: str = HEADER, name: str = "a.csv") -> None:
    (inbox / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def quarantined(intake: Intake) -> pd.DataFrame:
    days = {*intake.days("minutes"), *intake.days("daily")}
    parts = [loaded.quarantine for loaded in intake.load_days(sorted(days)).values()]
    return pd.concat([*parts, intake.unassigned], ignore_index=True)


def changed(column: str, value: str) -> str:
    fields = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | {column: value}
    return ",".join(fields.values())


BAD_VALUES = [
    ("open", "abc", "not a number", "Found 'abc' in column open, expected a number."),
    ("close", "", "missing value", "Found no value in column close, expected a number."),
    ("high", "nan", "not finite", "Found 'nan' in column high, expected a finite number."),
    ("high", "inf", "not finite", "Found 'inf' in column high, expected a finite number."),
    ("low", "-1", "not positive", "Found '-1' in column low, expected a price above 0."),
    ("open", "0", "not positive", "Found '0' in column open, expected a price above 0."),
    ("high", "99", "high below low", "Found '99' in column high, expected a high that is at least"),
    ("high", "100.2", "high below open or close", "Found '100.2' in column high, expected"),
    ("low", "100.2", "low above open or close", "Found '100.2' in column low, expected"),
    ("volume", "-5", "negative volume", "Found '-5' in column volume, expected 0 or more."),
    ("volume", "1.5", "fractional volume", "Found '1.5' in column volume, expected a whole number"),
    ("volume", "1e300", "impossible volume", "Found '1e300' in column volume, expected at most"),
    ("volume", "1,2", "malformed row", "Found 8 fields, expected 7 as in the header."),
    ("instrument_key", "", "missing value", "Found no value in column instrument_key"),
    ("instrument_key", "INE005B01027", "invalid instrument", "expected SEGMENT|IDENTIFIER"),
    ("timestamp", "", "missing value", "Found no value in column timestamp"),
    ("timestamp", "yesterday", "unreadable timestamp", "Found 'yesterday' in column timestamp"),
    ("timestamp", "2025-13-02T09:15:00+05:30", "unreadable timestamp", "expected a moment with"),
    ("timestamp", "1748836800", "unreadable timestamp", "expected a moment with its offset"),
    ("timestamp", "2025-06-02 09:16:00", "naive timestamp", "expected the offset from UTC in it"),
    ("timestamp", "2025-06-01T09:15:00+05:30", "closed day", "was closed on 2025-06-01 (weekend)"),
    ("timestamp", "2025-08-15T09:15:00+05:30", "closed day", "2025-08-15 (Independence Day)"),
    ("timestamp", "1941-10-01T00:00:00+05:30", "outside calendar coverage", "2015-01-01 to"),
    ("timestamp", "2031-06-02T09:15:00+05:30", "outside calendar coverage", "calendar covers"),
    ("timestamp", "2025-06-02T09:14:00+05:30", "pre_open", "2025-06-02, 09:15 to 15:30 (end"),
    ("timestamp", "2025-06-02T15:30:00+05:30", "post_close", "a minute inside the session"),
    ("timestamp", "2021-02-24T13:31:00+05:30", "between intervals", "11:40 and 15:45 to 17:00"),
    ("timestamp", "2026-11-08T18:15:00+05:30", "session hours not known", "are not yet"),
    ("timestamp", "2025-06-02T09:16:30+05:30", "not on a minute", "with 0 seconds"),
]
WITHOUT_TRADING_DAY = {
    "malformed row",
    "unreadable timestamp",
    "naive timestamp",
    "closed day",
    "outside calendar coverage",
}


@pytest.mark.parametrize(("column", "value", "rule", "sentence"), BAD_VALUES)
def test_a_bad_row_is_quarantined_with_its_reason_and_spares_the_good_one(
    inbox: Path, column: str, value: str, rule: str, sentence: str
) -> None:
    write_csv(inbox, GOOD, changed(column, value))
    intake = take(inbox)
    row = quarantined(intake).iloc[0]
    assert len(quarantined(intake)) == 1
    assert (row["source"], row["line"], row["rule"]) == ("a.csv", 3, rule)
    assert sentence in row["reason"]
    assert row["reason"].endswith(".")
    dayless = rule in WITHOUT_TRADING_DAY or (rule, column) == ("missing value", "timestamp")
    assert len(intake.unassigned) == int(dayless)
    assert pd.isna(row["trading_day"]) == dayless
    if rule != "malformed row":
        assert row["column"] == column
        assert (row["value"] if value else None) == (value or None)
        assert json.loads(row["record"])[column] == (value or None)
    assert len(intake.load_day(DAY).candles_1min) == 1
    QUARANTINE.schema.validate(quarantined(intake))


def test_the_same_rules_hold_in_parquet(inbox: Path) -> None:
    frame = pd.DataFrame(
        {
            "instrument_key": pd.Categorical(["NSE_EQ|A"] * 4 + [None]),
            "timestamp": pd.date_range("2025-06-02T09:15", periods=5, freq="min", tz="UTC")
            - pd.Timedelta(minutes=330),
            "open": [1.0, float("nan"), float("inf"), 1.0, 1.0],
            "high": 1.0,
            "low": 1.0,
            "close": 1.0,
            "volume": [1.0, 1.0, 1.0, 0.5, 1.0],
        }
    )
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    open_with_nan = pyarrow.array([1.0, float("nan"), float("inf"), 1.0, 1.0])
    table = table.set_column(2, "open", open_with_nan)
    pyarrow.parquet.write_table(table, inbox / "a.parquet")
    found = quarantined(take(inbox)).set_index("line")["rule"].to_dict()
    assert found == {
        2: "not finite",
        3: "not finite",
        4: "fractional volume",
        5: "missing value",
    }


def test_naive_parquet_timestamps_outside_the_session_are_refused_and_dates_are_daily_bars(
    inbox: Path,
) -> None:
    moments = pd.to_datetime(["2025-06-02 03:45", "2025-06-02 09:16"])
    prices = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1}
    frame = pd.DataFrame({"instrument_key": "NSE_EQ|A", "timestamp": moments, **prices})
    frame.to_parquet(inbox / "naive.parquet")
    frame.assign(timestamp=moments.date).drop_duplicates().to_parquet(inbox / "dates.parquet")
    intake = take(inbox)
    assert set(intake.unassigned["rule"]) == {"naive timestamp"}
    assert "timezone-aware in Parquet" in intake.unassigned["reason"].iloc[0]
    assert intake.load_day(DAY).candles_daily_history["timestamp"].tolist() == [
        pd.Timestamp("2025-06-02", tz="Asia/Kolkata")
    ]


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.string(),
        pyarrow.large_string(),
        pyarrow.string_view(),
        pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    ],
    ids=str,
)
def test_text_prices_in_parquet_are_read_and_text_that_is_no_number_is_refused(
    inbox: Path, kind: pyarrow.DataType
) -> None:
    frame = pd.DataFrame(
        [GOOD.split(","), changed("open", "abc").split(",")], columns=HEADER.split(",")
    )
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    typed = pyarrow.table(
        {name: pyarrow.array(table[name].to_pylist()).cast(kind) for name in table.column_names}
    )
    pyarrow.parquet.write_table(typed, inbox / "a.parquet")
    intake = take(inbox)
    assert intake.load_day(DAY).candles_1min["open"].tolist() == [100.0]
    assert quarantined(intake)["rule"].tolist() == ["not a number"]


def test_one_bad_number_does_not_change_how_the_others_are_read(inbox: Path) -> None:
    numbers = ["0.1", "0.3", "1e2", "+7", ".5", " 12.34 ", "1234567.05"]
    rows = [
        f"NSE_EQ|A,2025-06-02T09:{15 + minute}:00+05:30,{text},{text},{text},{text},1"
        for minute, text in enumerate([*numbers, "1_000"])
    ]
    write_csv(inbox, *rows)
    intake = take(inbox)
    expected = [0.1, 0.3, 100.0, 7.0, 0.5, 12.34, 1234567.05]
    assert intake.load_day(DAY).candles_1min["close"].tolist() == expected
    assert quarantined(intake)["value"].tolist() == ["1_000"]


def test_daily_bars_are_told_from_minutes_and_one_odd_row_does_not_turn_them(inbox: Path) -> None:
    daily = [
        changed("timestamp", text)
        for text in ("2025-06-02", "2025-06-03T00:00:00+05:30", "2025-06-04T09:15:00+05:30")
    ]
    write_csv(inbox, *daily)
    intake = take(inbox)
    assert intake.files["kind"].tolist() == ["daily"]
    assert intake.days("daily") == [date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4)]
    assert quarantined(intake)[["line", "rule"]].values.tolist() == [[4, "not at midnight"]]


def test_open_interest_is_optional_and_unknown_columns_are_named(inbox: Path) -> None:
    write_csv(inbox, GOOD + ",7,hello", header=HEADER + ",open_interest,ref_note")
    write_csv(inbox, changed("timestamp", "2025-06-02T09:16:00+05:30"), name="b.csv")
    intake = take(inbox)
    assert intake.load_day(DAY).candles_1min["open_interest"].tolist() == [7, pd.NA]
    assert intake.files["reason"].iloc[0] == "ignored columns: ref_note"
    assert pd.isna(intake.files["reason"].iloc[1])


def test_lines_are_those_of_the_file(inbox: Path) -> None:
    text = (
        f"\ufeff{HEADER}\r\n{GOOD}\r\n\r\n1,2\r\n{changed('open', 'x')}\r\n"
        f"{changed('timestamp', '2025-06-02T09:16:00+05:30')}\r\n\r\n"
    )
    (inbox / "a.csv").write_text(text, encoding="utf-8", newline="")
    intake = take(inbox)
    assert quarantined(intake).set_index("line")["rule"].to_dict() == {
        4: "malformed row",
        5: "not a number",
    }
    assert len(intake.load_day(DAY).candles_1min) == 2
    assert intake.files["received"].tolist() == [4]


def cut_parquet(path: Path) -> None:
    pd.DataFrame({"a": range(1000)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])


def cut_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(f"{HEADER}\n{GOOD}\n".encode() * 50)[:-12])


BAD_FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("empty.csv", lambda path: path.write_bytes(b""), "found an empty file, expected a header"),
    ("header.csv", lambda path: path.write_text(HEADER), "without any row, expected rows"),
    ("cut.parquet", cut_parquet, "expected a whole Parquet file"),
    ("cut.csv.gz", cut_gzip, "expected a whole gzip file"),
    ("text.csv.gz", lambda path: path.write_bytes(bytes(9)), "expected a whole gzip file"),
    ("cut16.csv", lambda path: path.write_bytes((HEADER + GOOD).encode("utf-16")[:-1]), "UTF-16"),
    (
        "bytes.csv",
        lambda path: path.write_bytes(f"{HEADER},name\n{GOOD},\x81\xff\n".encode("latin-1")),
        "expected CSV in UTF-8, UTF-16 or Windows-1252",
    ),
    (
        "columns.csv",
        lambda path: path.write_text("day_of_trade,open,high,low,close\n2025-06-02,1,1,1,1\n"),
        "no symbol in the name 'columns.csv'; expected a file name such as RELIANCE_1min.csv",
    ),
    (
        "no_moment_RELIANCE.csv",
        lambda path: path.write_text("day_of_trade,open,high,low,close\n2025-06-02,1,1,1,1\n"),
        "expected also timestamp; the settings say what other names mean: [input] columns = ",
    ),
    (
        "no_volume_RELIANCE.csv",
        lambda path: path.write_text("date,open,high,low,close\n2025-06-02,1,1,1,1\n"),
        "expected also volume",
    ),
    (
        "twice.csv",
        lambda path: path.write_text(f"{HEADER},Open\n{GOOD},1\n"),
        "found the column open more than once",
    ),
    (
        "nested.parquet",
        lambda path: pd.DataFrame(
            [[*GOOD.split(",")[:-1], [1]]], columns=HEADER.split(",")
        ).to_parquet(path),
        "found the column volume of type list",
    ),
    ("other.csv", lambda path: path.write_text("a,b\n1,2\n"), "found the columns a, b, expected"),
    ("answer.json", lambda path: path.write_text('{"data": []}'), "found a JSON object, expected"),
    ("broken.json", lambda path: path.write_text('[{"a"'), "found text that is not JSON"),
    (
        "five.csv",
        lambda path: path.write_text(
            "\n".join(
                [HEADER]
                + [
                    changed("timestamp", f"2025-06-02T{10 + n // 12}:{n % 12 * 5:02}:00+05:30")
                    for n in range(15)
                ]
            )
        ),
        "found bars 5 minutes apart throughout, expected one-minute or daily candles",
    ),
]


@pytest.mark.parametrize(
    ("name", "write", "sentence"), BAD_FILES, ids=[name for name, *_ in BAD_FILES]
)
def test_a_bad_file_is_rejected_in_one_sentence_and_spares_the_good_one(
    inbox: Path, name: str, write: Callable[[Path], object], sentence: str
) -> None:
    write(inbox / name)
    with pytest.raises(NoInput, match="no file holds candles") as refusal:
        take(inbox)
    assert name in str(refusal.value)
    assert sentence in str(refusal.value)
    write_csv(inbox, GOOD)
    intake = take(inbox)
    files = intake.files.set_index("source")
    assert files["kind"].to_dict() == {"a.csv": "minutes", name: "rejected"}
    assert files.loc[name, "reason"].startswith(f"{name}: found")
    assert sentence in files.loc[name, "reason"]
    assert files.loc[name, ["received", "assigned", "unassigned"]].tolist() == [0, 0, 0]
    INTAKE.schema.validate(intake.files)


def test_no_input_is_one_sentence(inbox: Path) -> None:
    with pytest.raises(NoInput, match="found nothing there, expected a file or folder"):
        take(inbox / "absent")
    (inbox / "notes.md").write_text("hello")
    with pytest.raises(NoInput, match="a folder without candle files"):
        take(inbox)
    with pytest.raises(NoInput, match=r"expected a file that ends in \.csv"):
        take(inbox / "notes.md")
    (inbox / "list.csv").write_text("symbol,tick_size\nA,0.05\n")
    with pytest.raises(NoInput, match="found only files about instruments"):
        take(inbox)


def test_gzip_symbols_and_single_files_are_read(inbox: Path) -> None:
    text = f"{HEADER}\n{GOOD}\n".replace("instrument_key", "symbol").replace("NSE_EQ|", "")
    (inbox / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    candles = take(inbox / "a.csv.gz").load_day(DAY).candles_1min
    assert candles["instrument_key"].tolist() == ["NSE_EQ|INE005B01027"]
    assert candles["source"].tolist() == ["a.csv.gz"]
    CANDLES_1MIN.schema.validate(candles)
