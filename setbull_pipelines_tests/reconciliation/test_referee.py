"""An outside referee, datacompy in an environment of its own, reaches the verdict of our comparison on the same files.

Every comparison is made by both. Where the definitions differ, a test shows it: datacompy's tolerance is relative to
the right side, ours to the larger one; and it pairs rows of one key by their order, where we refuse to pair them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from setbull_pipelines import tables
from setbull_pipelines.reconciliation.compare import Comparison, compare
from setbull_pipelines.reconciliation.self_test.generic_mutants import last_agreeing
from setbull_pipelines.settings import ReconciliationSettings
from setbull_pipelines.tables import Table
from setbull_pipelines.tables.contract import Column, Kind, Tolerance
from setbull_pipelines.tables.reconciliation import DIVERGED, PASS
from setbull_pipelines.warehouse.pointers import StoredTable
from setbull_pipelines_tests.patience import PATIENCE
from setbull_pipelines_tests.pipeline.small_run import SmallRun
from setbull_pipelines_tests.reconciliation.partition_files import TRADING_DAY, write

PROJECT = Path(__file__).resolve().parents[2]
REFEREE = PROJECT / ".venv-referee" / "bin" / "python"
TABLES = {table.name: table for table in tables.COMPUTED_TABLES}
ROW = 500
"""Row of the 5-minute tables in which single faults are made; not in the warm-up."""

Fault = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """The same two files, judged by both."""

    ours: Comparison
    referee: dict

    @property
    def our_unequal(self) -> dict[str, int]:
        """Unequal cells by column, of columns that have some."""
        counts = self.ours.columns.set_index("column_name")["cells_unequal"]
        return counts[counts > 0].to_dict()

    @property
    def our_one_sided(self) -> tuple[int, int]:
        """Rows only in V1, rows only in V2."""
        row = self.ours.summary.iloc[0]
        return int(row["rows_only_v1"]), int(row["rows_only_v2"])

    @property
    def one_sided(self) -> tuple[int, int]:
        """The same, said by the referee."""
        return self.referee["rows_only_left"], self.referee["rows_only_right"]


def scaled(column: str, factor: float) -> Fault:
    def fault(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[ROW, column] *= factor
        return frame

    return fault


def replaced(column: str, value: object, row: int = 0) -> Fault:
    def fault(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = value
        return frame

    return fault


def flipped(column: str, row: int = 0) -> Fault:
    def fault(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = not frame.at[row, column]
        return frame

    return fault


def next_float_beyond(frame: pd.DataFrame, steps: int) -> pd.DataFrame:
    beyond = last_agreeing(frame.at[ROW, "ema_50"])
    for _ in range(steps):
        beyond = np.nextafter(beyond, np.inf)
    frame.loc[ROW, "ema_50"] = beyond
    return frame


def with_sample_deviation(frame: pd.DataFrame) -> pd.DataFrame:
    factor = np.sqrt(20 / 19)
    for band in ("bb_upper", "bb_lower"):
        frame[band] = frame["bb_middle"] + (frame[band] - frame["bb_middle"]) * factor
    for width in ("bb_width", "bb_width_normalized", "bb_width_normalized_percentage"):
        frame[width] *= factor
    return frame


def shifted_key(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[ROW, "timestamp"] += pd.Timedelta(hours=12)
    return frame


def shifted_day(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[[1, 3], "end_day"] += pd.Timedelta(days=1)
    return frame


FAULTS: dict[str, tuple[str, Fault]] = {
    "one cell beyond the tolerance": ("indicators_5min", scaled("ema_50", 1 + 1e-6)),
    "one cell within the tolerance": ("indicators_5min", scaled("ema_50", 1 + 1e-12)),
    "the last float within": ("indicators_5min", lambda frame: next_float_beyond(frame, 0)),
    "the first float beyond": ("indicators_5min", lambda frame: next_float_beyond(frame, 1)),
    "one null": ("indicators_5min", replaced("rsi", None, ROW)),
    "one value for a null": ("candles_5min", replaced("open_interest", 7, ROW)),
    "one integer": ("candles_5min", replaced("volume", 7, ROW)),
    "one lost row": ("indicators_5min", lambda frame: frame.drop(index=ROW)),
    "one instrument lost": (
        "moves_daily",
        lambda frame: frame[frame["instrument_key"] != frame.at[0, "instrument_key"]],
    ),
    "sample deviation in Bollinger": ("indicators_5min", with_sample_deviation),
    "one label": ("filter_results", replaced("verdict", "rejected")),
    "one text": ("filter_results", replaced("reason", "because")),
    "one text lost": ("filter_results", replaced("basic_reason", None)),
    "one flag": ("candles_5min", flipped("is_complete", ROW)),
    "one nullable flag": ("filter_results", flipped("basic_passed")),
    "two days": ("sequences", shifted_day),
    "one bar at another time": ("candles_5min", shifted_key),
}
AGREEING = {"one cell within the tolerance", "the last float within"}
DUPLICATE = "one key twice"
COARSE_TOLERANCE = "a tolerance of a tenth"
COARSE = Table(
    name="indicators_5min",
    description="A tolerance so coarse that the two definitions of it differ.",
    schemas=("v1", "v2"),
    key=("instrument_key",),
    columns=(
        Column("instrument_key", Kind.TEXT, "Instrument"),
        Column("price", Kind.FLOAT, "Price", tolerance=Tolerance("coarse", 0.1, 0.0, "to show it")),
    ),
)


def coarse(*prices: float) -> pd.DataFrame:
    keys = [f"NSE_EQ|INE00000000{number}" for number in range(len(prices))]
    return COARSE.conform(pd.DataFrame({"instrument_key": keys, "price": prices}))


Pair = tuple[Table, Path, Path]


def pairs(run: SmallRun, folder: Path) -> Iterator[tuple[str, Pair]]:
    """Name, table and exported files of every comparison."""
    day = run.days[0].isoformat()

    def exported(schema: str, table: Table) -> Path:
        """The rows of the day; the stored file has other days too."""
        path = folder / f"{schema}.{table.name}.parquet"
        if not path.exists():
            pyarrow.parquet.write_table(
                run.warehouse.read_arrow(StoredTable(schema, table), [day]), path
            )
        return path

    for name, table in TABLES.items():
        yield name, (table, exported("v1", table), exported("v2", table))
    faults = FAULTS | {
        DUPLICATE: ("candles_5min", lambda frame: pd.concat([frame, frame.iloc[[ROW]]]))
    }
    for fault_name, (name, fault) in faults.items():
        table = TABLES[name]
        v1 = run.warehouse.read(StoredTable("v1", table), [day])
        wrong = folder / f"{fault_name}.parquet"
        write(table, fault(v1.copy()), wrong)
        yield fault_name, (table, exported("v1", table), wrong)
    sides = [
        write(COARSE, coarse(*prices), folder / f"{number}.parquet")
        for number, prices in enumerate([(100.0, 90.5), (90.5, 100.0)])
    ]
    yield COARSE_TOLERANCE, (COARSE, *sides)


@pytest.fixture(scope="module")
def cases(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Every comparison, judged by both; the referee runs once for all of them."""
    if not REFEREE.exists():
        absent = (
            f"the environment of the referee, {REFEREE.parents[1].name}, is absent: run `make test`"
        )
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(absent)
    folder = tmp_path_factory.mktemp("referee")
    made = dict(pairs(small_run, folder))
    request, answer = folder / "request.json", folder / "answer.json"
    request.write_text(
        json.dumps(
            {
                name: {
                    "left": str(v1),
                    "right": str(v2),
                    "key": table.key,
                    "relative": {c.name: c.tolerance.relative for c in table.value_columns},
                    "absolute": {c.name: c.tolerance.absolute for c in table.value_columns},
                }
                for name, (table, v1, v2) in made.items()
            }
        ),
        encoding="utf-8",
    )
    script = Path(__file__).with_name("referee.py")
    # Without the path of this project: the referee must not see its packages.
    environment = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
    finished = subprocess.run(
        [str(REFEREE), "-I", str(script), str(request), str(answer)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert finished.returncode == 0, finished.stderr
    verdicts = json.loads(answer.read_text(encoding="utf-8"))
    settings = ReconciliationSettings()
    return {
        name: Case(compare(table, [v1], [v2], TRADING_DAY, settings), verdicts[name])
        for name, (table, v1, v2) in made.items()
    }


@pytest.mark.parametrize("name", TABLES)
def test_both_say_that_the_stored_tables_agree(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    assert case.ours.state == PASS, case.ours.reason
    assert case.ours.summary.at[0, "cells_compared"] > 0
    assert case.referee == {
        "agrees": True,
        "rows_only_left": 0,
        "rows_only_right": 0,
        "unequal": {},
    }


@pytest.mark.parametrize("name", FAULTS)
def test_both_count_the_same_cells_and_rows_of_a_fault(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    assert case.referee["agrees"] == (name in AGREEING) == (case.ours.state == PASS)
    assert case.our_unequal == case.referee["unequal"]
    assert case.our_one_sided == case.one_sided
    found = sum(case.our_unequal.values()) + sum(case.our_one_sided)
    assert (found > 0) == (name not in AGREEING)


def test_a_key_that_occurs_twice_agrees_for_neither(cases: dict[str, Case]) -> None:
    """The referee pairs the first rows of a key and calls the second one-sided; we count it as a surplus row."""
    case = cases[DUPLICATE]
    assert (case.ours.state, case.referee["agrees"]) == (DIVERGED, False)
    assert case.our_unequal == case.referee["unequal"] == {}
    assert (case.our_one_sided, case.one_sided) == ((0, 0), (0, 1))
    surplus = case.ours.summary.at[0, "rows_v2"] - case.ours.summary.at[0, "rows_v1"]
    assert surplus == 1
    assert "a key occurs more than once" in case.ours.reason


def test_the_referees_tolerance_is_relative_to_the_right_side_only(cases: dict[str, Case]) -> None:
    """100 against 90.5 is 9.5: within a tenth of 100, beyond a tenth of 90.5. The other way round both allow 10."""
    case = cases[COARSE_TOLERANCE]
    assert case.our_unequal == {}
    assert case.referee["unequal"] == {"price": 1}
