"""How text files are written: code pages, separators, headers, numbers. Read and said, or asked for."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile

import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from setbull_pipelines_tests.sources.fuzzed_readers import feather
from setbull_pipelines_tests.sources.reading_files import (
    HEADER,
    candles,
    keys,
    refused,
    session,
    table,
    values,
)

ROWS = session(minutes=3)
PLAIN = table(*ROWS)


def zstd(content: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.output_stream(sink, compression="zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def feather_of(text: str, **form: object) -> bytes:
    columns = pyarrow.csv.read_csv(io.BytesIO(text.encode()))
    return feather(**form, **{name: columns[name] for name in columns.column_names})


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (PLAIN.encode("utf-16"), "a.csv", "UTF-16"),
        (codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), "a.csv", "UTF-16"),
        (PLAIN.encode("utf-16-le"), "a.csv", "UTF-16"),
        (PLAIN.encode("utf-8-sig"), "a.csv", None),
        (
            table(*(f"{row},x" for row in ROWS), header=f"{HEADER},café").encode("cp1252"),
            "a.csv",
            "Windows-1252",
        ),
        (PLAIN.replace(",", ";"), "a.csv", "separated by semicolons"),
        (PLAIN.replace(",", "\t"), "a.tsv", "separated by tabs"),
        (PLAIN.replace(",", "|"), "a.txt", "separated by bars"),
        ("sep=;\n" + PLAIN.replace(",", ";"), "a.csv", "separated by semicolons"),
        ("Prices of ALPHA\n\n" + PLAIN, "a.csv", "2 lines above the header"),
        (PLAIN.replace("\n", "\r\n"), "a.csv", None),
        (PLAIN.replace("\n", "\r"), "a.csv", None),
        (PLAIN.replace("\n", ",\n").replace("volume,", "volume"), "a.csv", None),
        (gzip.compress(PLAIN.encode(), mtime=0), "a.csv.gz", None),
        (bz2.compress(PLAIN.encode()), "a.csv.bz2", None),
        (zstd(PLAIN.encode()), "a.txt.zst", None),
        (lzma.compress(PLAIN.encode()), "a.csv.xz", None),
        (lzma.compress(PLAIN.encode()), "a.csv", "compressed (xz), though the name says .csv"),
        (feather_of(PLAIN), "a.feather", None),
        (feather_of(PLAIN, compression="zstd"), "a.feather", None),
        (feather_of(PLAIN), "a.arrow", None),
        (feather_of(PLAIN, is_stream=True), "a.arrow", None),
    ],
)
def test_one_content_in_many_ways_is_the_same_candles(
    content: str | bytes, name: str, said: str | None
) -> None:
    found = candles(content, name)
    assert values(found) == values(candles(PLAIN))
    assert keys(found) == ["NSE_EQ|ALPHA"]
    assert found.notes == ((said,) if said else ())


@pytest.mark.parametrize(
    ("prices", "volume", "expected", "said"),
    [
        (["2,500.00", "2,600.50"], "6,701", [2500, 2600.5, 6701], "thousands separators"),
        (["12,34,567.80", "12,34,568.00"], "1,12,34,567", [1234567.8, 1234568, 11234567], "thous"),
        (["999.5", "1,000.50"], "10", [999.5, 1000.5, 10], "thousands separators"),
        (["2500,5", "2600,75"], "6701", [2500.5, 2600.75, 6701], "decimal comma"),
        (["2.500,50", "2.600,75"], "6.701", [2500.5, 2600.75, 6701], "decimal comma"),
        (["2 500.50", "2 600.75"], "6 701", [2500.5, 2600.75, 6701], "thousands separators"),
    ],
)
def test_numbers_are_read_as_the_file_writes_them(
    prices: list[str], volume: str, expected: list[float], said: str
) -> None:
    low, high = prices
    row = ["ALPHA", "2025-06-02T09:15:00+05:30", low, high, low, high, volume]
    text = HEADER.replace(",", ";") + "\n" + ";".join(row) + "\n"
    found = candles(text)
    assert values(found) == [[expected[0], expected[1], expected[0], expected[1], expected[2]]]
    assert any(said in note for note in found.notes)


def test_numbers_that_can_be_either_are_asked_for() -> None:
    row = "ALPHA;2025-06-02T09:15:00+05:30;2,500;2,600;2,400;2,500;10"
    text = HEADER.replace(",", ";") + "\n" + row + "\n"
    asked = refused(text)
    assert (asked.rule, asked.value) == ("ambiguous numbers", "2,500")
    assert 'decimal = "."' in asked.reason
    assert values(candles(text, decimal=","))[0][:2] == [2.5, 2.6]
    assert values(candles(text, decimal="."))[0][:2] == [2500, 2600]


def test_a_bad_number_does_not_turn_a_plain_file() -> None:
    rows = [*ROWS, ROWS[0].replace("09:15", "09:18").replace(",101,", ',"1,5",')]
    found = candles(table(*rows))
    assert found.rejected[["rule", "value"]].values.tolist() == [["not a number", "1,5"]]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (
            [
                "ALPHA,20250602,09:15,100,101,99,100.5,10",
                "ALPHA,20250602,09:16,100,101,99,100.5,12",
            ],
            "symbol date time open high low close volume",
        ),
        (
            ["2025-06-02 09:15:00+05:30,100,101,99,100.5,10,ALPHA"],
            "timestamp open high low close volume symbol",
        ),
        (["1748835900,100,101,99,100.5,10,ALPHA"], "timestamp open high low close volume symbol"),
    ],
)
def test_a_file_without_a_header_is_asked_for_with_what_it_looks_like(
    rows: list[str], columns: str
) -> None:
    text = "\n".join(rows) + "\n"
    asked = refused(text)
    assert "the first line looks like data" in asked.reason
    names = {str(number): name for number, name in enumerate(columns.split(), start=1)}
    proposed = ", ".join(f'{number} = "{name}"' for number, name in names.items())
    assert f"columns = {{{proposed}}}" in asked.reason
    found = candles(text, columns=names)
    assert len(found.accepted) == len(rows)
    assert found.accepted["line"].to_pylist() == list(range(1, len(rows) + 1))


def test_columns_are_what_the_settings_say() -> None:
    text = PLAIN.replace("timestamp", "when").replace("volume", "shares").replace("close", "last")
    assert refused(text).rule == "missing column"
    said = {"when": "timestamp", "Shares": "volume", "last": "close"}
    found = candles(text, columns=said)
    assert values(found) == values(candles(PLAIN))
    assert "by [input] columns" in found.notes[0]


def test_the_separator_is_that_of_the_header_however_many_rows_are_broken() -> None:
    broken = table(*ROWS, "ALPHA;1;2;3", "ALPHA,1")
    found = candles(broken)
    assert len(found.accepted) == 3
    assert found.rejected["line"].tolist() == [5, 6]
    other = table("ALPHA;2025-06-02T09:15:00+05:30;1;1;1;1;1", header=HEADER)
    assert candles(other, separator=",").rejected["rule"].tolist() == ["malformed row"]


def test_archives_hold_more_than_is_allowed() -> None:
    bomb = gzip.compress(b"0" * (3 << 20))
    asked = refused(bomb, "a.csv.gz", unpacked_limit_mib=2)
    assert "holds more than 2 MiB" in asked.reason
    assert "raise unpacked_limit_mib in [input]" in asked.reason
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * (3 << 20))
    assert "more than 2 MiB" in refused(buffer.getvalue(), "a.zip", unpacked_limit_mib=2).reason


def test_categories_of_several_batches_are_texts() -> None:
    parts = [feather_of(table(row)) for row in (ROWS[0], ROWS[1].replace("ALPHA", "BETA"))]
    tables = [pyarrow.ipc.open_file(part).read_all() for part in parts]
    symbols = [part["symbol"].dictionary_encode() for part in tables]
    place = tables[0].column_names.index("symbol")
    tables = [
        part.set_column(place, "symbol", symbol)
        for part, symbol in zip(tables, symbols, strict=True)
    ]
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, tables[0].schema) as stream:
        for part in tables:
            stream.write_table(part)
    found = candles(sink.getvalue().to_pybytes(), "a.arrow")
    assert keys(found) == ["NSE_EQ|ALPHA", "NSE_EQ|BETA"]


def test_a_length_that_no_machine_holds_is_damage() -> None:
    whole = feather(compression="zstd", open=[1.0] * 1_000)
    length = (8_000).to_bytes(8, "little")
    assert whole.count(length) == 1
    damaged = whole.replace(length, (2**60).to_bytes(8, "little"))
    assert "malloc of size" in refused(damaged, "a.feather").reason


def test_parquet_files_feather_files_and_workbooks_hold_more_than_is_allowed() -> None:
    sink = pyarrow.BufferOutputStream()
    same = pyarrow.array([1.0]).take(pyarrow.array([0] * 2_000_000))
    pyarrow.parquet.write_table(pyarrow.table({"open": same}), sink)
    bomb = sink.getvalue().to_pybytes()
    assert "raise unpacked_limit_mib" in refused(bomb, "a.parquet", unpacked_limit_mib=2).reason
    assert refused(bomb, "a.parquet", unpacked_limit_mib=20).rule == "no instrument"
    bomb = feather(compression="zstd", open=same)
    assert "raise unpacked_limit_mib" in refused(bomb, "a.feather", unpacked_limit_mib=2).reason
    assert refused(bomb, "a.feather", unpacked_limit_mib=20).rule == "no instrument"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * (3 << 20))
    assert "more than 2 MiB" in refused(buffer.getvalue(), "a.xlsx", unpacked_limit_mib=2).reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04rest", "a zip archive or workbook"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\n <!DOCTYPE html><html>", "a web page, perhaps of an error or a login"),
        (b"a,b\n\x00\xff\x00\n", "bytes that are not text"),
        (",".join(f"c{n}" for n in range(20_000)).encode() + b"\n", "found 20,000 columns"),
    ],
)
def test_what_is_no_text_table_is_named(content: bytes, said: str) -> None:
    assert said in refused(content).reason
