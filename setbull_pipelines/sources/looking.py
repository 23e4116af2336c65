"""What intake understood of each file, told in a form that people and programs can read.

Belongs here: facts of landings by file: what it was taken for, which rows were rejected and why, what it covers. Does
not belong here: printing (``cli/``), deciding anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from setbull_pipelines.sources.candle_rules import NAIVE_TIMESTAMP, OTHER_SERIES
from setbull_pipelines.sources.file_names import NO_INSTRUMENT
from setbull_pipelines.sources.intake import Intake
from setbull_pipelines.sources.landed_files import LandedFile
from setbull_pipelines.sources.landing import NOT_READ_KIND, REJECTED_KIND
from setbull_pipelines.sources.moments import DAILY, MINUTES
from setbull_pipelines.tables.contract import INDIA

_VALUES = ("open", "high", "low", "close", "volume")
_INSTRUMENTS_SHOWN = 5
_UTC_OPENS, _INDIA_OPENS = 3, 9
"""The hours in which a session begins, on the clocks of UTC and of India."""


@dataclass(frozen=True)
class Refusal:
    """Why rows, or a whole file, are not used: the first of them as an example."""

    rule: str
    count: int | None
    """Rows; None where the whole file is refused and nobody counted."""
    file: str
    line: int | None
    column: str | None
    value: str | None
    reason: str
    paste: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ``[input]`` that would say what is meant, as an example."""


@dataclass(frozen=True)
class FileLook:
    """One file of the input as it was understood."""

    file: str
    kind: str
    taken_for: str | None
    ignored_columns: tuple[str, ...]
    received: int
    accepted: int
    refusals: tuple[Refusal, ...]
    instruments: int
    first_instruments: tuple[str, ...]
    days: int
    first_day: str | None
    last_day: str | None
    first_row: dict[str, Any] | None
    last_row: dict[str, Any] | None

    @property
    def is_refused(self) -> bool:
        """Whether nothing of the file is used, though it was meant as input."""
        return self.kind == REJECTED_KIND

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Hole:
    """Days inside the history of an instrument on which it was in a series that candles are not made of."""

    instrument_key: str
    series: str
    days: tuple[str, ...]


def holes_by_series(intake: Intake) -> list[Hole]:
    """The instruments that lose days between others because they changed their series, by key."""
    accepted, lost = [], []
    for file in intake.landed:
        if file.landing.kind == DAILY and file.is_current:
            accepted.append(
                file.landing.coverage().select(["trading_day", "instrument_key"]).to_pandas()
            )
            days = file.landing.days
            rejected = file.landing.rejected(
                list(days.loc[days["rejected"] > 0, "trading_day"].dt.date)
            )
            lost.append(rejected[rejected["rule"] == OTHER_SERIES])
    if not lost:
        return []
    have = pd.concat(accepted)
    have = have.assign(trading_day=pd.to_datetime(have["trading_day"]).astype("datetime64[us]"))
    have["instrument_key"] = have["instrument_key"].astype("str")
    span = have.groupby("instrument_key")["trading_day"].agg(["min", "max"]).reset_index()
    rows = pd.concat(lost).merge(span, on="instrument_key")
    inside = rows[(rows["trading_day"] > rows["min"]) & (rows["trading_day"] < rows["max"])]
    both = ["trading_day", "instrument_key"]
    inside = inside.merge(have[both].drop_duplicates(), on=both, how="left", indicator="also")
    inside = inside[inside["also"] == "left_only"]
    return [
        Hole(
            str(key),
            str(series),
            tuple(str(day.date()) for day in sorted(of["trading_day"].unique())),
        )
        for (key, series), of in inside.groupby(["instrument_key", "value"])
    ]


def looks(intake: Intake) -> list[FileLook]:
    """Every file of the input, in the order of ``raw.intake``."""
    landed = {file.listed_as: file for file in intake.landed if file.is_current}
    return [
        _look(landed[row["source"]], intake) if row["source"] in landed else _unread(row, intake)
        for row in intake.files.to_dict("records")
    ]


def _look(file: LandedFile, intake: Intake) -> FileLook:
    manifest, days = file.landing.manifest, file.days
    is_candles = file.landing.kind in (MINUTES, DAILY)
    counts = pd.Series(dtype="int64")
    if is_candles:
        pairs = file.landing.coverage()
        keys = pairs["instrument_key"].combine_chunks()
        counts = pd.Series(pairs["rows"].to_numpy()).groupby(keys.indices.to_numpy()).sum()
        counts.index = [keys.dictionary[int(number)].as_py() for number in counts.index]
    accepted = (
        int(days["accepted"].sum()) if is_candles else manifest["received"] - manifest["unassigned"]
    )
    with_rows = days.loc[days["accepted"] > 0, "trading_day"] if is_candles else days["trading_day"]
    return FileLook(
        file=file.listed_as,
        kind=file.landing.kind,
        taken_for=manifest.get("taken_for"),
        ignored_columns=tuple(manifest.get("ignored_columns", ())),
        received=manifest["received"],
        accepted=accepted,
        refusals=tuple(_refusals(file, counts, intake)),
        instruments=len(counts),
        first_instruments=tuple(sorted(counts.index)[:_INSTRUMENTS_SHOWN]),
        days=len(with_rows),
        first_day=None if with_rows.empty else str(with_rows.min().date()),
        last_day=None if with_rows.empty else str(with_rows.max().date()),
        first_row=_row(file, with_rows, first=True) if is_candles else None,
        last_row=_row(file, with_rows, first=False) if is_candles else None,
    )


def _unread(row: dict[str, Any], intake: Intake) -> FileLook:
    rejection = intake.out_of_reach.rejections.get(row["source"])
    rule = rejection.rule if rejection else NOT_READ_KIND
    refusal = Refusal(rule, None, row["source"], None, None, None, row["reason"])
    return FileLook(
        file=row["source"],
        kind=row["kind"],
        taken_for=None,
        ignored_columns=(),
        received=0,
        accepted=0,
        refusals=(refusal,),
        instruments=0,
        first_instruments=(),
        days=0,
        first_day=None,
        last_day=None,
        first_row=None,
        last_row=None,
    )


def _refusals(file: LandedFile, counts: pd.Series, intake: Intake) -> list[Refusal]:
    landing = file.landing
    if landing.kind in (REJECTED_KIND, NOT_READ_KIND):
        broken = landing.manifest["broken"]
        is_nameless = broken["rule"] == NO_INSTRUMENT
        return [
            Refusal(
                broken["rule"],
                broken["count"],
                file.listed_as,
                broken["line"],
                None,
                file.listed_as if is_nameless else broken["value"],
                file.reason,
                {"symbols": {file.name: "SYMBOL"}} if is_nameless else broken["paste"],
            )
        ]
    days = list(landing.days["trading_day"].dt.date)
    rejected = pd.concat([landing.rejected(None), landing.rejected(days)])
    found = []
    for rule, rows in rejected.groupby("rule", sort=False):
        first = rows.sort_values("line").iloc[0]
        column, value = (
            None if pd.isna(first[name]) else str(first[name]) for name in ("column", "value")
        )
        found.append(
            Refusal(
                str(rule),
                len(rows),
                file.listed_as,
                int(first["line"]),
                column,
                value,
                first["reason"],
                _paste(str(rule), value),
            )
        )
    found += _unknown(file, counts, intake)
    return sorted(found, key=lambda refusal: -(refusal.count or 0))


def _paste(rule: str, value: str | None) -> dict[str, Any]:
    """The setting that rejected rows ask for; for moments without zone the one whose session holds the first."""
    if rule != NAIVE_TIMESTAMP:
        return {}
    clock = re.search(r"\b(\d\d):\d\d", value or "")
    return {"timezone": "UTC" if clock and _UTC_OPENS <= int(clock[1]) < _INDIA_OPENS else INDIA}


def _unknown(file: LandedFile, counts: pd.Series, intake: Intake) -> list[Refusal]:
    """The rows of instruments that no instrument file lists."""
    unknown = counts[[not known for known in intake.knows(file, list(counts.index))]]
    if unknown.empty:
        return []
    example = str(unknown.index[0])
    reason = f"Found the instrument {example!r}, expected one that the instrument files list."
    return [
        Refusal(
            "unknown instrument",
            int(unknown.sum()),
            file.listed_as,
            None,
            "instrument_key",
            example,
            reason,
        )
    ]


def _row(file: LandedFile, days: Sequence[Any], first: bool) -> dict[str, Any] | None:
    """The first or the last row by moment, as understood."""
    if not len(days):
        return None
    day = (min(days) if first else max(days)).date()
    table = file.landing.candles([day]).sort_by(
        [("timestamp", "ascending" if first else "descending")]
    )
    row = table.slice(0, 1).to_pylist()[0]
    return {
        "instrument_key": row["instrument_key"],
        "timestamp": row["timestamp"].isoformat(),
        **{name: row[name] for name in _VALUES},
        "line": row["line"],
    }
