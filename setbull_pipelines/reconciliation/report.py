"""Markdown of a comparison, short enough to read in a user interface.

Belongs here: turning the reconciliation tables into text. Does not belong here: comparing, judging,
where the text is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from setbull_pipelines.reconciliation.diagnosis import ROW
from setbull_pipelines.tables.reconciliation import DECISION_CHANGES


def markdown_summary(summary: pd.DataFrame) -> str:
    """Return a table of the verdicts: one line per row of ``RECONCILIATION_SUMMARY``."""
    lines = (
        (
            row.table_name,
            f"{row.trading_day:%Y-%m-%d}",
            row.state,
            f"{row.rows_v1:,}",
            f"{row.rows_v2:,}",
            f"{row.cells_compared:,} of {row.cells_expected:,}",
            f"{row.cells_unequal:,}",
            _number(row.noise_floor_relative) or "not measured",
            row.reason,
        )
        for row in summary.itertuples()
    )
    return _table(
        (
            "table",
            "trading day",
            "state",
            "rows V1",
            "rows V2",
            "cells compared",
            "cells unequal",
            "noise floor",
            "reason",
        ),
        lines,
    )


def markdown_noise(verdict: pd.DataFrame) -> str:
    """Return one sentence about V1 against itself, from the verdict of one table and day."""
    (row,) = verdict.itertuples()
    if pd.isna(row.noise_floor_cells):
        return "Noise floor: not measured."
    relative, ulp = (
        _number(number) or "none" for number in (row.noise_floor_relative, row.noise_floor_ulp)
    )
    return (
        "Noise floor, V1 against V1 in another row order, chunking and number of threads: largest "
        f"relative difference {relative}, ULP {ulp} ({int(row.noise_floor_cells):,} cells)."
    )


def markdown_columns(columns: pd.DataFrame, cells: pd.DataFrame) -> str:
    """Return the diverged columns of one table and day, each with its first and its worst cell.

    ``columns`` and ``cells`` as in ``RECONCILIATIONS`` and ``RECONCILIATION_CELLS``. Rows that one
    side lacks are one more line. When nothing diverged, one sentence says what was compared.
    """
    diverged = columns[columns["cells_unequal"] > 0]
    lines = [
        (
            row.column_name,
            row.tolerance,
            f"{row.cells_unequal:,} of {row.cells_compared:,}",
            f"{row.null_differences:,}",
            f"{row.instruments_affected:,} ({row.share_of_instruments_affected:.0%})",
            _number(row.largest_absolute_difference),
            _number(row.largest_relative_difference),
            f"{_number(row.median_relative_difference)} / {_number(row.p99_relative_difference)}",
            _number(row.largest_ulp_difference),
            _cell(cells, row.column_name, "first"),
            _cell(cells, row.column_name, "worst"),
        )
        for row in diverged.itertuples()
    ]
    if (cells["column_name"] == ROW).any():
        only_v1, only_v2 = columns[["rows_only_v1", "rows_only_v2"]].iloc[0]
        one_sided = f"{only_v1:,} only in V1, {only_v2:,} only in V2"
        lines.append(
            (
                ROW,
                "",
                one_sided,
                *([""] * 6),
                _cell(cells, ROW, "first"),
                _cell(cells, ROW, "worst"),
            )
        )
    if not lines:
        compared = int(columns["cells_compared"].sum())
        if not compared:
            return "Nothing was compared."
        return f"All {len(columns)} columns agree ({compared:,} cells compared)."
    return _table(
        (
            "column",
            "tolerance",
            "unequal",
            "null on one side",
            "instruments",
            "largest absolute",
            "largest relative",
            "relative p50 / p99",
            "largest ULP",
            "first",
            "worst",
        ),
        lines,
    )


def markdown_report(
    verdict: pd.DataFrame,
    columns: pd.DataFrame,
    cells: pd.DataFrame,
    diagnoses: pd.DataFrame,
    decisions: pd.DataFrame | None = None,
) -> str:
    """Return all that was found for one table and day: columns, noise floor, likely causes, changed decisions.

    ``decisions`` is None for tables that decide nothing.
    """
    parts = [
        markdown_columns(columns, cells),
        markdown_noise(verdict),
        markdown_diagnosis(diagnoses),
    ]
    if decisions is not None:
        parts.append(markdown_decisions(decisions))
    return "\n\n".join(part for part in parts if part)


def markdown_diagnosis(diagnoses: pd.DataFrame) -> str:
    """Return the likely causes, one line per row of ``RECONCILIATION_DIAGNOSES``; empty without one."""
    if diagnoses.empty:
        return ""
    ordered = diagnoses.sort_values("rank")
    return _table(
        ("likely cause", "evidence"),
        ((row.diagnosis, row.sentence) for row in ordered.itertuples()),
    )


def markdown_decisions(decisions: pd.DataFrame) -> str:
    """Return the changed filter decisions (``RECONCILIATION_DECISIONS``); empty without one.

    Instruments that enter or leave bullish or bearish come first.
    """
    if decisions.empty:
        return ""
    order = {change: place for place, change in enumerate(DECISION_CHANGES)}
    ordered = decisions.sort_values(
        ["change", "instrument_key"],
        key=lambda column: column.map(order) if column.name == "change" else column,
    )
    return _table(
        ("change", "instrument", "verdict V1", "verdict V2", "reason V1", "reason V2"),
        (
            (
                row.change,
                row.instrument_key,
                _value(row.verdict_v1),
                _value(row.verdict_v2),
                _value(row.reason_v1),
                _value(row.reason_v2),
            )
            for row in ordered.itertuples()
        ),
    )


def markdown_self_test(rows: pd.DataFrame) -> str:
    """Return the stored self-test (``SELF_TEST``), one line per fault and control, failures first."""
    ordered = rows.sort_values(["diagnosed", "number"])
    return _table(
        ("", "name", "table", "caught", "diagnosed", "expected", "found"),
        (
            (
                row.kind,
                row.name,
                row.table_name,
                "yes" if row.caught else "**no**",
                "yes" if row.diagnosed else "**no**",
                _text(row.expected_diagnosis),
                _text(row.found_diagnosis),
            )
            for row in ordered.itertuples(index=False)
        ),
    )


def _text(text: str | float) -> str:
    return "" if pd.isna(text) else str(text)


def _cell(cells: pd.DataFrame, column_name: str, role: str) -> str:
    chosen = cells[
        (cells["column_name"] == column_name) & (cells["role"] == role) & (cells["rank"] == 1)
    ].iloc[0]
    return f"{chosen['row_key']}: V1 {_value(chosen['v1'])}, V2 {_value(chosen['v2'])}"


def _value(text: str | float) -> str:
    return "null" if pd.isna(text) else str(text)


def _number(number: float) -> str:
    return "" if pd.isna(number) else f"{number:.3g}"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(
        [_line(header), _line(["---"] * len(header)), *(_line(line) for line in lines)]
    )


def _line(values: Sequence[str]) -> str:
    # Instrument keys hold a vertical bar, which would end the field.
    escaped = (value.replace("|", r"\|").replace("\n", " ") for value in values)
    return f"| {' | '.join(escaped)} |"
