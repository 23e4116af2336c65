"""Rules about stock groups: no row of their file is lost, every instrument is answered, and no plan risks too much."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.groups import LONG
from setbull_pipelines.warehouse.pointers import StoredTable

GROUPS = StoredTable("raw", tables.STOCK_GROUPS)
REFUSED = StoredTable("raw", tables.STOCK_GROUPS_QUARANTINE)
PLAN = StoredTable("served", tables.GROUP_EXECUTION_PLAN)

Frames = Mapping[str, pd.DataFrame]
_SHOWN = 3
_PAISA_SHARE = 1e-9
"""Room for the last bit of a product of two prices."""


def _no_row_refused(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    refused = frames[REFUSED.name]
    if refused.empty:
        return Verdict(True, "no row of the file of groups was refused", {"refused": 0})
    shown = " ".join(f"Line {row.line}: {row.reason}" for row in refused.head(_SHOWN).itertuples())
    return Verdict(False, f"{len(refused)} rows were refused. {shown}", {"refused": len(refused)})


def _every_instrument_answered(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    key = list(tables.STOCK_GROUPS.key)
    if settings.groups.file and frames[GROUPS.name].empty and frames[PLAN.name].empty:
        return not_judged("the file of groups has no instrument")
    asked = set(frames[GROUPS.name][key].itertuples(index=False, name=None))
    plan = frames[PLAN.name]
    answered = set(plan[key].itertuples(index=False, name=None))
    silent = int((plan["reason"].str.len() == 0).sum())
    metadata = {"instruments": len(asked), "planned": int(plan["is_planned"].sum())}
    return Verdict(
        asked == answered and not silent,
        f"{len(asked)} instruments in the groups, {len(asked - answered)} without an answer, "
        f"{len(answered - asked)} answers for others, {silent} without a reason",
        metadata,
    )


def _within_risk(frames: Frames, day: pd.Timestamp, settings: Settings) -> Verdict:
    """Quantity is the most that the risk allows, and the stop limits the loss."""
    plan = frames[PLAN.name]
    rows = plan[plan["is_planned"]]
    loss = (rows["entry_price"] - rows["stop_price"]).where(
        rows["direction"] == LONG, rows["stop_price"] - rows["entry_price"]
    )
    quantity, allowed = rows["quantity"].astype("float64"), rows["risk"] * (1 + _PAISA_SHARE)
    too_much = quantity * loss > allowed
    too_little = (quantity + 1) * loss * (1 + _PAISA_SHARE) < rows["risk"]
    wrong = rows[(loss <= 0) | too_much | too_little]
    shown = f", first {wrong.iloc[0]['instrument_key']}" if len(wrong) else ""
    return Verdict(
        wrong.empty,
        f"{len(rows)} planned instruments, {len(wrong)} with another quantity than their risk allows{shown}",
        {"planned": len(rows), "wrong": len(wrong)},
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "no_row_refused",
        "Every row of the file of groups was accepted",
        GROUPS,
        (GROUPS, REFUSED),
        _no_row_refused,
        is_error=False,
    ),
    Rule(
        "every_instrument_answered",
        "Every instrument of the groups has one row, with a reason",
        PLAN,
        (PLAN, GROUPS),
        _every_instrument_answered,
    ),
    Rule(
        "within_risk",
        "The quantity is the largest whose loss between entry and stop is within the risk",
        PLAN,
        (PLAN,),
        _within_risk,
    ),
)
