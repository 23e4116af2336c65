"""How far back each series of each instrument goes, over all files.

Belongs here: ``raw.coverage``, and instruments that only candles name. Does not belong here: rows of a day
(``resolving.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.market.instruments import isin_of, parse_instrument_key
from setbull_pipelines.market.session_frames import minutes_in_session
from setbull_pipelines.sources.frames import texts_of
from setbull_pipelines.sources.landed_files import LandedFile
from setbull_pipelines.sources.moments import DAILY, MINUTES
from setbull_pipelines.sources.resolving import gather, session_shapes_of
from setbull_pipelines.sources.universe import AUCTION_SHAPE, Universe
from setbull_pipelines.tables import COVERAGE, INSTRUMENTS
from setbull_pipelines.tables.columns import EXCHANGE
from setbull_pipelines.tables.columns import MINUTES as MINUTES_SERIES

CANDLES_SOURCE = "candles"
"""Source of an instrument that no instrument file names."""
_SERIES = {MINUTES: MINUTES_SERIES, DAILY: EXCHANGE}


def coverage_of(files: Sequence[LandedFile], universe: Universe) -> pd.DataFrame:
    """First and last day and number of distinct accepted bars per instrument and series."""
    parts = []
    for kind, series in _SERIES.items():
        of_kind = [file for file in files if file.landing.kind == kind]
        pairs, number_of = _pairs(of_kind, universe)
        if not _are_distinct(pairs):
            if kind == DAILY:
                pairs = pairs.drop_duplicates(["trading_day", "instrument"])
            else:
                pairs = _counted_once(pairs, of_kind, universe, number_of)
        grouped = pairs.groupby("instrument").agg(
            first_trading_day=("trading_day", "min"),
            last_trading_day=("trading_day", "max"),
            rows=("rows", "sum"),
        )
        keys = texts_of(list(number_of), grouped.index.to_series())
        grouped.insert(0, "instrument_key", keys)
        parts.append(grouped.reset_index(drop=True).assign(series=series))
    return COVERAGE.conform(pd.concat(parts, ignore_index=True))


def instruments_of_candles(files: Sequence[LandedFile], coverage: pd.DataFrame) -> pd.DataFrame:
    last_symbols: dict[str, tuple[str, str]] = {}
    for file in files:
        for key, (moment, symbol) in file.landing.manifest["last_symbols"].items():
            last_symbols[key] = max((moment, symbol), last_symbols.get(key, ("", "")))
    keys = sorted(set(coverage["instrument_key"]))
    frame = pd.DataFrame(
        {
            "instrument_key": keys,
            "symbol": [
                last_symbols[key][1]
                if key in last_symbols
                else parse_instrument_key(key).identifier
                for key in keys
            ],
            "name": None,
            "isin": [isin_of(key) for key in keys],
            "exchange_token": None,
            "tick_size": np.nan,
            "lot_size": pd.NA,
            "series": None,
            "source": CANDLES_SOURCE,
        }
    )
    return INSTRUMENTS.conform(frame)


def _pairs(files: Sequence[LandedFile], universe: Universe) -> tuple[pd.DataFrame, dict[str, int]]:
    """``rows`` per file, ``trading_day`` and known ``instrument``, which is a number; and the number of each key."""
    number_of: dict[str, int] = {}
    parts: dict[str, list[np.ndarray]] = {"trading_day": [], "instrument": [], "rows": []}
    for file in files:
        pairs = file.landing.coverage()
        if not len(pairs):
            continue
        landed = pairs["instrument_key"].combine_chunks()
        codes = landed.indices.to_numpy()
        keys = universe.keys_of(file, landed.dictionary.to_pylist())
        days = pairs["trading_day"].to_numpy().astype("datetime64[us]")
        rows = pairs["rows"].to_numpy() - _rows_in_auction(pairs, days, codes, keys, universe)
        kept = universe.knows(keys)[codes] & (rows > 0)
        instruments = _numbers(keys, number_of)[codes]
        for name, values in (("trading_day", days), ("instrument", instruments), ("rows", rows)):
            parts[name].append(values[kept])
    empty = {"trading_day": "datetime64[us]", "instrument": "int64", "rows": "int64"}
    frame = {name: np.concatenate([np.array([], empty[name]), *parts[name]]) for name in parts}
    return pd.DataFrame(frame), number_of


def _are_distinct(pairs: pd.DataFrame) -> bool:
    """Whether days and instruments rise from row to row, as those of files that share nothing mostly do."""
    days, instruments = pairs["trading_day"].to_numpy(), pairs["instrument"].to_numpy()
    is_same_day = days[1:] == days[:-1]
    rises = (days[1:] > days[:-1]) | (is_same_day & (instruments[1:] > instruments[:-1]))
    return bool(rises.all())


def _counted_once(
    pairs: pd.DataFrame,
    files: Sequence[LandedFile],
    universe: Universe,
    number_of: dict[str, int],
) -> pd.DataFrame:
    """``pairs`` of minutes in which bars that two files have in common count once."""
    shared = pairs.duplicated(["trading_day", "instrument"], keep=False)
    if not shared.any():
        return pairs
    # Only the bars themselves tell how many of them two files have in common.
    days = list(pairs.loc[shared, "trading_day"].dt.date.unique())
    rows, keys_of_rows = gather(files, universe, days)
    distinct = rows.drop_duplicates(["instrument", "timestamp"])
    shapes = session_shapes_of(distinct, keys_of_rows, universe, days)
    distinct = distinct[minutes_in_session(distinct["timestamp"], shapes=shapes)]
    counted = distinct.groupby(["trading_day", "instrument"]).size().rename("rows").reset_index()
    counted = counted[universe.knows(keys_of_rows)[counted["instrument"]]]
    counted["instrument"] = _numbers(keys_of_rows, number_of)[counted["instrument"]]
    return pd.concat([pairs[~pairs["trading_day"].isin(counted["trading_day"])], counted])


def _numbers(keys: Sequence[str], number_of: dict[str, int]) -> np.ndarray:
    """The number of each key; one that has none gets the next."""
    return np.array([number_of.setdefault(key, len(number_of)) for key in keys], "int64")


def _rows_in_auction(
    pairs: pyarrow.Table,
    days: np.ndarray,
    codes: np.ndarray,
    keys: Sequence[str],
    universe: Universe,
) -> np.ndarray:
    """The rows of each pair that start after the continuous trading of their stock."""
    late = pairs["rows_in_closing_auction"].to_numpy()
    outside = np.zeros_like(late)
    for day in np.unique(days[late > 0]):
        shorter = universe.session_shapes(keys, pd.Timestamp(day)) == AUCTION_SHAPE
        of_day = (days == day) & shorter[codes]
        outside[of_day] = late[of_day]
    return outside
