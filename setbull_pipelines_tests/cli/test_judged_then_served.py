"""A V2 that differs is never served: real candles, everything forced to V2, one session on which V2 is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from setbull_pipelines import tables, variants
from setbull_pipelines.automation.told_by_tags import DIVERGED_TAG
from setbull_pipelines.cli.main import main
from setbull_pipelines.pipeline import engine
from setbull_pipelines.settings import load_settings
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines.warehouse.store import Warehouse
from setbull_pipelines_tests.api.running import PREFIX, serving

pytestmark = pytest.mark.run

FIRST, SECOND, THIRD = "2025-06-02", "2025-06-03", "2025-06-04"
AVANTEL = "NSE_EQ|INE005B01027"
SIGNED = ("--by", "Asha", "--reason", "a trial")
DISABLED = "[reconciliation]\nnoise_instruments = 0\n"


def setbull(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def sql(query: str) -> list[list[str]]:
    """The cells of an answer of ``setbull sql``, without its frame and header."""
    result = setbull("sql", query)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows[2:]]


def wrong_on(day: str):
    """V2's indicators with EMA 50 of ``day`` passed through float32, and RSI 14 up by half a point."""
    right = variants.v2.indicators

    def wrong(*arguments: object, **named: object) -> pd.DataFrame:
        rows = right(*arguments, **named)
        is_wrong = rows["trading_day"] == pd.Timestamp(day)
        rounded = rows["ema_50"].astype(np.float32).astype(float)
        return rows.assign(
            ema_50=rows["ema_50"].where(~is_wrong, rounded), rsi=rows["rsi"] + 0.5 * is_wrong
        )

    return wrong


@pytest.fixture(scope="module")
def evening(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Result]]:
    """The data folder after a run over three sessions at stage 100, the second of which V2 gets wrong."""
    folder = tmp_path_factory.mktemp("judged")
    candles = pd.read_parquet(shared_data / "candles_1min.parquet")
    chosen = candles["instrument_key"].eq(AVANTEL) & candles["timestamp"].dt.strftime(
        "%Y-%m-%d"
    ).isin([FIRST, SECOND, THIRD])
    columns = ["instrument_key", "timestamp", "open", "high", "low", "close", "volume"]
    candles.loc[chosen, columns].to_csv(folder / "avantel.csv", index=False)
    (folder / "settings.toml").write_text(DISABLED)
    known = engine.variant_code_version
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SETBULL_DATA_DIR", str(folder / "data"))
        patch.setenv("SETBULL_SETTINGS", str(folder / "settings.toml"))
        patch.setenv("COLUMNS", "250")
        patch.delenv("DAGSTER_HOME", raising=False)
        for component in ("aggregation", "indicators", "sequences"):
            assert setbull("rollout", "force", component, "100", *SIGNED).exit_code == 0
        patch.setattr(variants.v2, "indicators", wrong_on(SECOND))
        patch.setattr(
            engine, "variant_code_version", lambda name: "wrong" if name == "v2" else known(name)
        )
        yield folder, setbull("run", "--input", folder / "avantel.csv")


def test_the_run_finds_it_and_takes_v2_back(evening: tuple[Path, Result]) -> None:
    _, result = evening
    assert result.exit_code == 1, result.output
    status = setbull("rollout", "status").stdout
    assert "indicators: stage off, 0 of 5 healthy sessions, latched" in status
    # The other components agreed on all three sessions.
    assert "aggregation: stage 100" in status
    history = setbull("rollout", "history", "--component", "indicators").stdout.splitlines()
    assert [line for line in history if f"session {SECOND}" in line and "rolled back" in line]


def test_the_run_is_red_and_its_tags_name_the_tables(evening: tuple[Path, Result]) -> None:
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="daily"))
    assert runs[-1].status is dg.DagsterRunStatus.FAILURE
    assert "indicators_5min" in runs[-1].tags[DIVERGED_TAG]


def test_the_same_evening_readers_get_v1_on_every_session(evening: tuple[Path, Result]) -> None:
    days = sql(
        "SELECT trading_day, variant, count(*) FROM served.indicators_5min GROUP BY ALL ORDER BY ALL"
    )
    assert [[day, variant] for day, variant, _ in days] == [
        [FIRST, "v1"],
        [SECOND, "v1"],
        [THIRD, "v1"],
    ]
    for day in (FIRST, SECOND, THIRD):
        ((differing,),) = sql(
            "SELECT count(*) FROM served.indicators_5min s FULL JOIN v1.indicators_5min v "
            "USING (instrument_key, timestamp) WHERE coalesce(s.trading_day, v.trading_day) = "
            f"DATE '{day}' AND (s.ema_50 IS DISTINCT FROM v.ema_50 OR s.variant IS DISTINCT FROM 'v1')"
        )
        assert differing == "0"
    # V2 is wrong where it is stored, so that the comparison above says something.
    ((wrong,),) = sql(
        "SELECT count(*) FROM v2.indicators_5min a JOIN v1.indicators_5min b "
        f"USING (instrument_key, timestamp) WHERE a.trading_day = DATE '{SECOND}' AND a.ema_50 <> b.ema_50"
    )
    assert int(wrong) > 20
    # A component that agreed is served from V2 as forced.
    assert sql("SELECT DISTINCT variant FROM served.candles_5min") == [["v2"]]


def test_the_check_of_the_served_table_holds(evening: tuple[Path, Result]) -> None:
    _, result = evening
    assert "variant_as_decided" not in result.output
    told = " ".join(result.output.split())
    assert "v2_agrees_with_v1" in told


def test_the_api_answers_with_v1(evening: tuple[Path, Result]) -> None:
    settings = load_settings()
    rows = Warehouse(settings.data_directory / "warehouse").read(
        StoredTable("v1", tables.INDICATORS_5MIN), [SECOND]
    )
    with serving(settings) as client:
        answer = client.get(
            f"{PREFIX}/candles/{quote(AVANTEL, safe='')}/5minute",
            params={"start": f"{SECOND}T09:15:00+05:30", "end": f"{SECOND}T15:30:00+05:30"},
        )
    assert answer.status_code == 200, answer.text
    found = [candle["rsi"] for candle in answer.json()["data"]["data"]]
    assert found == [round(value, 2) for value in rows["rsi"]]
    assert len(found) == 75


def test_the_report_shows_what_is_served(evening: tuple[Path, Result]) -> None:
    folder, _ = evening
    report = (folder / "data" / "reports" / f"{SECOND}.html").read_text()
    by_variant = dict(
        re.findall(
            r'<th scope="row">(\w+)</th><td class="number">(\d+</td><td class="number">\d+)', report
        )
    )
    of_v1, of_v2 = '1</td><td class="number">0', '0</td><td class="number">1'
    assert by_variant["indicators_5min"] == of_v1
    assert by_variant["candles_5min"] == of_v2


def test_the_same_command_again_changes_nothing_that_is_served(
    evening: tuple[Path, Result],
) -> None:
    folder, _ = evening
    again = setbull("run", "--input", folder / "avantel.csv")
    assert again.exit_code == 1, again.output
    assert sql("SELECT DISTINCT variant FROM served.indicators_5min") == [["v1"]]
