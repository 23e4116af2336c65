"""Markdown of a comparison, short enough to read in a user interface.

Belongs here: turning the reconciliation tables into text. Does not belong here: comparing, judging,
where the text is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from setbull_pipelines.pictures.divergence import bar_chart, heat_map
from setbull_pipelines.pictures.drawing import image
from setbull_pipelines.reconciliation.diagnosis import ROW
from setbull_pipelines.tables import COMPUTED_TABLES, RAW_TABLES, Table
from setbull_pipelines.tables.reconciliation import (
    DECISION_CHANGES,
    RECONCILIATION_DECISIONS,
    RECONCILIATION_WINDOWS,
)

_DECISIONS_SHOWN = 50
_INPUT_COLUMNS = 12
_PLAIN_NAMES = re.compile(r"\b(instrument_key|series|timestamp)=")
_INPUTS = {table.name: table for table in (*RAW_TABLES, *COMPUTED_TABLES)}


@dataclass(frozen=True)
class Findings:
    """The stored outcome of comparing one table on one trading day; frames as in ``tables``."""

    table: Table
    trading_day: pd.Timestamp
    verdict: pd.DataFrame
    """One row."""
    columns: pd.DataFrame
    cells: pd.DataFrame
    diagnoses: pd.DataFrame
    instruments: pd.DataFrame
    windows: pd.DataFrame
    bars: pd.DataFrame
    decisions: pd.DataFrame | None
    """None for tables that decide nothing."""


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
    side lacks are one more line. When nothing diverged, one sentence says what was compared, and one what to be
    warned of in each column.
    """
    diverged = columns[columns["cells_unequal"] > 0]
    lines: list[tuple[str, ...]] = [
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
        agree = f"All {len(columns)} columns agree ({compared:,} cells compared)."
        return "\n\n".join([agree, *columns["warning"].dropna()])
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


def divergence_hint(table_name: str, trading_day: date) -> str:
    """Return the sentence that names the command for the whole report of one table and day."""
    return f"As a page with pictures: setbull divergence --table {table_name} --day {trading_day:%Y-%m-%d}"


def markdown_report(findings: Findings, *, with_pictures: bool) -> str:
    """Return all that was found: columns, likely causes, pictures, inputs, changed decisions."""
    columns = markdown_columns(findings.columns, findings.cells)
    noise = markdown_noise(findings.verdict)
    if findings.cells.empty:
        return f"{columns}\n\n{noise}"
    decisions = findings.decisions
    parts = {
        "Likely causes": markdown_diagnosis(findings.diagnoses),
        "Where to look": "" if findings.windows.empty else input_sentence(findings.windows),
        "Changed decisions": "" if decisions is None else markdown_decisions(decisions),
        "Pictures": markdown_pictures(findings) if with_pictures else "",
        "Columns": f"{columns}\n\n{noise}",
        "Inputs": markdown_windows(findings),
    }
    return "\n\n".join(f"#### {heading}\n\n{part}" for heading, part in parts.items() if part)


def markdown_pictures(findings: Findings) -> str:
    """Return the heat map and the charts as images inside the text; empty without any."""
    if findings.instruments.empty:
        return ""
    table, day = findings.table, findings.trading_day
    images = [image("where V2 differs from V1", heat_map(findings.instruments, table, day))]
    for name, bars in findings.bars.groupby("column_name", sort=False):
        images.append(image(f"V1 against V2 of {name}", bar_chart(bars, table, day)))
    return "\n\n".join(images)


def markdown_diagnosis(diagnoses: pd.DataFrame) -> str:
    """Return the likely causes, one line per row of ``RECONCILIATION_DIAGNOSES``; empty without one."""
    if diagnoses.empty:
        return ""
    ordered = diagnoses.sort_values("rank")
    return _table(
        ("likely cause", "evidence"),
        ((row.diagnosis, row.sentence) for row in ordered.itertuples()),
    )


def markdown_windows(findings: Findings) -> str:
    """Return the input rows of one column; empty without any.

    The column is that of the most specific cause, of those whose inputs differ where some do.
    """
    windows = findings.windows
    if windows.empty:
        return ""
    causes = ",".join(findings.diagnoses.sort_values("rank")["column_names"]).split(",")
    differing = windows.loc[windows["first_difference"].notna(), "column_name"]
    candidates = set(differing if len(differing) else windows["column_name"])
    name = next(name for name in causes if name in candidates)
    parts = []
    shown = windows[windows["column_name"] == name]
    for (row_key, input_table), rows in shown.groupby(["row_key", "input_table"], sort=False):
        roles = " and ".join(rows["role"].unique())
        parts.append(f"Input of the {roles} cell of {name} ({row_name(row_key)}): {input_table}")
        parts.append(_input_rows(rows[rows["role"] == rows["role"].iloc[0]], _INPUTS[input_table]))
    others = windows["column_name"].nunique() - 1
    if others:
        stored = RECONCILIATION_WINDOWS[findings.table.name].name
        parts.append(f"The input rows of {others} more columns are in reconciliation.{stored}.")
    return "\n\n".join(parts)


def input_sentence(windows: pd.DataFrame) -> str:
    """Return where to look first: in a step before, or in this one (``RECONCILIATION_WINDOWS``)."""
    differing = windows.dropna(subset="first_difference")
    if differing.empty:
        read = (_INPUTS[name] for name in windows["input_table"].unique())
        names = ", ".join(f"raw.{table.name}" if _is_raw(table) else table.name for table in read)
        return (
            f"Inputs agree: V1 and V2 read equal rows of {names} in the whole look-back of the first and the "
            "worst cells. **The fault is in this step.**"
        )
    earliest = differing.sort_values("first_difference", key=_without_instrument, kind="stable")
    found = " and ".join(
        f"v2.{name} from {row_name(rows['first_difference'].iloc[0])}"
        for name, rows in earliest.groupby("input_table", sort=False)
    )
    others = set(windows["column_name"]) - set(differing["column_name"])
    here = (
        f" Those of {', '.join(sorted(others))} agree: that fault is in this step."
        if others
        else ""
    )
    return f"**Inputs already differ** in {found}: look there first.{here}"


def _is_raw(table: Table) -> bool:
    return "raw" in table.schemas


def _without_instrument(keys: pd.Series) -> pd.Series:
    return keys.str.partition(", ")[2]


def _input_rows(rows: pd.DataFrame, table: Table) -> str:
    """Return the rows of one input, the latest last; equal values once, others as V1 / V2."""
    # An input without open interest says nothing by repeating it; the row's day is in its key.
    told = set(rows.loc[rows["v1"].notna() | rows["v2"].notna(), "input_column"]) - {"trading_day"}
    differing = set(rows.loc[~rows["is_equal"], "input_column"])
    columns = [column.name for column in table.value_columns if column.name in told | differing]
    if len(columns) > _INPUT_COLUMNS:
        columns.sort(key=lambda name: name not in differing)
    shown = columns[:_INPUT_COLUMNS]
    lines = []
    for _, row in rows.sort_values("rows_back", ascending=False).groupby("rows_back", sort=False):
        cells = row.set_index("input_column")
        lines.append(
            (
                row_name(row["input_key"].iloc[0]),
                "yes" if row["is_equal"].all() else "**no**",
                *(_both(cells.loc[name]) for name in shown),
            )
        )
    text = _table(("input row", "equal", *shown), lines)
    more = len(columns) - len(shown)
    return f"{text}\n\nand {more} more columns" if more else text


def _both(cell: pd.Series) -> str:
    if cell["is_equal"]:
        return _value(cell["v1"])
    return f"**{_value(cell['v1'])} / {_value(cell['v2'])}**"


def markdown_decisions(decisions: pd.DataFrame) -> str:
    """Return the changed filter decisions (``RECONCILIATION_DECISIONS``); empty without one.

    Instruments that enter or leave bullish or bearish come first, then the best ranked.
    """
    if decisions.empty:
        return ""
    order = {change: place for place, change in enumerate(DECISION_CHANGES)}
    ordered = decisions.assign(
        place=decisions["change"].map(order),
        best_rank=decisions[["rank_v1", "rank_v2"]].min(axis=1),
    ).sort_values(["place", "best_rank", "instrument_key"])
    table = _table(
        (
            "change",
            "instrument",
            "verdict V1",
            "verdict V2",
            "rank V1",
            "rank V2",
            "reason V1",
            "reason V2",
        ),
        (
            (
                row.change,
                row.instrument_key,
                _value(row.verdict_v1),
                _value(row.verdict_v2),
                _number(row.rank_v1, ".0f"),
                _number(row.rank_v2, ".0f"),
                _value(row.reason_v1),
                _value(row.reason_v2),
            )
            for row in ordered.head(_DECISIONS_SHOWN).itertuples()
        ),
    )
    more = len(ordered) - _DECISIONS_SHOWN
    rest = f"\n\nand {more:,} more in reconciliation.{RECONCILIATION_DECISIONS.name}"
    return table + rest if more > 0 else table


def markdown_self_test(rows: pd.DataFrame) -> str:
    """Return the stored self-test (``SELF_TEST``), one line per fault and control, failures first."""
    ordered = rows.sort_values(["diagnosed", "number"])
    return _table(
        ("", "name", "table", "caught", "diagnosed", "expected", "found", "on one day"),
        (
            (
                row.kind,
                row.name,
                row.table_name,
                "yes" if row.caught else "**no**",
                "yes" if row.diagnosed else "**no**",
                _text(row.expected_diagnosis),
                _text(row.found_diagnosis),
                _on_one_day(row),
            )
            for row in ordered.itertuples(index=False)
        ),
    )


def _on_one_day(row: Any) -> str:  # a row of itertuples(), whose names no type knows
    if pd.isna(row.visible_on):
        return ""
    if not row.caught_on_the_day:
        return "**missed**"
    if row.named_on_the_day:
        return "named"
    return "**misnamed**" if row.misnamed_on_the_day else "unknown shape"


def _text(text: str | float) -> str:
    return "" if pd.isna(text) else str(text)


def _cell(cells: pd.DataFrame, column_name: str, role: str) -> str:
    chosen = cells[
        (cells["column_name"] == column_name) & (cells["role"] == role) & (cells["rank"] == 1)
    ].iloc[0]
    return f"{row_name(chosen['row_key'])}: V1 {_value(chosen['v1'])}, V2 {_value(chosen['v2'])}"


def row_name(text: str) -> str:
    """Return the key of a row without what every reader knows: names of plain columns, zone, whole minutes."""
    plain = _PLAIN_NAMES.sub("", text)
    return plain.replace(" 00:00:00+05:30", "").replace(":00+05:30", "")


def _value(text: str | float) -> str:
    return "null" if pd.isna(text) else str(text)


def _number(number: float, form: str = ".3g") -> str:
    return "" if pd.isna(number) else format(number, form)


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(
        [_line(header), _line(["---"] * len(header)), *(_line(line) for line in lines)]
    )


def _line(values: Sequence[str]) -> str:
    # Instrument keys hold a vertical bar, which would end the field.
    escaped = (value.replace("|", r"\|").replace("\n", " ") for value in values)
    return f"| {' | '.join(escaped)} |"
