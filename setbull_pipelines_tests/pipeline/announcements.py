"""Corporate actions and former keys, put into the raw tables of a small run.

Belongs here: making and publishing them. Does not belong here: assertions; other changes of raw tables, which
:mod:`raw_corrections` has.
"""

from __future__ import annotations

from datetime import date

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable
from setbull_pipelines_tests.pipeline.small_run import SmallRun, publish

ACTIONS = StoredTable("raw", tables.CORPORATE_ACTIONS)
ALIASES = StoredTable("raw", tables.INSTRUMENT_ALIASES)
KEY = "NSE_EQ|SAMPLE0001"


def announce(run: SmallRun, ex_date: date, key: str = KEY, ratio: float = 2.0) -> None:
    """Add a split to the stored actions."""
    stored = run.warehouse.read(ACTIONS, [WHOLE])
    row = {
        "instrument_key": key,
        "ex_date": pd.Timestamp(ex_date),
        "kind": "split",
        "ratio": ratio,
        "source": "test",
    }
    frame = pd.concat([stored, pd.DataFrame([row])])
    publish(run.warehouse, ACTIONS, WHOLE, tables.CORPORATE_ACTIONS.conform(frame))


def alias(*rows: tuple[str, str, pd.Timestamp]) -> pd.DataFrame:
    """The table of former keys with these: former key, key and since when."""
    columns = ["old_instrument_key", "instrument_key", "from_date"]
    return tables.INSTRUMENT_ALIASES.conform(
        pd.DataFrame(rows, columns=columns).assign(source="test")
    )
