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
    of_days = faults[faults["visible_on"].notna()]
    passed_on_its_day = rows["caught_on_the_day"].eq(False).fillna(False).astype("bool")
    failed = rows[~(rows["caught"] & rows["diagnosed"]) | passed_on_its_day]
    figures = {
        "faults": len(faults),
        "caught": int(faults["caught"].sum()),
        "diagnosed": int(faults["diagnosed"].sum()),
        "false alarms": int((~controls["caught"]).sum()),
        "visible on one day": len(of_days),
        "visible on an ordinary day": int(of_days["on_an_ordinary_day"].sum()),
        "caught on one day": int(of_days["caught_on_the_day"].sum()),
        "named on one day": int(of_days["named_on_the_day"].sum()),
        "misnamed on one day": int(of_days["misnamed_on_the_day"].sum()),
    }
    if faults.empty or controls.empty:
        return Verdict(False, "the stored self-test has no faults or no controls", figures)
    sentence = (
        f"caught {figures['caught']} of {len(faults)} faults, diagnosed {figures['diagnosed']}, "
        f"false alarms {figures['false alarms']} of {len(controls)}; by the rows of one trading day: visible "
        f"{len(of_days)}, caught {figures['caught on one day']}, named {figures['named on one day']}, misnamed "
        f"{figures['misnamed on one day']}"
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
        "Every fault built into V2 was found in exactly its columns and its cause named, was caught by the rows of the "
        "day that shows it, and nothing else was",
        _STORED,
        (_STORED,),
        _judge,
    ),
)
