"""The rules about ``operations.scrub``: no stored file is damaged, and a repair is shown.

Belongs here: what the stored rows mean for a check. Does not belong here: verifying files (``pipeline/scrubbing.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.operations import DAMAGED, REPAIRED
from setbull_pipelines.warehouse.pointers import StoredTable

_STORED = StoredTable("operations", tables.SCRUB)
_SHOWN = 3


def _undamaged(
    frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings
) -> Verdict:
    rows = frames[_STORED.name]
    if rows.empty:
        return not_judged("no file was ever verified")
    damaged = rows[rows["state"] == DAMAGED]
    return _verdict(rows, damaged, "are damaged and out of the views")


def _not_repaired(
    frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings
) -> Verdict:
    rows = frames[_STORED.name]
    if rows.empty:
        return not_judged("no file was ever verified")
    last = rows["verified_at"].max()
    repaired = rows[(rows["state"] == REPAIRED) & (rows["damaged_at"] == last)]
    return _verdict(rows, repaired, "were damaged and were made again: look at the disk")


def _verdict(rows: pd.DataFrame, found: pd.DataFrame, what: str) -> Verdict:
    figures = {"files": len(rows), "found": len(found)}
    if found.empty:
        oldest = rows["verified_at"].min()
        told = f"each read to the last byte since {oldest:%Y-%m-%d %H:%M}"
        return Verdict(True, f"none of {len(rows)} files, {told}", figures)
    first = "; ".join(
        f"{row.table_name} {row.partition}: {row.path}"
        + ("" if pd.isna(row.reason) else f" {row.reason}")
        for row in found.head(_SHOWN).itertuples(index=False)
    )
    return Verdict(False, f"{len(found)} of {len(rows)} files {what}; first: {first}", figures)


RULES = (
    Rule(
        "no_damaged_file",
        "Every stored file that was verified is what was published, or was made again",
        _STORED,
        (_STORED,),
        _undamaged,
    ),
    Rule(
        "no_file_had_to_be_repaired",
        "The last scrub found no file whose bytes had changed",
        _STORED,
        (_STORED,),
        _not_repaired,
        is_error=False,
    ),
)
