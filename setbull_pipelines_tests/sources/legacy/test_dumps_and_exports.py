"""Dumps and exports of the old tables: what is read of them, in which zone, what a killed import goes on with."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from setbull_pipelines.settings import SampleSettings
from setbull_pipelines.sources.intake import take_in
from setbull_pipelines.sources.legacy import csv_exports, exporting, sql_dumps
from setbull_pipelines.sources.legacy.exporting import PARTS, State, export, file_streams
from setbull_pipelines.sources.legacy.loading import OLD, load, old_days, old_rows
from setbull_pipelines.sources.legacy.old_tables import CannotImport, Progress
from setbull_pipelines.sources.legacy.sql_dumps import dump_stream
from setbull_pipelines_tests.moments import LATER
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.sources.legacy.importing import (
    KEY,
    accepted,
    bring,
    candle,
    minutes,
    told,
)
from setbull_pipelines_tests.sources.legacy.old_system import as_csv, as_dump


@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=12)),
        min_size=1,
        max_size=6,
    )
)
def test_any_text_comes_out_of_a_dump_as_it_went_in(values: list[str | None]) -> None:
    escaped = [
        "NULL"
        if value is None
        else "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"
        for value in values
    ]
    statement = f"INSERT INTO `t` VALUES ({','.join(escaped)}),({','.join(escaped)});"
    begin = statement.index("(")
    wanted = (True,) * len(values)
    assert list(sql_dumps._rows(statement, begin, wanted, "d.sql")) == [values, values]


def test_columns_are_those_of_the_statement_or_of_the_created_table(tmp_path: Path) -> None:
    path = tmp_path / "d.sql"
    path.write_text(
        "CREATE TABLE IF NOT EXISTS `stock_groups` (\n  `status` varchar(16),\n  `id` char(36),\n"
        "  `entry_type` varchar(32),\n  PRIMARY KEY (`id`)\n);\n"
        "INSERT INTO `stock_groups` VALUES ('PENDING','a','BB_RANGE');\n"
        "insert into setbull.stock_groups (entry_type, id) values ('1ST_ENTRY', _binary 'b;\n'), ('it''s\\n', 'c');\n"
        "INSERT INTO `another_table` VALUES (1,2);\n"
    )
    rows = [chunk.rows for chunk in dump_stream(path, "d.sql").chunks(Progress())]
    found = pd.concat(rows)[["id", "entry_type"]]
    assert found.values.tolist() == [["a", "BB_RANGE"], ["b;\n", "1ST_ENTRY"], ["c", "it's\n"]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("INSERT INTO `stocks` VALUES (1,'A'", "has no end"),
        ("INSERT INTO `stocks` VALUES (1,'A',NULL,'B','C');\n", "expected a row with 4 values"),
        ("INSERT INTO `stocks` VALUES (1,'A',NULL,f(2));\n", "expected a row with 4 values"),
        (
            "INSERT INTO `stocks` VALUES (1,'A',NULL,2) ON DUPLICATE KEY UPDATE id=1;\n",
            "expected a row",
        ),
        (
            "INSERT INTO `stock_groups` (`id`, `entry_type`, `id`) VALUES ('a','BB_RANGE','b');\n",
            "stock_groups has the column id twice, expected it once",
        ),
    ],
)
def test_a_dump_that_is_cut_or_another_is_told(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "d.sql"
    path.write_text(text)
    with pytest.raises(CannotImport, match=sentence):
        list(dump_stream(path, "d.sql").chunks(Progress()))


def test_dump_and_export_of_the_same_rows_give_the_same_candles(tmp_path: Path) -> None:
    rows = [*minutes(20), candle(1, datetime(2025, 6, 2), "day")]
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "backup.sql").write_text(as_dump("stock_candle_data", rows))
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "stock_candle_data.csv").write_text(as_csv(rows))
    found = []
    for kind in ("dump", "csv"):
        state = bring(tmp_path / kind, tmp_path / f"imported-{kind}")
        assert sum(state.counts().values()) == 21
        frame = accepted(tmp_path / f"imported-{kind}", tmp_path / kind)
        found.append(frame.drop(columns=["source", "ingested_at"]).reset_index(drop=True))
    pd.testing.assert_frame_equal(*found)
    assert len(found[0]) == 21
    assert found[0]["timestamp"].min() == pd.Timestamp("2025-06-02T00:00+05:30")


def test_a_zone_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    source = tmp_path / "stock_candle_data.csv"
    # Between 09:15 and 10:00 both readings lie in the session.
    source.write_text(as_csv(minutes(5)))
    with pytest.raises(CannotImport, match=r"say which it is: --timezone Asia/Kolkata or --time"):
        bring(source, tmp_path / "imported")
    state = bring(source, tmp_path / "imported", "Asia/Kolkata")
    assert list(state.counts()) == [("stock_candle_data", "1minute", "2025-06-02")]


def test_a_dump_in_utc_of_a_server_with_another_clock_is_not_believed(tmp_path: Path) -> None:
    late = [candle(number, datetime(2025, 6, 2, 14, number)) for number in range(30)]
    source = tmp_path / "d.sql"
    head = "SET TIME_ZONE='+00:00';\n"
    source.write_text(head + as_dump("stock_candle_data", late, utc=False))
    with pytest.raises(CannotImport, match="stated in UTC, but lie in session hours only when"):
        bring(source, tmp_path / "imported")


def test_what_cannot_be_read_goes_through_intake_into_quarantine(tmp_path: Path) -> None:
    rows = [*minutes(20), candle(99, "soon"), candle(100, datetime(2025, 6, 2, 9, 40), close="x")]
    source = tmp_path / "stock_candle_data.csv"
    source.write_text(as_csv(rows))
    state = bring(source, tmp_path / "imported", "Asia/Kolkata")
    assert sum(state.counts().values()) == 22
    intake = take_in(tmp_path / "imported", tmp_path / "landing", SampleSettings(), LATER)
    landed = intake.load_range(intake.days("minutes"))
    assert len(landed.candles_1min) == 20
    assert landed.quarantine[["column", "value"]].values.tolist() == [["close", "x"]]
    assert intake.unassigned["value"].tolist() == ["soon"]
    assert intake.files["received"].sum() == 22


def test_other_intervals_are_counted_and_not_loaded(tmp_path: Path) -> None:
    rows = [*minutes(20), candle(1, datetime(2025, 6, 2), "week")]
    (tmp_path / "d.sql").write_text(as_dump("stock_candle_data", rows))
    state = bring(tmp_path / "d.sql", tmp_path / "imported")
    assert state.counts()["stock_candle_data", "week", "2025-06-02"] == 1
    assert {path.parent.name for path in (tmp_path / "imported").glob("*/*.parquet")} == {"1minute"}


def test_no_text_of_a_source_becomes_a_path(tmp_path: Path) -> None:
    intervals = ["../../../escaped", "a/b", "\x00", "", "week"]
    rows = [
        *minutes(20),
        *(candle(n, datetime(2025, 6, 2, 10), i) for n, i in enumerate(intervals)),
    ]
    source = tmp_path / "source" / "stock_candle_data.sql"
    source.parent.mkdir()
    source.write_text(as_dump("stock_candle_data", rows))
    state = bring(source, tmp_path / "imported")
    assert sum(state.counts().values()) == 25
    kinds = sorted(path.name for path in (tmp_path / "imported" / PARTS).iterdir())
    assert kinds == ["state.json", "stock_candle_data.1minute", "stock_candle_data.other"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["imported", "source"]
    (other,) = exporting.parts_of(tmp_path / "imported", "stock_candle_data.other")["all"]
    assert len(pd.read_parquet(other)) == 5, "one part of all of them, none written over"


def test_a_killed_import_goes_on_with_the_next_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sql_dumps, csv_exports):
        monkeypatch.setattr(module, "ROWS_IN_A_CHUNK", 10)
    rows = [row for day in (2, 3, 4) for row in minutes(20, day)]
    source = tmp_path / "stock_candle_data.csv"
    source.write_text(as_csv(rows))
    whole = tmp_path / "whole"
    bring(source, whole, "Asia/Kolkata")

    real, written = exporting._write_parts, []

    def killed(chunk, zone, folder):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(chunk.number)
        return real(chunk, zone, folder)

    monkeypatch.setattr(exporting, "_write_parts", killed)
    folder = tmp_path / "imported"
    with pytest.raises(KeyboardInterrupt):
        bring(source, folder, "Asia/Kolkata")
    assert State.read(folder).streams["stock_candle_data.csv"]["chunks"] == 3
    written.clear()
    monkeypatch.setattr(
        exporting, "_write_parts", lambda *given: written.append(given[0].number) or real(*given)
    )
    state = bring(source, folder, "Asia/Kolkata")
    assert written == [3, 4, 5], "what was on disk was not read into parts again"
    assert state.counts() == State.read(whole).counts()
    files = sorted(path.relative_to(whole) for path in whole.glob("1minute/*"))
    assert len(files) == 3
    for name in files:
        pd.testing.assert_frame_equal(pd.read_parquet(whole / name), pd.read_parquet(folder / name))
    # A second import writes nothing, so that intake reads nothing again.
    before = {name: (folder / name).stat().st_mtime_ns for name in files}
    written.clear()
    bring(source, folder, "Asia/Kolkata")
    assert not written
    assert {name: (folder / name).stat().st_mtime_ns for name in files} == before


def test_a_file_that_is_another_now_takes_the_place_of_what_was_read_of_it(tmp_path: Path) -> None:
    source = tmp_path / "stock_candle_data.csv"
    source.write_text(as_csv([*minutes(20), *minutes(20, 3)]))
    bring(source, tmp_path / "imported", "Asia/Kolkata")
    source.write_text(as_csv(minutes(7)))
    state = bring(source, tmp_path / "imported", "Asia/Kolkata")
    assert sum(state.counts().values()) == 7
    assert [path.name for path in (tmp_path / "imported" / "1minute").iterdir()] == [
        "2025-06-02.parquet"
    ]
    assert len(list((tmp_path / "imported" / PARTS).rglob("*.parquet"))) == 1


def test_the_universe_keeps_trading_symbols_ticks_in_paise_and_who_only_has_candles(
    tmp_path: Path,
) -> None:
    other = "NSE_EQ|INE917I01010"
    universe = [
        {
            "id": "1",
            "symbol": "BAJAJ",
            "name": "BAJAJ AUTO LIMITED",
            "exchange": "NSE",
            "instrument_type": "EQ",
            "isin": "",
            "instrument_key": other,
            "trading_symbol": "BAJAJ-AUTO",
            "exchange_token": "16669",
            "tick_size": "5.00",
            "lot_size": "1",
        }
    ]
    groups = [{"id": "g1", "entry_type": "BB_RANGE", "status": "PENDING"}]
    members = [{"id": "1", "group_id": "g1", "stock_id": "s1"}]
    stocks = [{"id": "s1", "symbol": "BAJAJ", "name": "x", "security_id": "16669"}]
    for table, rows in (
        ("stock_candle_data", minutes(20)),
        ("stock_universe", universe),
        ("stock_groups", groups),
        ("stock_group_stocks", members),
        ("stocks", stocks),
    ):
        (tmp_path / f"{table}.sql").write_text(as_dump(table, rows))
    folder = tmp_path / "imported"
    export(file_streams(tmp_path), folder, None, told)
    loaded = load(folder)
    assert (loaded.instruments, loaded.only_in_candles, loaded.groups) == (1, 1, 1)
    intake = take_in(folder, tmp_path / "landing", SampleSettings(), LATER)
    found = intake.instruments.set_index("instrument_key")
    assert found.loc[other, ["symbol", "isin", "tick_size"]].tolist() == [
        "BAJAJ-AUTO",
        "INE917I01010",
        0.05,
    ]
    assert len(intake.load_range(intake.days("minutes")).candles_1min) == 20, "nobody is unknown"
    of_groups = pd.read_csv(folder / OLD / "groups.csv")
    assert of_groups[["group_id", "instrument_key"]].values.tolist() == [["g1", other]]
    assert "stop_loss_percent" in loaded.notes[-1]


def test_old_results_are_kept_apart_from_the_input(tmp_path: Path) -> None:
    bars = [
        row | {"time_interval": "5minute", "active": "1", "rsi": "1.2000"}
        for row in minutes(20)[::5]
    ]
    stocks = [
        {
            "id": "1",
            "symbol": "INFY",
            "instrument_key": KEY,
            "trend": "BULLISH",
            "filter_date": datetime(2025, 6, 2, 5, 30),
        }
    ]
    (tmp_path / "a.sql").write_text(as_dump("stock_candle_data", minutes(20)))
    (tmp_path / "b.sql").write_text(as_dump("stock_candle_data_5min", bars))
    (tmp_path / "c.sql").write_text(as_dump("filtered_stocks", stocks))
    folder = tmp_path / "imported"
    state = bring(tmp_path, folder)
    assert state.counts()["filtered_stocks", "", "2025-06-02"] == 1
    assert old_days(folder) == ["2025-06-02"]
    assert len(old_rows(folder, "stock_candle_data_5min", "2025-06-02")) == 4
    assert old_rows(folder, "filtered_stocks")["trading_day"].tolist() == ["2025-06-02"]
    intake = take_in(folder, tmp_path / "landing", SampleSettings(), LATER)
    assert intake.files["source"].tolist() == ["1minute/2025-06-02.parquet"]


@pytest.mark.parametrize("name", ["notes.md", "prices.csv"])
def test_a_source_without_old_tables_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / name).write_text("a,b\n1,2\n")
    with pytest.raises(CannotImport, match=f"found {name}, expected SQL dumps"):
        file_streams(tmp_path / "source")
    with pytest.raises(CannotImport, match="found nothing there"):
        file_streams(tmp_path / "nowhere")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_end_in_a_sentence(data: st.DataObject, tmp_path: Path) -> None:
    """Bytes that are cut, changed or put in anywhere: what is read is kept, all else is CannotImport."""
    kind = data.draw(st.sampled_from(["d.sql", "d.sql.gz", "stock_candle_data.csv"]))
    rows = minutes(12)
    text = as_csv(rows) if kind.endswith("csv") else as_dump("stock_candle_data", rows)
    content = text.encode()
    if kind.endswith("gz"):
        content = gzip.compress(content)
    place = data.draw(st.integers(0, len(content)))
    added = data.draw(
        st.binary(max_size=6) | st.sampled_from([b"'", b"\\", b",", b"(", b"\n", b"NULL"])
    )
    length = data.draw(st.integers(0, 40) | st.just(len(content)))
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    (folder / kind).write_bytes(content[:place] + added + content[place + length :])
    with suppress(CannotImport):
        state = bring(folder / kind, folder / "imported", "Asia/Kolkata")
        loaded = sum(
            len(pd.read_parquet(path)) for path in (folder / "imported").glob("[1d]*/*.parquet")
        )
        others = sum(
            rows
            for (_, interval, _), rows in state.counts().items()
            if interval not in ("1minute", "day")
        )
        assert sum(state.counts().values()) == loaded + others


@pytest.mark.run
def test_an_import_that_is_killed_leaves_what_the_next_one_goes_on_from(tmp_path: Path) -> None:
    source = tmp_path / "stock_candle_data.csv"
    rows = [row for day in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13) for row in minutes(44, day)]
    source.write_text(as_csv(rows))
    program = (
        "import sys, time\n"
        "from setbull_pipelines.sources.legacy import csv_exports, exporting\n"
        "csv_exports.ROWS_IN_A_CHUNK = 10\n"
        "real = exporting._write_parts\n"
        "def slow(*given):\n"
        "    time.sleep(0.05)\n"
        "    return real(*given)\n"
        "exporting._write_parts = slow\n"
        "from setbull_pipelines.cli.main import main\n"
        "main(['import', sys.argv[1], '--timezone', 'Asia/Kolkata'])\n"
    )
    environment = dict(os.environ) | {"SETBULL_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-c", program, str(source)]
    folder = tmp_path / "data" / "imported"
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while not (State.read(folder).streams.get(source.name) or {}).get("chunks", 0) > 5:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    done = State.read(folder).streams[source.name]["chunks"]
    assert 5 < done < 44
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"440 rows ({440 - 10 * done} new)" in again.stdout
    bring(source, tmp_path / "whole", "Asia/Kolkata")
    files = sorted(path.name for path in (tmp_path / "whole" / "1minute").iterdir())
    assert len(files) == 10
    for name in files:
        one, other = (
            pd.read_parquet(place / "1minute" / name) for place in (tmp_path / "whole", folder)
        )
        pd.testing.assert_frame_equal(one, other)


def test_an_export_whose_rows_are_longer_than_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stock_candle_data.csv"
    path.write_text(
        "instrument_key,timestamp,open,high,low,close,volume,open_interest,time_interval\n"
        "NSE_EQ|A,2025-06-02 03:45:00,1,2,0.5,1.5,10,0,1minute,\n"
    )
    stream = csv_exports.export_stream(path, path.name)
    assert stream is not None
    with pytest.raises(CannotImport, match="more fields than the header"):
        list(stream.chunks(Progress(0, "")))
