"""The recipes of ``docs/extending.md``, followed: each is applied to a copy of the project, and the copy is run.

Real processes, since the copy is another version of the package than the one that runs the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from setbull_pipelines.reconciliation.self_test.score import MUTANTS
from setbull_pipelines_tests.documents import PROJECT, blocks_of_section, patch_of, patched
from setbull_pipelines_tests.patience import PATIENCE

pytestmark = pytest.mark.scenario

DOCUMENT = PROJECT / "docs" / "extending.md"
INDICATOR, STAGE, SOURCE, IN_SQL, LISTENER = RECIPES = (
    *("An indicator", "A filter stage", "A source"),
    *("A table in SQL", "A listener to closed bars"),
)
AVERAGE = "A slower average"
PACKAGES = ("setbull_pipelines", "setbull_pipelines_tests")
DAY = "2026-06-30"
SETTINGS = f"""
[sample]
instruments = 12
daily_sessions = 74
minute_sessions = 2
last_day = "{DAY}"
[indicators]
warm_margin_bars = 10
[look_back]
sessions_moves = 21
[reconciliation]
noise_instruments = 0
[filters]
minimum_turnover = 800_000_000.0
"""
VENDOR_FILE = """\
name,ymd,hm,first,max,min,last,shares
RELIANCE,2025-06-02,09:15:00,1420.00,1424.50,1419.00,1423.00,12000
RELIANCE,2025-06-02,09:16:00,1423.00,1423.50,1421.00,1422.00,8000
RELIANCE,2025-06-02,09:17:00,1422.00,1420.00,1421.00,1422.00,8000
"""
"""The third row has its high below its low."""


@dataclass(frozen=True)
class Extended:
    """A copy of the project after the recipes, and a folder for its data."""

    root: Path
    data: Path

    def run(self, *command: str, data: str = "sample", exit_code: int = 0) -> str:
        """What ``python`` prints for ``command`` in the copy; it must end with this code."""
        own = ("SETBULL_", "DAGSTER_", "PYTHON")
        environment = {name: text for name, text in os.environ.items() if not name.startswith(own)}
        finished = subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env=environment
            | {
                "PYTHONPATH": str(self.root),
                "SETBULL_DATA_DIR": str(self.data / data),
                "SETBULL_SETTINGS": str(self.data / "settings.toml"),
                "SETBULL_TEST_DATA": os.environ.get(
                    "SETBULL_TEST_DATA", str(PROJECT.parent / "shared" / "data")
                ),
                "COLUMNS": "200",
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert finished.returncode == exit_code, finished.stdout + finished.stderr
        return finished.stdout if exit_code == 0 else finished.stderr

    def setbull(self, *arguments: str, data: str = "sample") -> str:
        return self.run("-m", "setbull_pipelines.cli.main", *arguments, data=data)

    def ask(self, query: str, data: str = "sample") -> pd.DataFrame:
        path = self.data / data / "setbull.duckdb"
        with duckdb.connect(str(path), read_only=True) as catalog:
            catalog.execute("SET TimeZone = 'Asia/Kolkata'")
            return catalog.execute(query).df()


def sources() -> dict[str, str]:
    """The text of every module by its path in the project."""
    return {
        path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*.py")
    }


def followed(recipes: tuple[str, ...], files: Mapping[str, str]) -> dict[str, str]:
    """What the recipes change, one after the other."""
    changed: dict[str, str] = {}
    for recipe in recipes:
        changed |= patched({**files, **changed}, patch_of(DOCUMENT, recipe))
    return changed


def copied(tmp_path_factory: pytest.TempPathFactory, recipes: tuple[str, ...]) -> Extended:
    """The project after recipes, with an empty folder for its data."""
    root = tmp_path_factory.mktemp("extended")
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, root / package)
    for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml", "constraints.txt"):
        shutil.copy2(PROJECT / name, root)
    (root / "docs").mkdir()
    for path, text in followed(recipes, sources()).items():
        (root / path).write_text(text, encoding="utf-8")
    return Extended(root, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Extended:
    """The project after all recipes, with a finished run over the last session of a small sample."""
    copy = copied(tmp_path_factory, RECIPES)
    (live,) = (text for kind, text in blocks_of_section(DOCUMENT, LISTENER) if kind == "toml")
    (copy.data / "settings.toml").write_text(SETTINGS + live, encoding="utf-8")
    copy.run("-m", "setbull_pipelines.cli.documentation")
    copy.setbull("run", "--from", DAY, "--to", DAY)
    return copy


@pytest.mark.parametrize("recipe", [*RECIPES, AVERAGE])
def test_every_recipe_can_be_followed_alone_and_gives_modules(recipe: str) -> None:
    changed = followed((recipe,), sources())
    assert changed
    for path, text in changed.items():
        compile(text, path, "exec")


@pytest.mark.parametrize(
    ("recipe", "package", "tests"),
    [(INDICATOR, 4, 1), (STAGE, 5, 0), (SOURCE, 1, 0), (AVERAGE, 1, 0)],
)
def test_a_recipe_touches_few_files(recipe: str, package: int, tests: int) -> None:
    changed = list(followed((recipe,), sources()))
    of_tests = [path for path in changed if path.startswith(PACKAGES[1])]
    assert (len(changed) - len(of_tests), len(of_tests)) == (package, tests), changed


def test_a_hunk_that_does_not_fit_is_refused() -> None:
    patch = "--- a.py\n@@\n one\n+two\n"
    assert patched({"a.py": "one\nthree\n"}, patch) == {"a.py": "one\ntwo\nthree\n"}
    for text in ("three\n", "one\none\n"):
        with pytest.raises(ValueError, match="expected once"):
            patched({"a.py": text}, patch)


def test_the_indicator_is_computed_by_both_variants_and_reconciled(extended: Extended) -> None:
    compared = extended.ask(
        "SELECT table_name, state, cells_unequal FROM reconciliation.summary "
        "WHERE table_name LIKE 'indicators%'"
    )
    assert compared["state"].tolist() == ["pass", "pass"]
    assert compared["cells_unequal"].tolist() == [0, 0]
    for table in ("indicators_5min", "indicators_daily"):
        cells = extended.ask(f"SELECT * FROM reconciliation.{table} WHERE column_name = 'roc_14'")
        assert cells["cells_compared"].sum() > 0
        assert cells["cells_unequal"].sum() == 0


def test_the_indicator_has_the_values_of_pandas_in_the_served_table(extended: Extended) -> None:
    closes = extended.ask(
        "SELECT instrument_key, timestamp, close FROM v1.candles_5min "
        "ORDER BY instrument_key, timestamp"
    )
    closes["expected"] = 100 * closes.groupby("instrument_key")["close"].pct_change(14)
    served = extended.ask("SELECT instrument_key, timestamp, roc_14 FROM served.indicators_5min")
    both = served.merge(closes, on=["instrument_key", "timestamp"])
    last_session = both[both["timestamp"].dt.strftime("%Y-%m-%d") == DAY]
    assert last_session["expected"].notna().sum() > 500
    found, expected = last_session["roc_14"], last_session["expected"]
    pd.testing.assert_series_equal(found, expected, check_names=False, rtol=1e-9, atol=1e-12)


def test_the_indicator_equals_its_oracle(extended: Extended, shared_data: Path) -> None:
    tests = "setbull_pipelines_tests/variants/test_oracles.py"
    printed = extended.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "talib", tests)
    assert re.search(r"\b10 passed", printed)


CHANGED = ("indicators_5min", "indicators_daily", "filter_results")
"""Tables that recipes add columns to. The faults of the others are those of the project, which tests of it compare."""
SELF_TEST = f"""
from setbull_pipelines.cli.main import main
from setbull_pipelines.reconciliation.self_test import score

score.MUTANTS = [mutant for mutant in score.MUTANTS if mutant.table.name in {CHANGED}]
score.NOISE_SEEDS = ()
main(["self-test"])
"""


def test_the_self_test_catches_the_fault_of_the_indicator(extended: Extended) -> None:
    printed = extended.run("-c", SELF_TEST)
    told = re.search(r"caught (\d+) of (\d+), diagnosed (\d+)", printed)
    assert told
    faults = sum(mutant.table.name in CHANGED for mutant in MUTANTS) + 1
    assert [int(count) for count in told.groups()] == [faults] * 3


def test_the_pages_have_the_new_columns(extended: Extended) -> None:
    pages = {page.name: page.read_text("utf-8") for page in (extended.root / "docs").iterdir()}
    # Bars of five minutes, of days, and the events of live bars.
    assert pages["tables.md"].count("| roc_14 | DOUBLE | percent |") == 3
    assert pages["definitions.md"].count("| roc_14 | 100 x (close - c) / c") == 2
    assert "| turnover | close x average_volume |" in pages["definitions.md"]


AGAINST_THE_WHOLE_HISTORY = """
import pandas as pd
from setbull_pipelines.settings import load_settings
from setbull_pipelines.tables.look_back import refuse_short_look_back, warm_bars
from setbull_pipelines.variants import V1, V2
from setbull_pipelines_tests.variants.frames import bars_daily, random_daily, trading_days

settings = refuse_short_look_back(load_settings())
days = trading_days("2018-01-01", 1500)
candles = bars_daily(random_daily(3, days, instruments=1, missing_share=0, volatility=0.02))
window = candles.tail(settings.look_back.sessions_daily + 1).reset_index(drop=True)
for variant in (V1, V2):
    whole, recent = (variant.indicators(bars, "day")["ema_100"].iloc[-1] for bars in (candles, window))
    seeded = candles["close"].copy()
    seeded[99] = seeded[:100].mean()
    expected = seeded[99:].ewm(alpha=2 / 101, adjust=False).mean().iloc[-1]
    assert abs(whole / expected - 1) < 1e-12, (whole, expected)
    assert abs(recent / expected - 1) < 1e-9, (recent, expected)
    warm = variant.indicators(candles, "day")["is_warm"]
    print(variant.name, int(warm.idxmax()) + 1, warm_bars(settings.indicators.warm_margin_bars))
"""


def test_a_slower_average_is_right_or_refused_with_what_to_set(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    copy = copied(tmp_path_factory, (AVERAGE,))
    path = copy.data / "settings.toml"
    path.write_text("", encoding="utf-8")
    refused = copy.run("-m", "setbull_pipelines.cli.main", "run", exit_code=2)
    assert refused.startswith(
        "error: setting look_back.sessions_daily: found 600, expected 1136 or more: "
    )
    assert "ema_100" in refused
    (settings,) = (text for kind, text in blocks_of_section(DOCUMENT, AVERAGE) if kind == "toml")
    path.write_text(settings, encoding="utf-8")
    assert copy.run("-c", AGAINST_THE_WHOLE_HISTORY).split("\n")[:2] == [
        "v1 501 501",
        "v2 501 501",
    ]


def test_the_stage_rejects_with_value_threshold_and_reason(extended: Extended) -> None:
    results = extended.ask("SELECT * FROM served.filter_results")
    stopped = results[results["stopped_at"] == "turnover"]
    assert 0 < len(stopped) < len(results)
    for row in stopped.itertuples():
        assert row.verdict == "rejected"
        assert row.turnover == pytest.approx(row.close * row.average_volume)
        assert row.turnover < row.turnover_threshold == 800_000_000
        assert row.reason == f"turnover {row.turnover:.0f} is below 800000000"
        assert pd.isna(row.ema_passed)
    passed = results[results["turnover_passed"].eq(True)]
    assert (passed["turnover"] >= 800_000_000).all()
    assert set(passed["verdict"]) >= {"bullish", "bearish"}
    (state,) = extended.ask(
        "SELECT state FROM reconciliation.summary WHERE table_name = 'filter_results'"
    )["state"]
    assert state == "pass"


def test_the_source_is_read_judged_and_computed(extended: Extended) -> None:
    folder = extended.data / "vendor"
    folder.mkdir()
    (folder / "minutes.csv").write_text(VENDOR_FILE, encoding="utf-8")
    extended.setbull("run", "--input", str(folder), data="of-vendor")
    minutes = extended.ask(
        "SELECT instrument_key, strftime(timestamp, '%H:%M') AS clock, close, volume "
        "FROM raw.candles_1min ORDER BY timestamp",
        "of-vendor",
    )
    assert minutes.values.tolist() == [
        ["NSE_EQ|RELIANCE", "09:15", 1423.0, 12000],
        ["NSE_EQ|RELIANCE", "09:16", 1422.0, 8000],
    ]
    rejected = extended.ask("SELECT line, rule FROM raw.quarantine", "of-vendor")
    assert rejected.values.tolist() == [[4, "high below low"]]
    bars = extended.ask("SELECT close, volume FROM served.candles_5min", "of-vendor")
    assert bars.values.tolist() == [[1422.0, 20000.0]]


def test_the_table_in_sql_is_made_by_the_daily_job_and_alone(extended: Extended) -> None:
    extended.run(
        *("-m", "dagster", "asset", "materialize", "-m", "setbull_pipelines.definitions"),
        *("--select", "own/breadth"),
    )
    counted = """
        import os, dagster as dg
        os.environ["DAGSTER_HOME"] = os.environ["SETBULL_DATA_DIR"] + "/dagster"
        with dg.DagsterInstance.get() as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey(["own", "breadth"]))
            run = instance.get_run_by_id(event.run_id)
            print(run.job_name, event.asset_materialization.metadata["stocks by verdict"].value)
    """
    told = extended.run("-c", textwrap.dedent(counted), data="sample")
    assert told.startswith("daily ")
    verdicts = extended.ask(
        "SELECT verdict, count(*) AS stocks FROM served.filter_results GROUP BY ALL"
    )
    for row in verdicts.itertuples():
        assert re.search(rf"{row.verdict} +{row.stocks}\b", told)


TOLD = f"""
from datetime import date
from setbull_pipelines.pipeline import candle_events, candle_receivers
from setbull_pipelines.pipeline.opening import now, open_warehouse
from setbull_pipelines.settings import load_settings

settings = load_settings()
warehouse = open_warehouse(settings)
days = [date.fromisoformat("{DAY}")]
list(candle_events.record(days, warehouse, settings, "test", is_under_way=True))
(sent,) = candle_receivers.send_due(warehouse, settings, now)
print(sent.receiver, sent.events, sent.error)
"""


def test_the_listener_is_called_with_every_bar(extended: Extended) -> None:
    told = extended.run("-c", TOLD)
    bars = extended.ask(
        "SELECT strftime(timestamp, '%H:%M') AS clock, instrument_key, close FROM served.candles_5min "
        "JOIN served.indicators_5min USING (instrument_key, timestamp) "
        f"WHERE strftime(timestamp, '%Y-%m-%d') = '{DAY}' AND round(close, 2) > round(bb_upper, 2) "
        "ORDER BY timestamp, instrument_key"
    )
    (counted,) = extended.ask(
        f"SELECT count(*) AS n FROM served.candles_5min WHERE strftime(timestamp, '%Y-%m-%d') = '{DAY}'"
    )["n"]
    assert told.split() == ["on_candle_close", str(counted), "None"]
    noted = (extended.root / "above_the_band.txt").read_text("utf-8").splitlines()
    assert len(noted) == len(bars) > 0
    for line, bar in zip(noted, bars.itertuples(), strict=True):
        moment, key, close, revision = line.split()
        assert (moment, key) == (f"{DAY}T{bar.clock}:00+05:30", bar.instrument_key)
        assert (float(close), revision) == (round(bar.close, 2), "1")
