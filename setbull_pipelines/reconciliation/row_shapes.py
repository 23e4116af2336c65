"""Recognisers of rows that one side lacks, repeats or keeps under another key.

Belongs here: one function per shape. Does not belong here: values of cells (``column_shapes``).
"""

from __future__ import annotations

import pandas as pd

from setbull_pipelines.reconciliation.finding import Finding, row_shape
from setbull_pipelines.reconciliation.sides import Sides


@row_shape("duplicated rows", explains_cells=True)
def duplicated_rows(sides: Sides) -> Finding | None:
    """A key occurs more than once on a side.

    Count the rows of the join that repeat a key.
    """
    if not sides.repeats_a_key:
        return None
    repeated = int(sides.rows.duplicated(list(sides.table.key)).sum())
    return Finding(
        "rows share a key, so they cannot be paired",
        {
            "pairs beyond the first": repeated,
            "rows V1": sides.rows_v1,
            "rows V2": sides.rows_v2,
        },
    )


@row_shape("empty side", explains_cells=False)
def empty_side(sides: Sides) -> Finding | None:
    """One side has no row at all.

    Look at the row counts of the files.
    """
    if sides.rows_v1 and sides.rows_v2:
        return None
    side = "V2" if sides.rows_v1 else "V1"
    return Finding(f"{side} has no row", {"rows of the other side": sides.only_v1 + sides.only_v2})


@row_shape("shifted clock", explains_cells=True)
def shifted_clock(sides: Sides) -> Finding | None:
    """V2 has the bars of V1 at other times, all by the same distance.

    Move all bars of V2 by the distance of the first bars and compare the keys.
    """
    if not (sides.only_v1 and sides.only_v2 and "timestamp" in sides.table.key):
        return None
    v1 = sides.rows.loc[sides.rows["in_v1"].notna(), list(sides.table.key)]
    v2 = sides.rows.loc[sides.rows["in_v2"].notna(), list(sides.table.key)]
    distance = v1["timestamp"].min() - v2["timestamp"].min()
    moved = v2.assign(timestamp=v2["timestamp"] + distance)
    paired = len(v1.merge(moved, on=list(sides.table.key)))
    if distance == pd.Timedelta(0) or not paired == len(v1) == len(v2):
        return None
    minutes = distance / pd.Timedelta("1min")
    direction = "earlier" if minutes > 0 else "later"
    return Finding(
        f"bars of V2 carry a time {abs(minutes):g} minutes {direction} (another zone or label)",
        {"bars that agree after moving": paired},
    )


@row_shape("lost instruments", explains_cells=False)
def lost_instruments(sides: Sides) -> Finding | None:
    """All rows that V2 lacks are of instruments that it does not have at all.

    Look for instruments of V1 without any row in V2.
    """
    if not sides.only_v1 or sides.only_v2:
        return None
    present = sides.rows.groupby("instrument_key")[["in_v1", "in_v2"]].count()
    lost = present[(present["in_v1"] > 0) & (present["in_v2"] == 0)]
    if lost["in_v1"].sum() != sides.only_v1:
        return None
    return Finding(
        "V2 has no row of some instruments and all rows of the others",
        {
            "instruments lost": len(lost),
            "of": len(present),
            "rows": sides.only_v1,
            "first": str(lost.index[0]),
        },
    )


@row_shape("untraded bars left out", explains_cells=False)
def untraded_bars_left_out(sides: Sides) -> Finding | None:
    """All rows that V2 lacks are bars without volume.

    Look at V1's volume of the rows that V2 lacks.
    """
    if not sides.only_v1 or sides.only_v2 or "v1_volume" not in sides.rows:
        return None
    missing = sides.rows[sides.rows["in_v2"].isna()]
    if len(missing) != sides.only_v1 or not (missing["v1_volume"] == 0).all():
        return None
    return Finding("V2 leaves out bars without volume", {"bars": sides.only_v1})


@row_shape("missing rows", explains_cells=False)
def missing_rows(sides: Sides) -> Finding | None:
    """V2 lacks rows and has none of its own.

    Look at the row counts.
    """
    if not sides.only_v1 or sides.only_v2:
        return None
    missing = sides.rows.loc[sides.rows["in_v2"].isna(), "instrument_key"]
    return Finding(
        "V2 lacks rows",
        {
            "rows missing": sides.only_v1,
            "of": sides.rows_v1,
            "instruments": missing.nunique(),
        },
    )


@row_shape("added rows", explains_cells=False)
def added_rows(sides: Sides) -> Finding | None:
    """V2 has rows that V1 lacks, and all of V1's.

    Look at the row counts.
    """
    if sides.only_v1 or not sides.only_v2:
        return None
    added = sides.rows.loc[sides.rows["in_v1"].isna(), "instrument_key"]
    return Finding(
        "V2 has rows that V1 lacks",
        {"rows added": sides.only_v2, "instruments": added.nunique()},
    )


@row_shape("other rows", explains_cells=False)
def other_rows(sides: Sides) -> Finding | None:
    """Each side has rows that the other lacks, without a recognised reason.

    Look at the row counts.
    """
    if not (sides.only_v1 and sides.only_v2):
        return None
    return Finding(
        "each side has rows that the other lacks; the keys show no common distance",
        {"only in V1": sides.only_v1, "only in V2": sides.only_v2},
    )


ROW_SHAPES = (
    duplicated_rows,
    empty_side,
    shifted_clock,
    lost_instruments,
    untraded_bars_left_out,
    missing_rows,
    added_rows,
    other_rows,
)
"""From specific to general; the first that recognises the rows is the diagnosis."""
