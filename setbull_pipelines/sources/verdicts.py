"""Verdicts on rows: the first rule that each breaks, and what the quarantine says of it.

Belongs here: one ground per row, its sentence. Does not belong here: the rules (``candle_files.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.market import session_frames
from setbull_pipelines.sources.instrument_columns import Instruments
from setbull_pipelines.sources.moments import Moments
from setbull_pipelines.sources.raw_rows import RawRows, records, texts
from setbull_pipelines.tables import QUARANTINE

REJECTED_COLUMNS = [name for name in QUARANTINE.column_names if name != "source"]
_PLACEMENTS_WITHOUT_TRADING_DAY = (
    session_frames.NO_TIMESTAMP,
    session_frames.CLOSED_DAY,
    session_frames.OUTSIDE_COVERAGE,
)
_LONGEST_VALUE = 200
"""Signs of a value that are shown beside the whole row."""


class Verdicts:
    """The first broken rule of every row, by number; 0 while none is broken."""

    def __init__(self, rows: int) -> None:
        self._ground_of_row = np.zeros(rows, np.int16)
        self._grounds: list[Ground] = []

    def reject(
        self, where: np.ndarray, rule: str, column: str, expected: str | Callable[[date], str]
    ) -> None:
        """Reject the rows ``where`` is true, unless an earlier rule already did."""
        self._grounds.append(Ground(rule, column, expected))
        self._ground_of_row[where & (self._ground_of_row == 0)] = len(self._grounds)

    @property
    def accepted(self) -> np.ndarray:
        """The rows that broke no rule."""
        return self._ground_of_row == 0

    def ground(self, row: int | np.integer) -> Ground:
        """Why a row was rejected."""
        return self._grounds[self._ground_of_row[row] - 1]


class Ground(NamedTuple):
    """A rule, the column that it is about, and what was expected there, by day where that matters."""

    rule: str
    column: str
    expected: str | Callable[[date], str]


def rejected_rows(
    rows: RawRows, verdicts: Verdicts, moments: Moments, instruments: Instruments
) -> pd.DataFrame:
    """What ``raw.quarantine`` says of the rows that are no candles, without the source."""
    positions = np.flatnonzero(~verdicts.accepted)
    columns = {
        name: texts(column)
        for name, column in zip(
            rows.names, rows.columns.take(pyarrow.array(positions)).columns, strict=True
        )
    }
    distinct_days = moments.wall_clock.view("datetime64[us]").astype("datetime64[D]")
    days = moments.spread(distinct_days, np.datetime64("NaT", "D"))
    dayless = moments.spread(
        pd.Series(moments.placement).isin(_PLACEMENTS_WITHOUT_TRADING_DAY).to_numpy(), True
    )
    keys = np.append(instruments.keys, [None])[instruments.codes]
    entries: list[dict[str, Any]] = [
        _quarantine_entry(
            line=int(rows.lines[position]),
            day=None if dayless[position] else days[position],
            key=_shortened(keys[position]) or None,
            ground=verdicts.ground(position),
            value=columns[verdicts.ground(position).column][number],
            date_found=days[position].astype(date),
            record=record,
        )
        for number, (position, record) in enumerate(
            zip(positions, records(rows.names, columns.values()) if columns else [], strict=True)
        )
    ]
    entries += [
        {
            "line": malformed.line,
            "rule": "malformed row",
            "value": malformed.text,
            "reason": malformed.reason,
            "record": records(["row"], [[malformed.text]])[0],
        }
        for malformed in rows.malformed
    ]
    return pd.DataFrame(entries, columns=REJECTED_COLUMNS)


def _shortened(text: str | None) -> str | None:
    if text is None or len(text) <= _LONGEST_VALUE:
        return text
    return f"{text[:_LONGEST_VALUE]}... ({len(text):,} signs)"


def _quarantine_entry(
    line: int,
    day: np.datetime64 | None,
    key: str | None,
    ground: Ground,
    value: str | None,
    date_found: date,
    record: str,
) -> dict[str, Any]:
    expected = ground.expected if isinstance(ground.expected, str) else ground.expected(date_found)
    value = _shortened(value)
    found = "no value" if value is None else repr(value)
    return {
        "line": line,
        "trading_day": day,
        "instrument_key": key,
        "rule": ground.rule,
        "column": ground.column,
        "value": value,
        "reason": f"Found {found} in column {ground.column}, expected {expected}.",
        "record": record,
    }
