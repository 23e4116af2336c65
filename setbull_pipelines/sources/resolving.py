"""A day's rows of all files together: which instruments are known, which of several rows of a bar counts.

Belongs here: the rules that need several files, and where every row went. Does not belong here: rules for a single row
(``candle_files.py``), which correction counts (``correcting.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.session_frames import minutes_in_session
from setbull_pipelines.market.session_table import CLOSING_AUCTION, FULL, SESSION_SHAPES
from setbull_pipelines.sources.candle_rules import PRICE_COLUMNS, closing_auction_hours
from setbull_pipelines.sources.correcting import Corrections, correct, differing, had_closed
from setbull_pipelines.sources.frames import concatenate, texts_of
from setbull_pipelines.sources.landed_files import LandedFile
from setbull_pipelines.sources.moments import MINUTES
from setbull_pipelines.sources.raw_rows import records
from setbull_pipelines.sources.universe import Universe
from setbull_pipelines.tables import CANDLES_1MIN, QUARANTINE, REVISIONS
from setbull_pipelines.tables.columns import FINAL, PROVISIONAL
from setbull_pipelines.tables.contract import INDIA

_COUNTS = ("volume", "open_interest")
"""Whole numbers that can be null."""
VALUES = (*PRICE_COLUMNS, *_COUNTS)


@dataclass(frozen=True)
class Resolved:
    """Rows of one kind after the rules that need several rows; ``duplicates_ignored`` are trading days."""

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    duplicates_ignored: pd.Series
    revisions: pd.DataFrame


def resolve(
    kind: str, files: Sequence[LandedFile], universe: Universe, days: Sequence[date]
) -> Resolved:
    """The rows of some days of one kind of candle."""
    rows, keys = gather(files, universe, days)
    known = universe.knows(keys)[rows["instrument"].to_numpy()]
    quarantined = [_unknown_rows(rows[~known], keys, files)]
    rows = _chosen(rows, known)
    if kind == MINUTES:
        rows = rows.assign(session_shape=session_shapes_of(rows, keys, universe, days))
        inside = minutes_in_session(rows["timestamp"], shapes=rows["session_shape"])
        quarantined.append(_auction_rows(rows[~inside], keys, files))
        rows = _chosen(rows, inside)
    rows = _in_order(rows)
    found = correct(rows, VALUES)
    quarantined.append(
        _contradicted_rows(
            rows.iloc[found.contradicted],
            rows["line"].to_numpy()[found.contradicted_by],
            keys,
            files,
        )
    )
    return Resolved(
        _accepted(_taken(rows, found.accepted), found.accepted_is_final, keys, files),
        concatenate(QUARANTINE, quarantined),
        rows["trading_day"].iloc[found.ignored],
        _revisions(kind, rows, found, keys, files),
    )


def _chosen(rows: pd.DataFrame, is_chosen: np.ndarray) -> pd.DataFrame:
    # Mostly all are, and choosing them would copy them.
    return rows if is_chosen.all() else rows[is_chosen]


def _taken(rows: pd.DataFrame, positions: np.ndarray) -> pd.DataFrame:
    # Positions rise and none is there twice: as many as there are rows are all of them.
    return rows if len(positions) == len(rows) else rows.iloc[positions]


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """By trading day, bar and then as before: rows of one bar stay in the order of files and lines."""
    names = ["trading_day", "instrument", "timestamp"]
    is_above = np.zeros(max(len(rows) - 1, 0), bool)
    is_equal = ~is_above
    for name in names:
        values = rows[name].to_numpy("int64" if name == "instrument" else "datetime64[us]")
        is_above |= is_equal & (values[1:] > values[:-1])
        is_equal &= values[1:] == values[:-1]
    if (is_above | is_equal).all():
        return rows.reset_index(drop=True)
    return rows.sort_values(names, kind="stable", ignore_index=True)


def gather(
    files: Sequence[LandedFile], universe: Universe, days: Sequence[date]
) -> tuple[pd.DataFrame, list[str]]:
    """Accepted rows of several files, and the sorted keys that the numbers in ``instrument`` stand for.

    ``file`` is the position among ``files``.
    """
    tables = [(file, file.landing.candles(days).unify_dictionaries()) for file in files]
    keys_of_file = [
        universe.keys_of(file, table["instrument_key"].chunk(0).dictionary.to_pylist())
        if len(table)
        else []
        for file, table in tables
    ]
    keys = sorted({key for keys in keys_of_file for key in keys})
    number_of = {key: number for number, key in enumerate(keys)}
    frames = []
    for number, ((file, table), file_keys) in enumerate(zip(tables, keys_of_file, strict=True)):
        if not len(table):
            continue
        codes = table["instrument_key"].combine_chunks().indices.to_numpy()
        numbers = np.array([number_of[key] for key in file_keys], "int64")
        frame = table.drop_columns(["instrument_key", *_COUNTS]).to_pandas(date_as_object=False)
        frame["trading_day"] = frame["trading_day"].astype("datetime64[us]")
        for name in _COUNTS:
            frame[name] = table[name].to_pandas(types_mapper={pyarrow.int64(): pd.Int64Dtype()}.get)
        frame["instrument"] = numbers[codes]
        frame["file"] = number
        frame["is_provisional"] = _provisional(file, frame["trading_day"], table["instrument_key"])
        frames.append(frame)
    if not frames:
        empty = CANDLES_1MIN.without_provenance.empty().drop(columns="instrument_key")
        more = {"instrument": "int64", "line": "int64", "file": "int64", "is_provisional": "bool"}
        return empty.assign(**{name: pd.Series(dtype=dtype) for name, dtype in more.items()}), keys
    # Concatenating a single frame would copy it.
    return (pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]), keys


def _provisional(file: LandedFile, days: pd.Series, landed_keys: Any) -> np.ndarray:
    """Which rows of a file are provisional: the rule of ``correcting``."""
    marked = file.landing.manifest["provisional"]
    provisional = np.zeros(len(days), bool)
    for day in days.unique():
        if not had_closed(day.date(), file.ingested_at):
            provisional |= (days == day).to_numpy()
        elif keys := marked.get(day.date().isoformat()):
            provisional |= ((days == day) & landed_keys.to_pandas().isin(keys)).to_numpy()
    return provisional


def _accepted(
    rows: pd.DataFrame, is_final: np.ndarray, keys: Sequence[str], files: Sequence[LandedFile]
) -> pd.DataFrame:
    """Accepted rows under their keys and with where they are from."""
    accepted = rows.drop(columns=["line", "file", "instrument", "is_provisional"])
    accepted.insert(0, "instrument_key", texts_of(keys, rows["instrument"]))
    return accepted.assign(
        source=texts_of([file.source for file in files], rows["file"]),
        ingested_at=_moments(files, rows["file"]),
        state=texts_of([PROVISIONAL, FINAL], pd.Series(is_final, rows.index).astype("int8")),
    )


def _revisions(
    kind: str,
    rows: pd.DataFrame,
    found: Corrections,
    keys: Sequence[str],
    files: Sequence[LandedFile],
) -> pd.DataFrame:
    """``raw.revisions`` of one kind, from what was decided about its rows."""
    if not len(found.old):
        return REVISIONS.empty()
    old = rows.iloc[found.old].reset_index(drop=True)
    new = rows.iloc[found.new].reset_index(drop=True)
    changed = differing(rows, found.old, found.new, VALUES)
    sources = [file.source for file in files]
    return pd.DataFrame(
        {
            "kind": kind,
            "instrument_key": texts_of(keys, old["instrument"]),
            "timestamp": old["timestamp"],
            "revision": found.number,
            "trading_day": old["trading_day"],
            "changed": [
                ", ".join(name for name, differs in zip(VALUES, row, strict=True) if differs)
                for row in changed.to_numpy(bool)
            ],
            **{
                f"{which}_{name}": side[name]
                for name in VALUES
                for which, side in (("old", old), ("new", new))
            },
            "known_since": _moments(files, old["file"]),
            "revised_at": _moments(files, new["file"]),
            "old_source": texts_of(sources, old["file"]),
            "new_source": texts_of(sources, new["file"]),
            "old_state": np.where(found.old_is_final, FINAL, PROVISIONAL),
            "new_state": np.where(new["is_provisional"], PROVISIONAL, FINAL),
        }
    )


def _moments(files: Sequence[LandedFile], numbers: pd.Series) -> pd.Series:
    moments = pd.DatetimeIndex([file.ingested_at for file in files], tz=INDIA).as_unit("us")
    return pd.Series(moments.take(numbers.to_numpy()), index=numbers.index)


def _unknown_rows(
    rows: pd.DataFrame, keys: Sequence[str], files: Sequence[LandedFile]
) -> pd.DataFrame:
    found = texts_of(keys, rows["instrument"])
    reason = [
        f"Found the instrument {key!r}, expected one that the instrument files list."
        for key in found
    ]
    rule, column = "unknown instrument", "instrument_key"
    return _quarantine_rows(rows, found, files, rule, column, found, reason)


def session_shapes_of(
    rows: pd.DataFrame, keys: Sequence[str], universe: Universe, days: Sequence[date]
) -> pd.Series:
    """The session shape of each row that :func:`gather` found for ``days``."""
    shapes = np.full(len(rows), SESSION_SHAPES.index(FULL))
    numbers = rows["instrument"].to_numpy()
    for day in map(pd.Timestamp, filter(NSE.has_closing_auction, days)):
        of_day = (rows["trading_day"] == day).to_numpy()
        shapes[of_day] = universe.session_shapes(keys, day)[numbers[of_day]]
    return pd.Series(SESSION_SHAPES, dtype="str").take(shapes).set_axis(rows.index)


def _auction_rows(
    rows: pd.DataFrame, keys: Sequence[str], files: Sequence[LandedFile]
) -> pd.DataFrame:
    found = rows["timestamp"].dt.strftime("%H:%M")
    reason = [
        f"Found a bar at {clock} of a stock with derivatives, expected continuous trading; "
        f"the {closing_auction_hours()} is in the official close only."
        for clock in found
    ]
    keys_found = texts_of(keys, rows["instrument"])
    return _quarantine_rows(rows, keys_found, files, CLOSING_AUCTION, "timestamp", found, reason)


def _contradicted_rows(
    rows: pd.DataFrame, lines: np.ndarray, keys: Sequence[str], files: Sequence[LandedFile]
) -> pd.DataFrame:
    reason = [
        f"Found other values for the same bar in line {line} of the same file, expected one; the last line counts."
        for line in lines
    ]
    found = texts_of(keys, rows["instrument"])
    return _quarantine_rows(rows, found, files, "superseded", None, None, reason)


def _quarantine_rows(
    rows: pd.DataFrame,
    keys: pd.Series,
    files: Sequence[LandedFile],
    rule: str,
    column: str | None,
    value: pd.Series | None,
    reason: list[str],
) -> pd.DataFrame:
    names = ["instrument_key", "timestamp", *VALUES]
    texts = [
        list(keys),
        [moment.isoformat() for moment in rows["timestamp"]],
        *(
            [None if number is pd.NA else str(number) for number in rows[name].tolist()]
            for name in VALUES
        ),
    ]
    return pd.DataFrame(
        {
            "source": texts_of(
                [file.name_in_quarantine for file in files], rows["file"]
            ).to_numpy(),
            "line": rows["line"].to_numpy(),
            "trading_day": rows["trading_day"].to_numpy(),
            "instrument_key": keys.to_numpy(),
            "rule": rule,
            "column": column,
            "value": None if value is None else value.to_numpy(),
            "reason": reason,
            "record": records(names, texts),
        }
    )
