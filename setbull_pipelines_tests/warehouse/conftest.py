"""Small tables for the warehouse tests: every storage kind, a key of two columns, one row rule."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from setbull_pipelines.tables.checks import Rule, above
from setbull_pipelines.tables.contract import INDIA, Column, Kind, Table
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable
from setbull_pipelines.warehouse.store import Warehouse

BARS = Table(
    name="bars",
    description="The trader's bars",
    schemas=("v1", "v2"),
    key=("instrument_key", "timestamp"),
    columns=(
        Column("instrument_key", Kind.TEXT, "Instrument"),
        Column("timestamp", Kind.TIMESTAMP, "Start of the bar"),
        Column("trading_day", Kind.DAY, "Day; the bar's own"),
        Column("open", Kind.FLOAT, "First price", unit="rupees", checks=(above(0),)),
        Column("close", Kind.FLOAT, "Last price", unit="rupees"),
        Column("average", Kind.FLOAT, "Average price", unit="rupees", nullable=True),
        Column("volume", Kind.INTEGER, "Traded volume", unit="shares"),
        Column("open_interest", Kind.NULLABLE_INTEGER, "Open interest", nullable=True),
        Column("is_complete", Kind.BOOLEAN, "Whole bar"),
        Column("is_warm", Kind.NULLABLE_BOOLEAN, "Enough history", nullable=True),
        Column("reason", Kind.LONG_TEXT, "Reason", nullable=True),
    ),
    rules=(Rule("volume_not_negative", lambda frame: frame["volume"] >= 0),),
)
V1_BARS = StoredTable("v1", BARS)
PROVENANCE = {"code_version": "code-1", "settings_hash": "settings-1", "run_id": "run-1"}
DAY = "2024-01-02"
NEXT_DAY = "2024-01-03"


def bars(day: str = DAY, instruments: tuple[str, ...] = ("A", "B"), price: float = 100.0):
    """Two bars per instrument on ``day``, nulls in every nullable column."""
    start = pd.Timestamp(f"{day} 09:15", tz=INDIA)
    rows = [
        {
            "instrument_key": instrument,
            "timestamp": start + pd.Timedelta(minutes=5 * bar),
            "trading_day": pd.Timestamp(day),
            "open": price + bar,
            "close": price + bar + 0.5,
            "average": None if bar == 0 else price,
            "volume": 1000 + bar,
            "open_interest": None if bar == 0 else 7,
            "is_complete": bar == 0,
            "is_warm": None if bar == 0 else True,
            "reason": None if bar == 0 else "naïve ₹",
        }
        for instrument in instruments
        for bar in range(2)
    ]
    dtypes = {column.name: column.kind.pandas_dtype for column in BARS.columns}
    return pd.DataFrame(rows, columns=BARS.column_names).astype(dtypes)


def publish(warehouse: Warehouse, frame: pd.DataFrame, day: str = DAY, **provenance) -> Pointer:
    """Publish ``frame`` with a plain provenance."""
    return warehouse.publish(V1_BARS, day, frame, **{**PROVENANCE, "inputs": {}, **provenance})


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """An empty warehouse that deletes what is not needed at once."""
    return Warehouse(tmp_path / "warehouse", grace=timedelta(0))


def files_below(warehouse: Warehouse) -> dict[str, bytes]:
    """The bytes of every file of a warehouse, by its name below the root."""
    return {
        str(path.relative_to(warehouse.root)): path.read_bytes()
        for path in warehouse.root.rglob("*")
        if path.is_file()
    }
