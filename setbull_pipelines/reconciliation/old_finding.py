"""What holding the old system's rows against V1 found: cells, differences, and their causes.

Belongs here: counting, and the words of the causes. Does not belong here: recognising a cause (``old_bars.py``,
``old_filters.py``), reading tables, printing.

A cause has the numbers of the published list of what the old system did differently: rows are those of its table, D1 to
D42 its defects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

UNKNOWN = "unknown cause"
COLUMNS = ["table", "instrument_key", "at", "column", "old", "v1", "cause"]


@dataclass
class Finding:
    """Cells compared and equal, and every difference: a cell, or a row that one side lacks (column "row")."""

    cells: int = 0
    equal: int = 0
    differences: list[pd.DataFrame] = field(default_factory=list)

    def add(self, other: Finding) -> None:
        """Count another finding in."""
        self.cells += other.cells
        self.equal += other.equal
        self.differences += other.differences

    @property
    def all_differences(self) -> pd.DataFrame:
        """All of them in one frame, with :data:`COLUMNS`."""
        found = [frame for frame in self.differences if len(frame)]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)


def differences(
    table: str,
    rows: pd.DataFrame,
    column: str,
    old: Sequence[object] | pd.Series,
    v1: Sequence[object] | pd.Series,
    cause: Sequence[str] | pd.Series | str,
) -> pd.DataFrame:
    """Differences of one column in ``rows``, which have instrument_key and at."""
    return pd.DataFrame(
        {
            "table": table,
            "instrument_key": rows["instrument_key"].to_numpy(),
            "at": rows["at"].astype("str").to_numpy(),
            "column": column,
            "old": [None if pd.isna(value) else str(value) for value in old],
            "v1": [None if pd.isna(value) else str(value) for value in v1],
            "cause": cause if isinstance(cause, str) else list(cause),
        }
    )


def by_cause(found: pd.DataFrame) -> pd.DataFrame:
    """Differences counted by table, column and cause, with the first of each."""
    if found.empty:
        return pd.DataFrame(columns=["table", "column", "cause", "cells", "first", "old", "v1"])
    first = found.drop_duplicates(["table", "column", "cause"])
    counted = found.groupby(["table", "column", "cause"], sort=False).size().rename("cells")
    first = first.assign(first=first["instrument_key"] + " " + first["at"])
    joined = first.merge(counted.reset_index(), on=["table", "column", "cause"])
    kept = joined[["table", "column", "cause", "cells", "first", "old", "v1"]]
    return kept.sort_values(["table", "column", "cells"], ascending=[True, True, False])
