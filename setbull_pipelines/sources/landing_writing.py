"""Writing a landing: judged rows of one file to its folder, whole or not at all.

Belongs here: the files of a folder and their atomic writing. Does not belong here: reading them back (``landing.py``),
judging rows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet

from setbull_pipelines import disk
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.sources.candle_files import LANDED_SCHEMA, CheckedCandles
from setbull_pipelines.sources.corporate_files import ACTIONS_KIND, ALIASES_KIND, CheckedFacts
from setbull_pipelines.sources.derivative_files import CheckedDerivatives
from setbull_pipelines.sources.landing import (
    DERIVATIVES_KIND,
    INSTRUMENTS_KIND,
    NOT_READ_KIND,
    REJECTED_KIND,
    REJECTED_SCHEMA,
    Landing,
    open_landing,
    write_manifest,
)
from setbull_pipelines.sources.universe_files import CheckedUniverse
from setbull_pipelines.tables import (
    CORPORATE_ACTIONS,
    DERIVATIVE_UNDERLYINGS,
    INSTRUMENT_ALIASES,
    INSTRUMENTS,
    QUARANTINE,
)

_FEWEST_ROWS_IN_A_GROUP = 20_000
_COVERAGE_SCHEMA = pyarrow.schema(
    [
        LANDED_SCHEMA.field("trading_day"),
        LANDED_SCHEMA.field("instrument_key"),
        pyarrow.field("rows", pyarrow.int64(), nullable=False),
        pyarrow.field("rows_in_closing_auction", pyarrow.int64(), nullable=False),
    ]
)
_INSTRUMENTS_SCHEMA = pyarrow.schema(
    [field for field in INSTRUMENTS.arrow_schema if field.name != "source"]
)
_DERIVATIVES_SCHEMA = pyarrow.schema(
    [field for field in DERIVATIVE_UNDERLYINGS.arrow_schema if field.name != "source"]
)
_FACTS_SCHEMAS = {
    kind: pyarrow.schema(
        [
            *(field for field in table.arrow_schema if field.name != "source"),
            LANDED_SCHEMA.field("line"),
        ]
    )
    for kind, table in ((ACTIONS_KIND, CORPORATE_ACTIONS), (ALIASES_KIND, INSTRUMENT_ALIASES))
}


LEFT_BEHIND = (disk.TEMPORARY_PREFIX, ".landing-", ".arrivals-", ".known-")
"""How what a killed process leaves half written in the landing begins; earlier versions had names of their own."""


@dataclass(frozen=True)
class Rejection:
    """A file that is of no use as a whole, and why; ``is_other`` when it need not be meant as input at all."""

    reason: str
    is_other: bool = False
    rule: str = "unreadable file"
    line: int | None = None
    value: str | None = None
    count: int | None = None
    paste: Mapping[str, Any] = field(default_factory=dict)


def sweep_landing(landing: Path) -> list[Path]:
    """Delete what killed processes have left half written in the landing, and return it."""
    return disk.sweep(landing, LEFT_BEHIND)


def land_candles(folder: Path, checked: CheckedCandles) -> Landing:
    """Write the judged rows of a candle file."""
    accepted = checked.accepted
    row_days = accepted["trading_day"].cast(pyarrow.int32()).to_numpy()
    days, starts = np.unique(row_days, return_index=True)
    bounds = np.append(starts, len(row_days))
    group_of_day = _row_groups(np.diff(bounds))
    rejected_days = checked.rejected["trading_day"].dropna().to_numpy().astype("datetime64[D]")
    manifest: dict[str, Any] = {
        "kind": checked.kind,
        **_counts(checked.received, checked.rejected),
        "taken_for": "; ".join((f"{checked.kind} candles", *checked.notes)),
        "keyed_by_symbol": checked.keyed_by_symbol,
        "last_symbols": checked.last_symbols,
        "ignored_columns": checked.ignored_columns,
        "provisional": checked.provisional,
        "days": _day_rows(days, np.diff(bounds), group_of_day, rejected_days),
    }

    def write(target: Path) -> None:
        with pyarrow.parquet.ParquetWriter(
            target / "candles.parquet", accepted.schema, compression="zstd"
        ) as writer:
            for group in np.unique(group_of_day):
                chosen = np.flatnonzero(group_of_day == group)
                first, end = bounds[chosen[0]], bounds[chosen[-1] + 1]
                writer.write_table(accepted.slice(first, end - first), row_group_size=end - first)
        _write(target / "coverage.parquet", _coverage(accepted))
        _write_rejected(target, checked.rejected)

    return _publish(folder, manifest, write)


def land_universe(folder: Path, checked: CheckedUniverse) -> Landing:
    """Write the judged rows of an instrument file."""
    told = {
        "kind": INSTRUMENTS_KIND,
        "taken_for": "list of instruments",
        "keys_by_symbol": checked.keys_by_symbol,
        "ignored_columns": [],
    }
    table = _table(checked.instruments, _INSTRUMENTS_SCHEMA)
    return _land_table(folder, checked, told, "instruments.parquet", table)


def land_derivatives(folder: Path, checked: CheckedDerivatives) -> Landing:
    """Write the judged rows of a list of stocks with derivatives."""
    told = {
        "kind": DERIVATIVES_KIND,
        "taken_for": "list of stocks with derivatives",
        "keyed_by_symbol": checked.keyed_by_symbol,
        "ignored_columns": checked.ignored_columns,
    }
    table = _table(checked.underlyings, _DERIVATIVES_SCHEMA)
    return _land_table(folder, checked, told, "derivatives.parquet", table)


def land_facts(folder: Path, checked: CheckedFacts) -> Landing:
    """Write the judged rows of a file of corporate actions or aliases."""
    told: dict[str, Any] = {
        "kind": checked.kind,
        "taken_for": checked.kind.replace("_", " "),
        "note": checked.note,
        "keyed_by_symbol": checked.keyed_by_symbol,
        "ignored_columns": [],
    }
    schema = _FACTS_SCHEMAS[checked.kind]
    table = _table(checked.accepted[schema.names], schema)
    return _land_table(folder, checked, told, "facts.parquet", table)


def _land_table(
    folder: Path,
    checked: CheckedUniverse | CheckedDerivatives | CheckedFacts,
    told: Mapping[str, Any],
    name: str,
    table: pyarrow.Table,
) -> Landing:
    """Write a file whose rows, of no particular day, are one small table."""
    manifest = {**told, **_counts(checked.received, checked.rejected), "days": []}

    def write(target: Path) -> None:
        _write(target / name, table)
        _write_rejected(target, checked.rejected)

    return _publish(folder, manifest, write)


def land_rejection(folder: Path, rejection: Rejection) -> Landing:
    """Remember that a file is of no use, and why."""
    empty = pd.DataFrame(columns=REJECTED_SCHEMA.names)
    manifest: dict[str, Any] = {
        "kind": NOT_READ_KIND if rejection.is_other else REJECTED_KIND,
        "reason": rejection.reason,
        "broken": {
            name: getattr(rejection, name) for name in ("rule", "line", "value", "count", "paste")
        },
        **_counts(0, empty),
        "days": [],
    }
    return _publish(folder, manifest, lambda target: _write_rejected(target, empty))


def _counts(received: int, rejected: pd.DataFrame) -> dict[str, int]:
    unassigned = int(rejected["trading_day"].isna().sum())
    return {
        "received": received,
        "assigned": received - unassigned,
        "unassigned": unassigned,
    }


def _row_groups(rows_per_day: np.ndarray) -> np.ndarray:
    """The row group of each day: whole days together until a group is worth reading."""
    groups = np.zeros(len(rows_per_day), "int64")
    group = rows = 0
    for position, count in enumerate(rows_per_day):
        if rows >= _FEWEST_ROWS_IN_A_GROUP:
            group, rows = group + 1, 0
        groups[position] = group
        rows += count
    return groups


def _day_rows(
    days: np.ndarray, accepted: np.ndarray, groups: np.ndarray, rejected_days: np.ndarray
) -> list[list[Any]]:
    frame = pd.DataFrame(
        {"accepted": accepted, "row_group": groups}, index=days.astype("datetime64[D]")
    )
    rejected, counts = np.unique(rejected_days, return_counts=True)
    frame = frame.reindex(frame.index.union(rejected))
    frame["rejected"] = pd.Series(counts, index=rejected)
    frame = frame.fillna({"accepted": 0, "rejected": 0, "row_group": -1}).astype("int64")
    return [
        [str(day.date()), int(row.accepted), int(row.rejected), int(row.row_group)]
        for day, row in zip(pd.DatetimeIndex(frame.index), frame.itertuples(), strict=True)
    ]


def _coverage(accepted: pyarrow.Table) -> pyarrow.Table:
    days = accepted["trading_day"].combine_chunks()
    keys = accepted["instrument_key"].combine_chunks()
    codes = keys.indices.to_numpy()
    moments = accepted["timestamp"].cast(pyarrow.int64()).to_numpy()
    numbers = days.cast(pyarrow.int32()).to_numpy()
    new_pair = np.ones(len(codes), bool)
    new_pair[1:] = (numbers[1:] != numbers[:-1]) | (codes[1:] != codes[:-1])
    new_bar = new_pair.copy()
    new_bar[1:] |= moments[1:] != moments[:-1]
    starts = np.flatnonzero(new_pair)
    counts = [
        np.add.reduceat(counted, starts, dtype="int64") if len(starts) else np.array([], "int64")
        for counted in (new_bar, new_bar & _in_closing_auction(accepted, numbers))
    ]
    first = pyarrow.array(starts)
    return pyarrow.table(
        [days.take(first), keys.take(first), *map(pyarrow.array, counts)], schema=_COVERAGE_SCHEMA
    )


def _in_closing_auction(accepted: pyarrow.Table, numbers: np.ndarray) -> np.ndarray:
    """The rows that are not continuous trading if their instrument has derivatives."""
    days = np.unique(numbers)
    with_auction = [NSE.has_closing_auction(day) for day in days.astype("datetime64[D]").tolist()]
    affected = np.isin(numbers, days[np.array(with_auction, bool)])
    auction = NSE.closing_auction
    if auction is None or not affected.any():
        return affected
    clock = compute.local_timestamp(accepted["timestamp"]).cast(pyarrow.time64("us"))
    late = compute.greater_equal(clock, pyarrow.scalar(auction.start, clock.type))
    return affected & late.to_numpy()


def _write_rejected(target: Path, rejected: pd.DataFrame) -> None:
    typed = rejected.astype(
        {
            column.name: column.kind.pandas_dtype
            for column in QUARANTINE.columns
            if column.name in rejected.columns
        }
    )
    ordered = typed.sort_values(["trading_day", "line"], ignore_index=True)
    _write(target / "rejected.parquet", _table(ordered, REJECTED_SCHEMA))


def _table(frame: pd.DataFrame, schema: pyarrow.Schema) -> pyarrow.Table:
    return pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)


def _write(path: Path, table: pyarrow.Table) -> None:
    pyarrow.parquet.write_table(
        table, path, compression="zstd", row_group_size=_FEWEST_ROWS_IN_A_GROUP
    )


def _publish(folder: Path, manifest: dict[str, Any], write: Any) -> Landing:
    with disk.temporary_folder(folder) as target:
        write(target)
        write_manifest(target, manifest)
        for file in target.iterdir():
            disk.sync(file)
        if folder.exists() and open_landing(folder) is None:
            shutil.rmtree(folder)  # cut short by something other than this module
        try:
            os.rename(target, folder)
        except OSError:
            # Somebody else landed the same bytes meanwhile: theirs are as good.
            if open_landing(folder) is None:
                raise
        disk.sync(folder.parent)
    return Landing(folder, manifest)
