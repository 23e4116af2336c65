"""The old database itself: a real server on loopback, asked by a user who may read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from setbull_pipelines.cli.importing import PASSWORD_VARIABLE, URL_VARIABLE, streams_of
from setbull_pipelines.cli.main import main
from setbull_pipelines.sources.legacy import exporting, live
from setbull_pipelines.sources.legacy.exporting import (
    PARTS,
    State,
    export,
    file_streams,
    miscounted,
)
from setbull_pipelines.sources.legacy.live import asked, connected, database_of
from setbull_pipelines.sources.legacy.loading import load, old_rows
from setbull_pipelines.sources.legacy.old_tables import CannotImport
from setbull_pipelines_tests.sources.legacy.database import PASSWORD, Server, mariadb
from setbull_pipelines_tests.sources.legacy.importing import KEY, accepted, candle, minutes, told

pytestmark = pytest.mark.run


@pytest.fixture(scope="module")
def empty() -> Iterator[Server]:
    with mariadb() as server:
        yield server


@pytest.fixture
def server(empty: Server) -> Server:
    """With 40 minutes of two days, a daily bar, an old five-minute bar and a filter row."""
    empty.execute("DROP DATABASE setbull", "CREATE DATABASE setbull")
    empty.fill("stock_candle_data", [*minutes(20), *minutes(20, 3)])
    empty.fill("stock_candle_data", [candle(9000, datetime(2025, 6, 2), "day")])
    bar = candle(1, datetime(2025, 6, 2, 9, 15), "5minute", active=1, rsi="1.2300")
    empty.fill("stock_candle_data_5min", [bar])
    stock = {"id": 1, "symbol": "INFY", "instrument_key": KEY, "trend": "BULLISH"}
    empty.fill("filtered_stocks", [stock | {"filter_date": datetime(2025, 6, 2, 5, 30)}])
    empty.execute("CREATE TABLE setbull.something_else (id int)")
    return empty


def bring(server: Server, folder: Path) -> State:
    streams = streams_of(server.url, {PASSWORD_VARIABLE: PASSWORD})
    state = export(streams, folder, None, told)
    load(folder)
    return state


def test_the_tables_of_a_database_become_input(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "imported"
    state = bring(server, folder)
    assert state.counts() == {
        ("stock_candle_data", "1minute", "2025-06-02"): 20,
        ("stock_candle_data", "1minute", "2025-06-03"): 20,
        ("stock_candle_data", "day", "2025-06-02"): 1,
        ("stock_candle_data_5min", "5minute", "2025-06-02"): 1,
        ("filtered_stocks", "", "2025-06-02"): 1,
    }
    assert miscounted(state) == []
    found = accepted(folder, tmp_path)
    assert len(found) == 41
    assert found["timestamp"].min() == pd.Timestamp("2025-06-02T00:00+05:30")
    assert set(found["close"]) == {100.5}
    assert old_rows(folder, "stock_candle_data_5min", "2025-06-02")["rsi"].tolist() == ["1.2300"]


def test_a_dump_of_the_database_says_the_same(server: Server, tmp_path: Path) -> None:
    live_state = bring(server, tmp_path / "live")
    (tmp_path / "backup.sql").write_text(server.dump())
    state = export(file_streams(tmp_path / "backup.sql"), tmp_path / "dump", None, told)
    load(tmp_path / "dump")
    assert state.counts() == live_state.counts()
    files = sorted(path.relative_to(tmp_path / "live") for path in (tmp_path / "live").glob("*/*"))
    files = [path for path in files if path.parts[0] in ("1minute", "day")]
    assert len(files) == 3
    for name in files:
        one, other = (pd.read_parquet(tmp_path / kind / name) for kind in ("live", "dump"))
        pd.testing.assert_frame_equal(one, other)


def test_a_killed_import_goes_on_after_the_last_id_and_new_rows_come_along(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ROWS_IN_A_CHUNK", 10)
    real, written = exporting._write_parts, []

    def killed(chunk, zone, folder):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(len(chunk.rows))
        return real(chunk, zone, folder)

    folder = tmp_path / "imported"
    monkeypatch.setattr(exporting, "_write_parts", killed)
    with pytest.raises(KeyboardInterrupt):
        bring(server, folder)
    monkeypatch.setattr(exporting, "_write_parts", real)
    state = bring(server, folder)
    assert sum(state.counts().values()) == 43
    server.fill("stock_candle_data", [candle(9001, datetime(2025, 6, 4, 9, 15))])
    state = bring(server, folder)
    assert state.counts()["stock_candle_data", "1minute", "2025-06-04"] == 1
    assert len(accepted(folder, tmp_path)) == 42


def test_a_row_that_was_deleted_meanwhile_is_told(server: Server, tmp_path: Path) -> None:
    bring(server, tmp_path / "imported")
    server.execute("DELETE FROM setbull.stock_candle_data WHERE id = 2001")
    assert miscounted(bring(server, tmp_path / "imported")) == [
        f"{server.url}/stock_candle_data 1minute 2025-06-02: the database counts 19 rows, 20 were exported"
    ]


def test_a_miscount_is_the_exit_code(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETBULL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    first = CliRunner().invoke(main, ["import", server.url])
    assert first.exit_code == 0, first.output
    assert PASSWORD not in first.output
    server.execute("DELETE FROM setbull.stock_candle_data WHERE id = 2001")
    second = CliRunner().invoke(main, ["import", server.url])
    assert second.exit_code == 1
    assert "counts 19 rows, 20 were exported" in second.stdout
    assert "error: 1 counts of the database differ" in second.stderr


def test_the_session_cannot_write_even_where_its_user_may(server: Server) -> None:
    import pymysql

    server.execute("CREATE OR REPLACE TABLE writable.t (id int)")
    database = database_of(server.url, PASSWORD)
    with pytest.raises(CannotImport, match="READ ONLY"), connected(database) as connection:
        asked(connection, "INSERT INTO writable.t VALUES (1)", [])
    # That user can, without this session.
    with pymysql.connect(
        host="127.0.0.1", port=server.port, user="reader", password=PASSWORD, autocommit=True
    ) as other:
        other.cursor().execute("INSERT INTO writable.t VALUES (1)")
    assert server.ask("SELECT count(*) FROM writable.t") == [(1,)]


def test_only_questions_are_asked(server: Server, tmp_path: Path) -> None:
    server.execute("SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log = 1")
    try:
        bring(server, tmp_path / "imported")
    finally:
        server.execute("SET GLOBAL general_log = 0")
    log = server.ask(
        "SELECT argument FROM mysql.general_log WHERE user_host LIKE 'reader%' AND command_type = 'Query'"
    )
    verbs = {(row[0].decode() if isinstance(row[0], bytes) else row[0]).split()[0] for row in log}
    assert verbs <= {"SELECT", "SET", "START", "COMMIT", "ROLLBACK"}
    assert "SELECT" in verbs


def test_a_password_is_in_no_message_and_no_file(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bring(server, tmp_path / "imported")
    with pytest.raises(CannotImport, match=r"cannot be reached .*Access denied") as refused:
        streams_of(server.url, {PASSWORD_VARIABLE: f"not {PASSWORD}"})
    texts = [str(refused.value), repr(database_of(server.url, PASSWORD)), *capfd.readouterr()]
    state = (tmp_path / "imported" / PARTS / "state.json").read_text()
    assert all(PASSWORD not in text for text in (*texts, state))


def test_where_a_url_comes_from(server: Server) -> None:
    from urllib.parse import quote

    whole = server.url.replace("reader@", f"reader:{quote(PASSWORD, safe='')}@")
    assert len(streams_of(None, {URL_VARIABLE: whole})) == 3
    with pytest.raises(CannotImport, match="shows a password to all"):
        streams_of(whole, {})


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://127.0.0.1/setbull", "incomplete"),
        ("mysql://reader@127.0.0.1", "incomplete"),
        ("mysql://reader@127.0.0.1:port/setbull", "cannot be read"),
    ],
)
def test_a_url_that_is_none(url: str, sentence: str) -> None:
    with pytest.raises(CannotImport, match=sentence):
        database_of(url, None)


def test_a_database_without_old_tables(empty: Server) -> None:
    empty.execute("DROP DATABASE setbull", "CREATE DATABASE setbull")
    with pytest.raises(CannotImport, match="found none of the tables stock_candle_data"):
        streams_of(empty.url, {PASSWORD_VARIABLE: PASSWORD})
