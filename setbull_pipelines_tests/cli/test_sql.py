"""``setbull sql``: what a pipe, a file and a terminal get of an answer."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines.cli.main import main
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import SmallRun

pytestmark = pytest.mark.run

MIXED = "SELECT 'a,\"b' AS text, NULL::INTEGER AS missing, '' AS empty, 1.5::DOUBLE AS number, DATE '2026-01-02' AS day"
MANY = "SELECT * FROM range(1200) t(number)"
WIDE = (
    f"SELECT {', '.join(f'{n} AS column_number_{n}' for n in range(60))}, repeat('x', 300) AS long"
)


def setbull(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["sql", *map(str, arguments)])


def in_a_terminal(*arguments: str, columns: int) -> str:
    """What the command prints into a terminal of this width."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "30"}
    with subprocess.Popen(
        [sys.executable, "-m", "setbull_pipelines.cli.main", "sql", *arguments],
        stdout=follower,
        env=environment,
    ) as process:
        os.close(follower)
        parts = []
        try:
            while part := os.read(leader, 65536):
                parts.append(part)
        except OSError:
            pass  # Linux ends a terminal whose last writer is gone with an error
        os.close(leader)
        assert process.wait() == 0
    return b"".join(parts).decode()


@pytest.fixture(autouse=True)
def catalog(small_run: SmallRun, data_directory: Path) -> None:
    os.environ["SETBULL_DATA_DIR"] = str(small_run.settings.data_directory)


def test_a_pipe_gets_every_column_and_row_of_a_table() -> None:
    assert "x" * 300 in setbull(WIDE).stdout
    assert all(f" column_number_{number} " in setbull(WIDE).stdout for number in range(60))
    rows = setbull(MANY).stdout.splitlines()
    assert [f"│ {number:>6} │" for number in range(1200)] == [
        row for row in rows if row.startswith("│")
    ][2:]


def test_a_terminal_gets_a_table_that_fits_and_says_what_it_left_out() -> None:
    wide = in_a_terminal(WIDE, columns=80).splitlines()
    assert max(map(len, wide)) <= 80
    assert "column_number_30" not in "".join(wide)
    assert "61 columns (3 shown)" in "".join(wide)
    many = in_a_terminal(MANY, columns=80)
    assert "1200 rows" in many
    assert " 600 " not in many


def test_nothing_and_an_empty_text_are_told_apart() -> None:
    assert setbull("--format", "csv", MIXED).stdout == (
        'text,missing,empty,number,day\n"a,""b",,"",1.5,2026-01-02\n'
    )
    assert json.loads(setbull("--format", "json", MIXED).stdout) == [
        {"text": 'a,"b', "missing": None, "empty": "", "number": 1.5, "day": "2026-01-02"}
    ]
    assert " NULL " in setbull(MIXED).stdout


def test_json_is_json_also_without_rows_and_with_numbers_that_are_none() -> None:
    assert json.loads(setbull("--format", "json", "SELECT 1 AS a WHERE false").stdout) == []
    query = "SELECT 'nan'::DOUBLE AS a, '-inf'::FLOAT AS \"b\"\"c\", 2.0::DOUBLE AS d"
    found = json.loads(setbull("--format", "json", query).stdout)
    assert found == [{"a": None, 'b"c': None, "d": 2.0}]


def test_every_format_has_all_rows_of_a_table_in_exchange_time(tmp_path: Path) -> None:
    query = "FROM v1.candles_5min ORDER BY instrument_key, timestamp"
    listed = list(csv.DictReader(io.StringIO(setbull("--format", "csv", query).stdout)))
    objects = json.loads(setbull("--format", "json", query).stdout)
    path = tmp_path / "bars.parquet"
    written = setbull("--out", path, query)
    assert (written.stdout, written.stderr.strip()) == ("", str(path))
    table = pq.read_table(path)
    assert len(listed) == len(objects) == table.num_rows > 1000
    assert listed[0]["timestamp"].endswith(" 09:15:00+05:30")
    assert objects[0]["timestamp"] == listed[0]["timestamp"]
    closes = table["close"].to_pylist()
    assert [float(row["close"]) for row in listed] == closes
    assert [row["close"] for row in objects] == closes


def test_rows_limit_every_format() -> None:
    assert setbull("--format", "csv", "--rows", "2", MANY).stdout == "number\n0\n1\n"
    assert len(json.loads(setbull("--format", "json", "--rows", 3, MANY).stdout)) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--format", "parquet"), "--format parquet: found no file for it, expected --out FILE"),
        (("--out", "rows.xlsx"), "found format 'xlsx', expected one of csv, json, parquet"),
        (("--out", "rows.csv", "--format", "table"), "found format 'table', expected one of"),
    ],
)
def test_a_format_that_goes_nowhere_is_refused(arguments: tuple[str, ...], sentence: str) -> None:
    result = setbull(*arguments, "SELECT 1")
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_question_that_fails_at_a_late_row_leaves_no_half_answer(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("before")
    query = "SELECT CAST(CASE number WHEN 900000 THEN 'x' ELSE '1' END AS INTEGER) FROM range(1000000) t(number)"
    for arguments in (("--format", "csv"), ("--out", path)):
        result = setbull(*arguments, query)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: Conversion Error: Could not convert string 'x'")
        assert "LINE" not in result.stderr
    assert path.read_text() == "before"


def test_a_question_that_fails_is_never_waited_for(tmp_path: Path) -> None:
    """Seen: two of three processes stood still within 300 rounds, while others kept the processors busy."""
    script = (
        "import sys, duckdb; from pathlib import Path; "
        "from setbull_pipelines.warehouse.exporting import write_answer\n"
        "for _ in range(100):\n"
        "    with duckdb.connect(':memory:') as connection:\n"
        "        try: write_answer(connection.sql(sys.argv[1]), 'csv', Path(sys.argv[2]))\n"
        "        except duckdb.ConversionException: pass\n"
        "        except duckdb.Error as error: assert 'Conversion Error' in str(error), error\n"
    )
    query = (
        "SELECT CAST(CASE n WHEN 900000 THEN 'x' ELSE '1' END AS INTEGER) FROM range(1000000) t(n)"
    )
    arguments = [sys.executable, "-c", script, query, str(tmp_path / "rows.csv")]
    finished = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE)
    assert finished.returncode == 0, finished.stderr


def test_the_help_has_examples_that_work() -> None:
    help_text = CliRunner().invoke(main, ["sql", "--help"]).stdout
    questions = [
        line.split('"')[1] for line in help_text.splitlines() if line.startswith("  setbull sql")
    ]
    assert len(questions) == 5
    for question in questions:
        assert setbull(question).exit_code == 0, question
