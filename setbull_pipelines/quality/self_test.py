"""The rule that the reconciliation catches and names every known fault, read from the stored self-test.

Belongs here: what the stored rows mean for a check. Does not belong here: running the test
(``reconciliation/self_test``).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.operations import CONTROL, FAULT
from setbull_pipelines.warehouse.pointers import StoredTable

_STORED = StoredTable("operations", tables.SELF_TEST)
_SHOWN = 3


def _judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
    rows = frames[_STORED.name]
    faults, controls = (rows[rows["kind"] == kind] for kind in (FAULT, CONTROL))
    failed = rows[~(rows["caught"] & rows["diagnosed"])]
    figures = {
        "faults": len(faults),
        "caught": int(faults["caught"].sum()),
        "diagnosed": int(faults["diagnosed"].sum()),
        "false alarms": int((~controls["caught"]).sum()),
    }
    if faults.empty or controls.empty:
        return Verdict(False, "the stored self-test has no faults or no controls", figures)
    sentence = (
        f"caught {figures['caught']} of {len(faults)} faults, diagnosed {figures['diagnosed']}, "
        f"false alarms {figures['false alarms']} of {len(controls)}"
    )
    if len(failed):
        first = "; ".join(
            f"{row.name}, {row.table_name}"
            for row in failed[["name", "table_name"]].head(_SHOWN).itertuples(index=False)
        )
        sentence = f"{sentence}; first: {first}"
    return Verdict(failed.empty, sentence, figures)


RULES = (
    Rule(
        "every_mutant_caught_and_diagnosed",
        "Every fault built into V2 was found in exactly its columns and its cause named, and nothing else was",
        _STORED,
        (_STORED,),
        _judge,
    ),
)
