"""Which instruments there are: all instrument files as one, symbols, and who has derivatives when.

Belongs here: what several files about instruments say together. Does not belong here: reading one
(``universe_files.py``, ``derivative_files.py``, ``corporate_files.py``), candles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from setbull_pipelines.market.instruments import parse_instrument_key
from setbull_pipelines.market.session_table import (
    CLOSING_AUCTION,
    FULL,
    SESSION_SHAPES,
    SHAPE_NOT_KNOWN,
)
from setbull_pipelines.sources import decided_actions
from setbull_pipelines.sources.corporate_files import told_twice
from setbull_pipelines.sources.frames import concatenate, in_contract
from setbull_pipelines.sources.instrument_columns import EQUITY_SEGMENT
from setbull_pipelines.sources.landed_files import LandedFile
from setbull_pipelines.sources.landing import DERIVATIVES_KIND, INSTRUMENTS_KIND
from setbull_pipelines.sources.raw_rows import records
from setbull_pipelines.tables import (
    CORPORATE_ACTIONS,
    DERIVATIVE_UNDERLYINGS,
    INSTRUMENTS,
    QUARANTINE,
    Table,
)

AUCTION_SHAPE = SESSION_SHAPES.index(CLOSING_AUCTION)


@dataclass(frozen=True)
class Universe:
    """The known instruments; ``keys`` is None when no file says, and then every instrument is known.

    ``underlyings`` is ``raw.derivative_underlyings``, empty when no file says who has derivatives.
    """

    keys: frozenset[str] | None
    keys_by_symbol: dict[str, str]
    underlyings: pd.DataFrame = field(default_factory=DERIVATIVE_UNDERLYINGS.empty)

    def keys_of(self, file: LandedFile, landed: Iterable[str]) -> list[str]:
        """The keys of a file's instruments, found by symbol where the file has only symbols."""
        if not file.landing.manifest["keyed_by_symbol"]:
            return list(landed)
        return [self._key_of_symbol(key) for key in landed]

    def _key_of_symbol(self, key: str) -> str:
        """The listed key of a symbol, on the exchange that it is of: prices of another are not its own."""
        listed = self.keys_by_symbol.get(parse_instrument_key(key).identifier, key)
        return listed if listed.partition("_")[0] == key.partition("_")[0] else key

    def knows(self, keys: Sequence[str]) -> np.ndarray:
        """Whether each key is an instrument of the universe."""
        return np.array([self.keys is None or key in self.keys for key in keys], bool)

    def session_shapes(self, keys: Sequence[str], day: pd.Timestamp) -> np.ndarray:
        """The session shape of each instrument on a day with a closing auction, as its position in SESSION_SHAPES."""
        stocks = np.array([key.startswith(f"{EQUITY_SEGMENT}|") for key in keys], bool)
        shapes = np.full(len(keys), SESSION_SHAPES.index(FULL))
        if self.underlyings.empty:
            shapes[stocks] = SESSION_SHAPES.index(SHAPE_NOT_KNOWN)
            return shapes
        begun = self.underlyings["first_day"] <= day
        last = self.underlyings["last_day"]
        on_day = set(self.underlyings.loc[begun & (last.isna() | (last >= day)), "instrument_key"])
        shapes[[key in on_day for key in keys]] = AUCTION_SHAPE
        return shapes


def universe_of(landed: Sequence[LandedFile]) -> tuple[Universe, pd.DataFrame | None]:
    """All instrument files as one: the last file counts, facts it does not state come from earlier ones."""
    files = [file for file in landed if file.landing.kind == INSTRUMENTS_KIND]
    if not files:
        return _with_underlyings(Universe(None, {}), landed), None
    rows = pd.concat(
        [file.landing.instruments().assign(source=file.source) for file in files],
        ignore_index=True,
    )
    merged = rows.groupby("instrument_key", sort=True).last().reset_index()
    keys_by_symbol: dict[str, str] = {}
    for file in files:
        keys_by_symbol.update(file.landing.manifest["keys_by_symbol"])
    universe = Universe(frozenset(merged["instrument_key"]), keys_by_symbol)
    return _with_underlyings(universe, landed), INSTRUMENTS.conform(merged)


def _with_underlyings(universe: Universe, landed: Sequence[LandedFile]) -> Universe:
    """The universe with all lists of stocks with derivatives as one: the last file counts."""
    frames = [
        file.landing.derivatives().assign(
            instrument_key=lambda rows, file=file: universe.keys_of(file, rows["instrument_key"]),
            source=file.source,
        )
        for file in landed
        if file.landing.kind == DERIVATIVES_KIND
    ]
    rows = concatenate(DERIVATIVE_UNDERLYINGS, frames)
    rows = rows.drop_duplicates(["instrument_key", "first_day"], keep="last")
    return replace(universe, underlyings=DERIVATIVE_UNDERLYINGS.conform(rows))


def facts_of(
    table: Table, kind: str, landed: Sequence[LandedFile], universe: Universe
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table of facts from all files of its kind, and the quarantine rows of those that another superseded.

    Of rows with one key the last by file and line counts; earlier ones that say the same are ignored.
    """
    parts = [table.empty().assign(line=pd.Series(dtype="int64"))]
    # What a person decided counts, whatever other files say.
    for file in sorted(landed, key=lambda file: file.source == decided_actions.SOURCE):
        if file.landing.kind == kind:
            rows = file.landing.facts().assign(source=file.source)
            keys = universe.keys_of(file, rows["instrument_key"])
            parts.append(rows.assign(instrument_key=pd.Series(keys, dtype="str")))
    rows = pd.concat(parts, ignore_index=True)
    key, facts = list(table.key), [name for name in table.column_names if name != "source"]
    quarantined = []
    if table is CORPORATE_ACTIONS:
        again = told_twice(rows)
        quarantined = [
            _told_otherwise(row, facts) for row in again[~again["is_equal"]].to_dict("records")
        ]
        rows = rows.drop(index=again.index)
    superseded, ignored = rows.duplicated(key, keep="last"), rows.duplicated(facts, keep="last")
    last = rows.loc[~superseded, [*key, "line", "source"]]
    contradicted = rows[superseded & ~ignored].merge(last, on=key, suffixes=("", "_of_last"))
    for row in contradicted.to_dict("records"):
        values = [[str(row[name])] for name in facts]
        quarantined.append(
            {
                "source": row["source"],
                "line": row["line"],
                "instrument_key": row["instrument_key"],
                "rule": "superseded",
                "reason": f"Found other values for the same {', '.join(key)} in line {row['line_of_last']} of "
                f"{row['source_of_last']}, expected one; the last by file and line counts.",
                "record": records(facts, values)[0],
            }
        )
    found = pd.DataFrame(quarantined, columns=QUARANTINE.column_names)
    return (
        table.conform(rows[~superseded].drop(columns="line")),
        # A row can state two actions; it was received once.
        in_contract(QUARANTINE, found.drop_duplicates(["source", "line"], ignore_index=True)),
    )


def _told_otherwise(row: dict[str, Any], facts: Sequence[str]) -> dict[str, Any]:
    """The quarantine row of a "split or bonus" whose splits and bonuses another row states otherwise."""
    return {
        "source": row["source"],
        "line": row["line"],
        "instrument_key": row["instrument_key"],
        "rule": "superseded",
        "reason": f"Found {row['ratio']:g} new shares per old share, expected {row['ratio_stated']:g} by the rows that "
        "tell splits and bonuses apart, which count.",
        "record": records(facts, [[str(row[name])] for name in facts])[0],
    }
