"""How much corrections changed: the check of each day, and the report in the UI and the terminal.

Belongs here: counting and wording of ``raw.revisions``. Does not belong here: what is a correction
(``sources/correcting.py``), reading tables.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.quality.verdict import Rule, Verdict, not_judged
from setbull_pipelines.settings import Settings
from setbull_pipelines.tables.columns import FINAL, PROVISIONAL
from setbull_pipelines.tables.raw import CANDLE_VALUES
from setbull_pipelines.warehouse.pointers import StoredTable

REVISIONS = StoredTable("raw", tables.REVISIONS)
_BAR = ["kind", "instrument_key", "timestamp"]


def changes(revisions: pd.DataFrame) -> pd.DataFrame:
    """One row per changed value, the largest in percent first.

    Columns: those that name the correction, ``column``, ``unit``, ``old``, ``new``, ``change`` (in the unit) and
    ``percent`` of the old value; null where there is no value to compare with, as for an old one of 0.
    """
    named = [*_BAR, "revision", "revised_at", "old_state", "new_state", "old_source", "new_source"]
    parts = []
    for column in CANDLE_VALUES:
        of_column = revisions[revisions["changed"].str.contains(rf"\b{column.name}\b")]
        old, new = (
            of_column[f"{which}_{column.name}"].astype("Float64") for which in ("old", "new")
        )
        change = new - old
        parts.append(
            of_column[named].assign(
                column=column.name,
                unit=column.unit,
                old=old,
                new=new,
                change=change,
                percent=(change / old * 100).where(old != 0),
            )
        )
    found = pd.concat(parts, ignore_index=True)
    order = found["percent"].abs().fillna(0).sort_values(ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def sentence(revisions: pd.DataFrame) -> str:
    """How many bars were corrected, and how many of them after they were final."""
    if revisions.empty:
        return "no bar was corrected"
    bars = revisions.drop_duplicates(_BAR)
    after_final = revisions[revisions["old_state"] == FINAL].drop_duplicates(_BAR)
    return (
        f"{len(bars):,} bars of {bars['instrument_key'].nunique():,} instruments were corrected, "
        f"{len(after_final):,} of them after they were final"
    )


def largest_changes(found: pd.DataFrame) -> pd.DataFrame:
    """Per column of :func:`changes`: how many bars, the largest change in percent and the largest in its unit."""
    return pd.DataFrame(
        [
            {
                "column": column.name,
                "bars": len(of_column.drop_duplicates(_BAR)),
                "percent": of_column["percent"].abs().max(),
                "change": of_column["change"].abs().max(),
                "unit": column.unit,
            }
            for column in CANDLE_VALUES
            if len(of_column := found[found["column"] == column.name])
        ],
        columns=["column", "bars", "percent", "change", "unit"],
    )


def markdown(revisions: pd.DataFrame, rows: int) -> str:
    """The report of one day: the sentence, the largest change of every column, the largest ``rows`` changes."""
    lines = [f"{sentence(revisions)}."]
    if revisions.empty:
        return lines[0]
    found = changes(revisions)
    lines += ["", "| column | bars | largest change | in % |", "|---|---:|---:|---:|"]
    lines += [
        f"| {row.column} | {row.bars:,} | {number(row.change)} {row.unit} | {number(row.percent)} |"
        for row in largest_changes(found).itertuples()
    ]
    lines += [
        "",
        "| instrument | bar | column | old | new | % | was | corrected at | by |",
        "|---|---|---|---:|---:|---:|---|---|---|",
    ]
    lines += [
        f"| {escaped(row.instrument_key)} | {row.timestamp:%Y-%m-%d %H:%M} | {row.column} | {number(row.old)} | "
        f"{number(row.new)} | {number(row.percent)} | {row.old_state} | {row.revised_at:%Y-%m-%d %H:%M} | "
        f"{escaped(row.new_source)} |"
        for row in found.head(rows).itertuples()
    ]
    if len(found) > rows:
        lines += ["", f"and {len(found) - rows:,} smaller changes (`setbull revisions`)"]
    return "\n".join(lines)


def number(value: object) -> str:
    """A number for readers; a dash where there is none."""
    return "-" if pd.isna(value) else f"{value:,.2f}".rstrip("0").rstrip(".")


def escaped(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return text.replace("|", "\\|")


def _revised(stored: StoredTable, kind: str) -> Rule:
    def judge(frames: Mapping[str, pd.DataFrame], day: pd.Timestamp, settings: Settings) -> Verdict:
        bars, revisions = frames[stored.name], frames[REVISIONS.name]
        if bars.empty:
            return not_judged("there is no bar that could have been corrected")
        revisions = revisions[revisions["kind"] == kind]
        corrected = len(revisions.drop_duplicates(_BAR))
        after_final = len(revisions[revisions["old_state"] == FINAL].drop_duplicates(_BAR))
        provisional = int((bars["state"] == PROVISIONAL).sum())
        limit = settings.quality.maximum_revised_share
        share = after_final / len(bars)
        return Verdict(
            share <= limit,
            f"{after_final:,} of {len(bars):,} bars were corrected after they were final ({share:.2%}, limit "
            f"{limit:.2%}), {corrected - after_final:,} only before; {provisional:,} are provisional",
            {
                "bars": len(bars),
                "corrected": corrected,
                "corrected after final": after_final,
                "share corrected after final": share,
                "provisional": provisional,
            },
        )

    return Rule(
        "revised",
        "Few bars were corrected after they were final",
        stored,
        (stored, REVISIONS),
        judge,
        is_error=False,
    )


RULES: tuple[Rule, ...] = (
    _revised(StoredTable("raw", tables.CANDLES_1MIN), "minutes"),
    _revised(StoredTable("raw", tables.CANDLES_DAILY_HISTORY), "daily"),
)
