"""Tables of the reconciliation: what was compared, how it came out, and which cells differ."""

from __future__ import annotations

from setbull_pipelines.tables.checks import at_least
from setbull_pipelines.tables.columns import TRADING_DAY, count, flag, label, text, value
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.tables.filters import PASSING_VERDICTS

PASS, DIVERGED, NOT_COMPARABLE = "pass", "diverged", "not comparable"
OF_COLUMN = "unit of the column"
"""The unit of values of compared columns, which have units of their own."""
STATES = (PASS, DIVERGED, NOT_COMPARABLE)
V1_RETIRED = f"{NOT_COMPARABLE}: V1 is retired"
SAMPLE_EMPTY = f"{NOT_COMPARABLE}: no instrument of V1's sample has a row"
RECONCILED = (
    "candles_5min",
    "candles_daily",
    "indicators_5min",
    "indicators_daily",
    "bb_width_daily",
    "bb_width_alerts",
    "moves_daily",
    "sequences",
    "sequence_analysis",
    "sequence_patterns",
    "filter_results",
)

_COUNTS = (
    count("rows_v1", "Rows in V1", "rows"),
    count("rows_v2", "Rows in V2", "rows"),
    count("rows_only_v1", "Rows whose key is only in V1", "rows"),
    count("rows_only_v2", "Rows whose key is only in V2", "rows"),
    count("cells_compared", "Cells of rows that both sides have", "cells"),
    count(
        "cells_unequal",
        "Cells that differ by more than the tolerance, null differences included",
        "cells",
    ),
    count("null_differences", "Cells that are null on one side only", "cells"),
)


def _columns_table(name: str) -> Table:
    return Table(
        name=name,
        description=f"V1 against V2 of {name}: one row per compared column and trading day.",
        schemas=("reconciliation",),
        key=("column_name",),
        columns=(
            label("column_name", "Compared column"),
            TRADING_DAY,
            label("tolerance", "Tolerance class of the column"),
            value(
                "relative_tolerance",
                "Tolerance in force, as a part of max(|v1|, |v2|); 0 for exact columns",
                "ratio",
                nullable=False,
            ),
            value(
                "absolute_tolerance",
                "What is allowed on top of it; 0 for exact columns",
                OF_COLUMN,
                nullable=False,
            ),
            *_COUNTS,
            count(
                "cells_identical", "Cells that are equal to the last bit, or null in both", "cells"
            ),
            count(
                "cells_within_tolerance",
                "Cells that differ, but by no more than the tolerance",
                "cells",
            ),
            value(
                "largest_absolute_difference",
                "Largest |v1 - v2|; null for text and flags",
                OF_COLUMN,
            ),
            value(
                "largest_relative_difference",
                "Largest |v1 - v2| / max(|v1|, |v2|); null for text and flags",
                "ratio",
            ),
            value(
                "median_relative_difference",
                "Median relative difference of the cells that are not identical; null without one",
                "ratio",
            ),
            value("p99_relative_difference", "The same, 99th percentile", "ratio"),
            value(
                "largest_ulp_difference",
                "Largest number of floats between v1 and v2, one end included; null for all but floats",
                "ULP",
            ),
            value(
                "largest_within_tolerance",
                "Largest difference of the cells within the tolerance, measured as the tolerance is: |v1 - v2| / "
                "(max(|v1|, |v2|) + absolute / relative tolerance); null without such a cell",
                "ratio",
            ),
            value(
                "noise_floor",
                "The same of V1 against V1, at least the rounding of one float; null when not measured and for "
                "exact columns",
                "ratio",
            ),
            count(
                "cells_above",
                "Cells within the tolerance in which V2 is above V1 by more than rounding (2^-46 of the value)",
                "cells",
            ),
            count("cells_below", "The same, below V1", "cells"),
            text(
                "warning",
                "What rounding does not explain inside the tolerance, in one sentence; null when nothing is",
                nullable=True,
            ),
            count("instruments", "Instruments with a row on both sides", "instruments"),
            count("instruments_affected", "Instruments with an unequal cell", "instruments"),
            value(
                "share_of_instruments_affected",
                "instruments_affected / instruments; null without an instrument",
                "ratio",
            ),
            text(
                "worst_key",
                "Key of the cell with the largest difference; null when all are equal",
                nullable=True,
            ),
            text("worst_v1", "V1 value of that cell", nullable=True),
            text("worst_v2", "V2 value of that cell", nullable=True),
            flag("agrees", "True when no cell is unequal and at least one was compared"),
        ),
    )


def _cells_table(name: str) -> Table:
    return Table(
        name=f"{name}_cells",
        description=f"Cells of {name} in which V1 and V2 differ: the first per instrument and column, "
        "and a sample of the worst.",
        schemas=("reconciliation",),
        key=("column_name", "role", "rank"),
        columns=(
            label("column_name", "Compared column, or '(row)' for a row that one side lacks"),
            label(
                "role",
                "'first' of its instrument in time, or one of the 'worst'",
                ("first", "worst"),
            ),
            Column("rank", Kind.INTEGER, "1 is the earliest or the worst", "position"),
            TRADING_DAY,
            label("instrument_key", "Instrument of the cell"),
            text("row_key", "Key of the row, as column=value"),
            text("v1", "Value in V1; null when null or absent", nullable=True),
            text("v2", "Value in V2; null when null or absent", nullable=True),
            value("absolute_difference", "|v1 - v2|; null for text and flags", OF_COLUMN),
            value(
                "relative_difference",
                "|v1 - v2| / max(|v1|, |v2|); null for text and flags",
                "ratio",
            ),
        ),
    )


RECONCILIATIONS = {name: _columns_table(name) for name in RECONCILED}
RECONCILIATION_CELLS = {name: _cells_table(name) for name in RECONCILED}

_VERDICT_COLUMNS = (
    label("table_name", "Computed table that was compared"),
    TRADING_DAY,
    label("state", "pass, diverged, or not comparable (which never counts as pass)", STATES),
    text("reason", "Why, in one sentence"),
    label(
        "state_of_compared",
        "The state without regard to the instruments that were left out",
        STATES,
    ),
    count(
        "instruments_left_out",
        "Instruments that were not compared, since computing V1 or V2 failed for them",
        "instruments",
    ),
    *_COUNTS,
    count(
        "cells_expected", "Cells that had to be compared: rows of V1 x compared columns", "cells"
    ),
    label(
        "columns_diverged",
        "Columns with unequal cells, comma-separated; null when none",
        nullable=True,
    ),
    text(
        "tolerances",
        "Tolerances in force by class: a part of the larger of both values, plus an absolute part",
    ),
    text(
        "warning",
        "What a verdict warns of although the cells agree: drift inside the tolerance; null when nothing",
        nullable=True,
    ),
    count(
        "noise_floor_cells",
        "Cells of V1 that were computed twice, in another row order, chunking and number of threads, to "
        "measure the noise floor; null when it was not measured",
        "cells",
        nullable=True,
    ),
    value(
        "noise_floor_relative",
        "Largest relative difference between the two; null when not measured or without numbers",
        "ratio",
    ),
    value(
        "noise_floor_ulp",
        "Largest number of floats between the two; null when not measured or without floats",
        "ULP",
    ),
)

RECONCILIATION_VERDICTS = {
    name: Table(
        name=f"{name}_verdict",
        description=f"The verdict of V1 against V2 of {name}: one row per trading day.",
        schemas=("reconciliation",),
        key=("table_name",),
        columns=_VERDICT_COLUMNS,
    )
    for name in RECONCILED
}

RECONCILIATION_DIAGNOSES = {
    name: Table(
        name=f"{name}_diagnosis",
        description=f"Likely causes of the differences between V1 and V2 of {name}, recognised by their "
        "shape: one row per cause and trading day, the most specific first.",
        schemas=("reconciliation",),
        key=("rank",),
        columns=(
            Column(
                "rank", Kind.INTEGER, "1 is the most specific", "position", checks=(at_least(1),)
            ),
            TRADING_DAY,
            label("diagnosis", "Name of the recognised shape; 'unknown shape' when there is none"),
            text("column_names", "Columns that have it, comma-separated; '(row)' for rows"),
            text("sentence", "The likely cause in words, with its evidence"),
            text("evidence", "The numbers behind the sentence, as a JSON object"),
        ),
    )
    for name in RECONCILED
}

ENTERS, LEAVES = "enters", "leaves"
VERDICT_CHANGES, REASON_CHANGES = "verdict changes", "reason changes"
RANK_MOVES = "rank moves"
DECISION_CHANGES = (
    *(f"{way} {verdict}" for verdict in PASSING_VERDICTS for way in (ENTERS, LEAVES)),
    VERDICT_CHANGES,
    REASON_CHANGES,
    RANK_MOVES,
)
RECONCILIATION_DECISIONS = Table(
    name="filter_results_decisions",
    description="What a trader would see differently: instruments that enter or leave bullish or bearish "
    "in V2, those whose verdict or reason changes, and those whose place in its list moves.",
    schemas=("reconciliation",),
    key=("instrument_key", "change"),
    columns=(
        label("instrument_key", "Instrument of the decision"),
        label("change", "What becomes of it when V2 replaces V1", DECISION_CHANGES),
        TRADING_DAY,
        label("verdict_v1", "Verdict in V1; null without a row", nullable=True),
        label("verdict_v2", "Verdict in V2; null without a row", nullable=True),
        text("reason_v1", "Reason in V1; null without a row", nullable=True),
        text("reason_v2", "Reason in V2; null without a row", nullable=True),
        *(
            count(
                f"rank_{side.lower()}",
                f"Place in {side} among the instruments with the same verdict, bullish or bearish: most "
                "mamba days first, then by instrument key; null with any other verdict",
                "place, from 1",
                nullable=True,
            )
            for side in ("V1", "V2")
        ),
    ),
)

_ONLY_WHEN_DIVERGED = "Only for days on which something differs."

RECONCILIATION_INSTRUMENTS = {
    name: Table(
        name=f"{name}_instruments",
        description=f"Which instruments differ in which columns of {name}, and in how many cells. "
        + _ONLY_WHEN_DIVERGED,
        schemas=("reconciliation",),
        key=("instrument_key", "column_name"),
        columns=(
            label("instrument_key", "Instrument with an unequal cell"),
            label("column_name", "Column of it, or '(row)' for rows that one side lacks"),
            TRADING_DAY,
            count(
                "cells_compared", "Its cells that both sides have; for '(row)' all rows", "cells"
            ),
            count("cells_unequal", "Those that differ by more than the tolerance", "cells"),
        ),
    )
    for name in RECONCILED
}

RECONCILIATION_WINDOWS = {
    name: Table(
        name=f"{name}_windows",
        description=f"What the first and the worst cell of every diverged column of {name} were computed "
        "from: the last rows of the step's inputs up to the cell, V1 and V2 side by side. "
        + _ONLY_WHEN_DIVERGED,
        schemas=("reconciliation",),
        key=("column_name", "role", "input_table", "rows_back", "input_column"),
        columns=(
            label("column_name", "Diverged column, or '(row)' for a row that one side lacks"),
            label("role", "Its 'first' or its 'worst' cell", ("first", "worst")),
            label("input_table", "Input of the step: raw.* for both, else read from v1 and v2"),
            count("rows_back", "0 is the last input row up to the cell, 1 the one before", "rows"),
            label("input_column", "Column of the input"),
            TRADING_DAY,
            label("instrument_key", "Instrument of the cell"),
            text("row_key", "Key of the diverging row, as column=value"),
            text("input_key", "Key of the input row, as column=value"),
            text("v1", "What V1 read; null when null or absent", nullable=True),
            text("v2", "What V2 read; null when null or absent", nullable=True),
            flag("is_equal", "True when both have the row and agree within the tolerance"),
            text(
                "first_difference",
                "Key of the earliest row in the look-back of this input, up to the cell, in which V1 and V2 "
                "differ; null when they agree in all of it",
                nullable=True,
            ),
        ),
    )
    for name in RECONCILED
}

RECONCILIATION_BARS = {
    name: Table(
        name=f"{name}_bars",
        description=f"Bars of {name} around the first diverging one, of the instrument with the worst cell, "
        "for the first column of each likely cause; as stored when they were compared. Tables without "
        f"bars have no rows. {_ONLY_WHEN_DIVERGED}",
        schemas=("reconciliation",),
        key=("column_name", "timestamp"),
        columns=(
            label("column_name", "Diverged column"),
            Column("timestamp", Kind.TIMESTAMP, "Start of the bar"),
            TRADING_DAY,
            label("instrument_key", "Instrument with the worst cell of the column"),
            label("series", "Daily series of that cell; null for other bars", nullable=True),
            value("v1", "Value in V1; null when null or absent", OF_COLUMN),
            value("v2", "Value in V2; null when null or absent", OF_COLUMN),
            value("difference", "v2 - v1; null when either is", OF_COLUMN),
            flag("is_equal", "True when both have the bar and agree within the tolerance"),
            flag("is_first", "True for the first diverging bar of the trading day"),
        ),
    )
    for name in RECONCILED
}

RECONCILIATION_SUMMARY = Table(
    name="summary",
    description="One row per computed table and trading day: the verdict of V1 against V2.",
    schemas=("reconciliation",),
    key=("table_name",),
    columns=_VERDICT_COLUMNS,
)
