"""The notebook runs on stored tables, and what it tests on the past looks at nothing that was not known.

Its code cells are run in their order in one namespace, as a client of notebooks would; no kernel is started.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from setbull_pipelines import tables
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.pipeline.serving import served_table
from setbull_pipelines_tests.documents import PROJECT
from setbull_pipelines_tests.pipeline.small_run import SmallRun

pytestmark = pytest.mark.run

NOTEBOOK = json.loads((PROJECT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))


@pytest.fixture
def executed(small_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the cells leave behind."""
    monkeypatch.setenv("SETBULL_DATA_DIR", str(small_run.settings.data_directory))
    plt.switch_backend("agg")
    names: dict[str, Any] = {}
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    yield names
    names["catalog"].close()
    plt.close("all")


def test_it_is_stored_without_results() -> None:
    cells = NOTEBOOK["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_it_draws_compares_and_buys_at_the_next_open(
    executed: dict[str, Any], small_run: SmallRun
) -> None:
    (axes,) = executed["figure"].axes
    assert len(axes.get_lines()) == 2
    assert len(executed["bars"]) == len(axes.get_lines()[0].get_ydata()) > 10

    differences = executed["differences"]
    assert set(differences.index) > {"rsi", "ema_50", "bb_upper"}
    assert differences["null on one side"].eq(0).all()
    assert differences["largest difference"].max() < 1e-9

    signal_day, entry_day = small_run.days
    assert NSE.trading_days(signal_day, entry_day) == [signal_day, entry_day]
    found = small_run.warehouse.read(served_table(tables.FILTER_RESULTS), [signal_day.isoformat()])
    bars = small_run.warehouse.read(served_table(tables.CANDLES_DAILY), [entry_day.isoformat()])
    key = ["instrument_key", "series"]
    bought = found[[*key, "verdict"]].merge(bars, on=key).sort_values("instrument_key")
    trades = executed["trades"]
    assert len(trades) == len(bought) > 5
    assert (trades["signal_day"] == pd.Timestamp(signal_day)).all()
    assert (trades[["entry_day", "exit_day"]] == pd.Timestamp(entry_day)).all(axis=None)
    assert trades["instrument_key"].tolist() == bought["instrument_key"].tolist()
    assert trades["entry"].tolist() == bought["open"].tolist()
    assert trades["exit"].tolist() == bought["close"].tolist()
    gains = (bought["close"] / bought["open"] - 1 - executed["COST"]).tolist()
    assert trades["gain"].tolist() == pytest.approx(gains)
    assert len(executed["bullish"]) == (bought["verdict"] == "bullish").sum()
