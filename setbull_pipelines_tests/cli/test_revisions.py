"""``setbull run --as-of`` and ``setbull revisions``: an earlier moment again, and what changed since."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import tables
from setbull_pipelines.cli.main import main
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse

pytestmark = pytest.mark.run

HEADER = "instrument_key,timestamp,open,high,low,close,volume"
DAY = "2025-06-03"


def rows(close: float = 100.5) -> list[str]:
    return [
        f"NSE_EQ|{isin},{DAY}T09:{15 + minute}:00+05:30,100,102,99,{close},1000"
        for isin in ("INE002A01018", "INE467B01029")
        for minute in range(20)
    ]


def setbull(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def hashes(data_directory: Path) -> dict[str, str]:
    """Of every raw, computed and served table that has a partition of the day."""
    warehouse = Warehouse(data_directory / "warehouse")
    stored = [
        StoredTable(schema, table)
        for table in (*tables.RAW_TABLES, *tables.COMPUTED_TABLES, *tables.SERVED_TABLES)
        for schema in table.schemas
        if table.partitioned
    ]
    return {table.name: warehouse.pointer(table, DAY).content_hash for table in stored}


@pytest.fixture
def corrected(
    data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, str], datetime]:
    """An input that was run, corrected and run again: its folder, the hashes and the moment between."""
    monkeypatch.setattr(dg.DagsterInstance, "get", dg.DagsterInstance.ephemeral)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text("\n".join([HEADER, *rows()]) + "\n")
    assert setbull("run", "--input", inbox).exit_code == 0
    then, between = hashes(data_directory), datetime.now(UTC)
    (inbox / "b.csv").write_text("\n".join([HEADER, *rows(close=101.25)[:3]]) + "\n")
    assert setbull("run", "--input", inbox).exit_code == 0
    return inbox, then, between


def test_what_was_known_then_comes_back_beside_what_is_known_now(
    corrected, data_directory: Path
) -> None:
    inbox, then, between = corrected
    now = hashes(data_directory)
    assert now != then
    os.environ["SETBULL_DATA_DIR"] = str(data_directory)
    replayed = setbull("run", "--input", inbox, "--as-of", between.isoformat())
    assert replayed.exit_code == 0, replayed.output
    (folder,) = (data_directory / "as-of").iterdir()
    assert hashes(folder) == then
    assert hashes(data_directory) == now
    refused = setbull("run")
    assert refused.exit_code == 2
    assert "found the replay as of" in refused.output

    os.environ["SETBULL_DATA_DIR"] = str(data_directory)
    record = folder / "source.json"
    record.write_text(json.dumps({"input": str(inbox)}))
    refused = setbull("run", "--input", inbox, "--as-of", between.isoformat())
    assert refused.exit_code == 2
    assert "a replay is never written over other tables" in refused.output
    assert hashes(folder) == then

    told = setbull("revisions", "--day", DAY, "--instrument", "NSE_EQ|INE002A01018")
    assert "3 bars of 1 instruments were corrected, 3 of them after they were final" in told.output
    assert "2025-06-03 09:17" in told.output
    none = setbull("revisions", "--instrument", "NSE_EQ|INE467B01029")
    assert none.output == "all days: no bar was corrected\n"
    absent = setbull("revisions", "--day", "2025-06-01")
    assert absent.exit_code == 2
    assert f"--day 2025-06-01: found no bars of that day, expected a session from {DAY} to" in (
        absent.output
    )

    with duckdb.connect(str(data_directory / "setbull.duckdb"), read_only=True) as catalog:
        known = "SELECT sum(close), count(*) FROM minutes_as_of(?::TIMESTAMPTZ)"
        assert catalog.execute(known, [between]).fetchone() == (40 * 100.5, 40)
        assert catalog.execute(known, [datetime.now(UTC)]).fetchone() == (40 * 100.5 + 3 * 0.75, 40)
        assert catalog.execute(known, [datetime(2025, 6, 3, tzinfo=UTC)]).fetchone() == (None, 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--as-of", "2025-06-03"), "expected a moment YYYY-MM-DDTHH:MM"),
        (("--as-of", "yesterday"), "expected a moment YYYY-MM-DDTHH:MM"),
        (("--as-of", "2025-06-03T15:40"), "found the generated sample, which never changes"),
        (
            ("--as-of", "2025-06-03T15:40", "--input", "."),
            "found nothing that had been taken in by 2025-06-03 15:40",
        ),
    ],
)
def test_a_replay_of_nothing_says_so(
    data_directory: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    result = setbull("run", *arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert not (data_directory / "as-of").exists()
