"""``setbull import`` as a user sees it: from dumps of the old system to a run, and back to the old results."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines.cli.main import main
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.tables.contract import INDIA
from setbull_pipelines_tests.reconciliation.random_minutes import BEFORE, KEYS, TODAY, minutes_of
from setbull_pipelines_tests.sources.legacy.old_system import as_dump, old_candles, old_five_minutes

pytestmark = pytest.mark.run

SETTINGS = "[indicators]\nwarm_margin_bars = 10\n[reconciliation]\nnoise_instruments = 0\n"


def setbull(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def printed(*arguments: str) -> str:
    result = setbull(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    result = setbull(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture
def dumps(tmp_path: Path, data_directory: Path) -> Path:
    """Two days of two shares, their daily bars, and what the old system made of them."""
    (tmp_path / "settings.toml").write_text(SETTINGS)
    folder = tmp_path / "dumps"
    folder.mkdir()
    minutes = pd.concat([minutes_of(BEFORE, 1), minutes_of(TODAY, 2)], ignore_index=True)
    sessions = NSE.trading_days(pd.Timestamp("2025-01-01").date(), TODAY.date())[-75:]
    daily = pd.DataFrame(
        [
            {
                "instrument_key": key,
                "timestamp": pd.Timestamp(day, tz=INDIA),
                **dict.fromkeys(("open", "high", "low", "close"), 400 + 0.25 * number),
                "volume": 900_000,
            }
            for key in KEYS
            for number, day in enumerate(sessions)
        ]
    )
    stocks = [
        {
            "id": "1",
            "symbol": "INFY",
            "instrument_key": KEYS[0],
            "trend": "BULLISH",
            "current_price": "400.00",
            "filter_date": datetime(2025, 6, 3, 5, 30),
        }
    ]
    for table, rows in (
        ("stock_candle_data", old_candles(minutes, daily)),
        ("stock_candle_data_5min", old_five_minutes(minutes)),
        ("filtered_stocks", stocks),
    ):
        (folder / f"{table}.sql").write_text(as_dump(table, rows))
    return folder


def test_from_dumps_to_a_run_and_a_comparison(dumps: Path, data_directory: Path) -> None:
    told = printed("import", str(dumps))
    imported = data_directory / "imported"
    for line in (
        "stock_candle_data.sql: 1,650 rows (1,650 new), moments in UTC",
        "stock_candle_data 1minute: 1,500 rows, 2 days from 2025-06-02 to 2025-06-03",
        "stock_candle_data day: 150 rows, 75 days from",
        "filtered_stocks: 1 rows, 1 days from 2025-06-03 to 2025-06-03",
        "input files of 1minute: 1,500 rows",
        "input files of day: 150 rows",
        f"now run: setbull run --input {imported}, then: setbull import --validate",
    ):
        assert line in told
    assert "1,650 rows (0 new)" in printed("import", str(dumps))

    early = printed("import", "--validate")
    assert "have not been run" in early
    assert "stock_candle_data_5min against V1: 0 days" in early
    assert "2 days are not held, V1 has no tables of them: 2025-06-02 to 2025-06-03" in early

    printed("run", "--input", str(imported))
    told = printed("import", "--validate")
    assert (
        "stock_candle_data 1minute: 2 days, 1,500 exported, 1,500 received, 1,500 accepted, 0 quarantined"
        in told
    )
    bars = next(line for line in told.splitlines() if line.startswith("stock_candle_data_5min"))
    assert bars.startswith(
        "stock_candle_data_5min against V1: 2 days, 6,000 cells and rows compared"
    )
    assert bars.endswith("(0 of unknown cause)")
    assert "rsi: " in told
    assert "holds the ratio RS, not RSI (rows 18 and 19, D2)" in told
    assert "filtered_stocks against V1: 1 days, 1 cells and rows compared, 0 equal, 1 diff" in told
    path = data_directory / "reports" / "import-differences.csv"
    assert f"all differences: {path}" in told
    found = pd.read_csv(path)
    assert set(found["table"]) == {"stock_candle_data_5min", "filtered_stocks"}
    assert int(bars.split(" equal, ")[1].split()[0].replace(",", "")) == len(found) - 1


def test_refusals_are_one_sentence(dumps: Path, data_directory: Path, tmp_path: Path) -> None:
    assert "found no source, expected a dump" in refused("import")
    assert "found no import, expected one: setbull import SOURCE" in refused("import", "--validate")
    assert "shows a password to all" in refused("import", "mysql://reader:secret@127.0.0.1/setbull")
    (tmp_path / "cut.sql").write_text((dumps / "stock_candle_data.sql").read_text()[:5000])
    assert "the last statement has no end" in refused("import", str(tmp_path / "cut.sql"))
