"""Candle files: which rows of a file are candles, and for every other row the one reason why not.

Belongs here: the order of what is done with a file's columns. Does not belong here: reading bytes (``reading.py``),
what columns mean (``layouts/``), how moments, numbers and instruments are written (``moments.py``,
``number_columns.py``, ``instrument_columns.py``), the rules for rows (``candle_rules.py``) and for whole files
(``conventions.py``), rules that need several files (``resolving.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.market import session_frames
from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources import conventions
from setbull_pipelines.sources.candle_rules import (
    PRICE_COLUMNS,
    judge_instruments,
    judge_moments,
    judge_numbers,
    judge_prices_and_interest,
    judge_series,
    judge_shape,
)
from setbull_pipelines.sources.conventions import Bars
from setbull_pipelines.sources.frames import order_of
from setbull_pipelines.sources.instrument_columns import Instruments, read_instruments
from setbull_pipelines.sources.moment_texts import UNREADABLE
from setbull_pipelines.sources.moments import (
    DAILY,
    MICROSECONDS_PER_DAY,
    MICROSECONDS_PER_MINUTE,
    MINUTES,
    MINUTES_OF_INDIA,
    Moments,
    read_moments,
    settled,
)
from setbull_pipelines.sources.number_columns import Numbers, encoded, read_numbers
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, texts
from setbull_pipelines.sources.verdicts import Verdicts, rejected_rows
from setbull_pipelines.tables import CANDLES_1MIN
from setbull_pipelines.tables.contract import INDIA

REQUIRED_COLUMNS = ("timestamp", *PRICE_COLUMNS, "volume")
KNOWN_COLUMNS = ("instrument_key", "symbol", *REQUIRED_COLUMNS, "open_interest")
_NAMELESS = re.compile(r"^(?:\(\d+\))?$")
_FEWEST_ROWS = 5
SAME_PRICE = 1e-9
"""Prices that differ by less, of themselves, are one: what dividing by a split factor leaves of equal ones."""

LANDED_SCHEMA = pyarrow.schema(
    [
        field
        for field in CANDLES_1MIN.without_provenance.arrow_schema
        if field.name != "session_shape"
    ]
    + [pyarrow.field("line", pyarrow.int64(), nullable=False)]
)
"""Accepted rows of one file: ``candles_1min`` without what a file does not know, plus the line."""


@dataclass(frozen=True)
class CheckedCandles:
    """The rows of one file, judged.

    ``accepted`` has :data:`LANDED_SCHEMA` and is sorted by trading_day, instrument_key, timestamp, line;
    ``rejected`` has ``verdicts.REJECTED_COLUMNS``. With ``keyed_by_symbol`` the keys are ``NSE_EQ|SYMBOL`` for
    want of better; ``last_symbols`` holds the last moment and symbol of each key in a file that has both.
    ``provisional`` is that of the rows read; ``notes`` say what the file was taken for.
    """

    kind: str
    accepted: pyarrow.Table
    rejected: pd.DataFrame
    received: int
    keyed_by_symbol: bool
    last_symbols: dict[str, tuple[str, str]]
    ignored_columns: list[str]
    provisional: Mapping[str, Sequence[str]]
    notes: tuple[str, ...] = ()


def has_prices(names: list[str]) -> bool:
    """Whether a file with these columns means to be a candle file."""
    return bool(set(PRICE_COLUMNS) & set(names))


def check_candles(rows: RawRows, reading: InputSettings | None = None) -> CheckedCandles:
    """Judge every row; raises :class:`UnreadableFile` when the file as a whole is not candles."""
    reading = reading or InputSettings()
    _require_columns(rows)
    keyed_by_symbol = "instrument_key" not in rows.names
    instruments = read_instruments(rows.columns, keyed_by_symbol, reading)
    rows = _with_volume(rows, instruments)
    moments, kind = settled(read_moments(rows.columns["timestamp"], reading), instruments, reading)
    columns = {
        name: rows.columns[name]
        for name in (*PRICE_COLUMNS, "volume", "open_interest")
        if name in rows.names
    }
    numbers, written = read_numbers(columns, reading)
    conventions.refuse_second_header(columns, numbers, rows.lines)
    numbers, without_volume, untraded = _without_volume_of_indices(numbers, instruments)
    untraded += _never_traded(numbers["volume"], instruments)
    numbers, equal = _equal_prices(numbers)
    conventions.refuse_several_instruments(
        moments,
        instruments,
        [numbers[name] for name in (*PRICE_COLUMNS, "volume")],
        rows.lines,
    )
    if kind == DAILY:
        conventions.refuse_longer_than_a_day(moments, instruments)
    else:
        conventions.refuse_other_clock(moments, rows.columns["timestamp"], rows.lines)
        conventions.refuse_finer(moments, instruments, rows.columns["timestamp"], rows.lines)

    verdicts = Verdicts(len(rows.lines))
    judge_moments(verdicts, moments, kind)
    if rows.with_series:
        judge_series(verdicts, rows, reading)
    judge_instruments(verdicts, instruments)
    judge_prices_and_interest(verdicts, numbers)
    if kind == MINUTES:
        numbers = _by_convention(verdicts, rows.lines, moments, instruments, numbers, reading)
    judge_numbers(verdicts, numbers, ["volume"])
    judge_shape(verdicts, numbers)

    accepted = _accepted(
        rows.lines, verdicts.accepted, moments, instruments, numbers, without_volume
    )
    last_symbols = (
        {}
        if keyed_by_symbol or "symbol" not in rows.names
        else _last_symbols(rows.columns["symbol"], verdicts.accepted, moments, instruments)
    )
    known = instruments.notes_of({*compute.unique(accepted["instrument_key"]).to_pylist()})
    return CheckedCandles(
        kind=kind,
        accepted=accepted,
        rejected=rejected_rows(rows, verdicts, moments, instruments),
        received=rows.received,
        keyed_by_symbol=keyed_by_symbol,
        last_symbols=last_symbols,
        # With a series the layout is the exchange's own: its further columns are no surprise.
        ignored_columns=([] if rows.with_series else _ignored(rows.names)),
        provisional=rows.provisional,
        notes=(
            *(*rows.notes, *moments.notes, *written, *known, *untraded, *equal),
            *_repeated(accepted),
        ),
    )


def _ignored(names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in KNOWN_COLUMNS]
    return list(dict.fromkeys(_NAMELESS.sub("(without a name)", name.strip()) for name in unknown))


def _repeated(accepted: pyarrow.Table) -> list[str]:
    """In words, how many rows are of a bar that the file has already, and where it says something else of it."""
    keys = accepted["instrument_key"].combine_chunks().indices.to_numpy()
    moments = accepted["timestamp"].combine_chunks().cast(pyarrow.int64()).to_numpy()
    again = np.flatnonzero((keys[1:] == keys[:-1]) & (moments[1:] == moments[:-1]))
    if not len(again):
        return []
    differs = np.zeros(len(again), bool)
    for name in (*PRICE_COLUMNS, "volume", "open_interest"):
        before, after = (accepted[name].take(pyarrow.array(again + step)) for step in (0, 1))
        is_other = compute.fill_null(compute.not_equal(before, after), False)
        is_other = compute.or_(is_other, compute.xor(before.is_null(), after.is_null()))
        differs |= is_other.to_numpy()
    told = f"{len(again):,} rows repeat a bar"
    if differs.any():
        lines = accepted["line"].to_numpy()
        first = again[differs.argmax()]
        told += (
            f", {int(differs.sum()):,} with other values: the last line counts, such as line {lines[first + 1]} over "
            f"line {lines[first]}, the others go to quarantine"
        )
    return [told]


def _never_traded(volume: Numbers, instruments: Instruments) -> list[str]:
    """In words, which shares have no other volume than 0: prices without trades are those of something else."""
    is_zero = volume.held_values == 0
    if not is_zero.any():
        return []
    of_rows = is_zero if volume.codes is None else is_zero[volume.codes]
    known = instruments.codes >= 0
    rows = np.bincount(instruments.codes[known], minlength=len(instruments.keys))
    zeros = np.bincount(instruments.codes[known & of_rows], minlength=len(instruments.keys))
    found = np.flatnonzero((rows >= _FEWEST_ROWS) & (zeros == rows) & ~instruments.is_index)
    if not len(found):
        return []
    return [
        f"volume 0 in all {rows[found].sum():,} rows of {len(found):,} shares, such as {instruments.keys[found[0]]}: "
        "taken as it is"
    ]


def _require_columns(rows: RawRows) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in rows.names and name != "volume"]
    if "instrument_key" not in rows.names and "symbol" not in rows.names:
        missing.insert(0, "instrument_key (or symbol)")
    if missing:
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names[:30])}, expected also {', '.join(missing)}; the settings say "
            'what other names mean: [input] columns = {date = "timestamp"} (or --columns date=timestamp)',
            "missing column",
            value=", ".join(rows.names[:30]),
        )
    for name in KNOWN_COLUMNS:
        if name in rows.names and pyarrow.types.is_nested(rows.columns[name].type):
            raise UnreadableFile(
                f"found the column {name} of type {rows.columns[name].type}, expected plain values"
            )


def _with_volume(rows: RawRows, instruments: Instruments) -> RawRows:
    """The rows with a column of volume, which only those of indices may lack."""
    if "volume" in rows.names:
        return rows
    if not len(instruments.keys) or not instruments.is_index.all():
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names[:30])}, expected also volume; the settings say what other names "
            'mean: [input] columns = {qty = "volume"} (or --columns qty=volume)',
            "missing column",
            value=", ".join(rows.names[:30]),
        )
    nothing = pyarrow.nulls(len(rows.lines), pyarrow.string())
    table = rows.columns.append_column("volume", pyarrow.chunked_array([nothing]))
    return replace(rows, columns=table)


def _without_volume_of_indices(
    numbers: dict[str, Numbers], instruments: Instruments
) -> tuple[dict[str, Numbers], np.ndarray, list[str]]:
    """Which rows have no known volume, and the numbers with 0 for it: nobody trades an index.

    What is empty is not known, and 0 neither where the file has nothing else for the index.
    """
    of_index = instruments.of_rows(instruments.is_index, False)
    if not of_index.any():
        return numbers, of_index, []
    volume = numbers["volume"]
    has_volumes = np.zeros(len(instruments.keys), bool)
    has_volumes[instruments.codes[of_index & (volume.values > 0)]] = True
    is_zero = (volume.values == 0) & ~instruments.of_rows(has_volumes, False)
    unknown = of_index & (volume.missing | is_zero)
    values = np.where(unknown, 0.0, volume.values)
    changed = Numbers(values, volume.missing & ~unknown, volume.not_a_number)
    told = f"{int(unknown.sum()):,} bars of indices without volume: they count, volume and VWAP are not known"
    return numbers | {"volume": changed}, unknown, [told] if unknown.any() else []


def _equal_prices(numbers: dict[str, Numbers]) -> tuple[dict[str, Numbers], list[str]]:
    """Highs and lows that the other prices pass by no more than rounding become these prices; how many, in words."""
    opened, high, low, close = (numbers[name].values for name in PRICE_COLUMNS)
    upper, lower = np.fmax(opened, close), np.fmin(opened, close)
    if not ((high < upper) | (low > lower)).any():
        return numbers, []
    with np.errstate(invalid="ignore"):
        too_low = (high < upper) & (high >= upper - SAME_PRICE * np.abs(upper))
        too_high = (low > lower) & (low <= lower + SAME_PRICE * np.abs(lower))
    rows = int((too_low | too_high).sum())
    if not rows:
        return numbers, []
    changed = numbers | {
        "high": numbers["high"].with_values(np.where(too_low, upper, high)),
        "low": numbers["low"].with_values(np.where(too_high, lower, low)),
    }
    return changed, [f"{rows:,} rows with a high or low that equals open or close within 1e-9"]


def _by_convention(
    verdicts: Verdicts,
    lines: np.ndarray,
    moments: Moments,
    instruments: Instruments,
    numbers: dict[str, Numbers],
    reading: InputSettings,
) -> dict[str, Numbers]:
    """Refuse what would be wrong in silence; volumes of bars where the settings say that they are running totals."""
    good = verdicts.accepted
    wall_clock = moments.wall_clock[moments.codes]
    volume = numbers["volume"]
    bars = Bars.of(instruments.codes, wall_clock, good)
    coarse = conventions.coarse_instruments(bars)
    conventions.refuse_coarse(bars, coarse)
    conventions.refuse_few_coarse(bars)
    if coarse:
        lengths = np.array([coarse.get(number, 0) for number in range(len(instruments.keys))])
        verdicts.reject(
            instruments.of_rows(lengths > 0, False),
            "longer than a minute",
            "timestamp",
            "bars of one minute, as of other instruments in this file; those of this one are further apart",
        )
    if not reading.label:
        after = moments.spread(moments.placement == session_frames.POST_CLOSE, False)
        conventions.refuse_end_labels(bars, after, wall_clock, lines)
    if reading.volume == "cumulative":
        # Before the open, too, something was traded that is in the total.
        known = ~moments.spread(moments.status == UNREADABLE, True) & (instruments.codes >= 0)
        every = Bars.of(instruments.codes, wall_clock, known & ~np.isnan(volume.values))
        values = conventions.of_bars(every, volume.values)
        return numbers | {"volume": volume.with_values(values)}
    if not reading.volume and len(bars.places):
        conventions.refuse_cumulative(bars, volume, lines)
    return numbers


def _accepted(
    lines: np.ndarray,
    accepted: np.ndarray,
    moments: Moments,
    instruments: Instruments,
    numbers: dict[str, Numbers],
    without_volume: np.ndarray,
) -> pyarrow.Table:
    # Only keys with rows: what takes keys apart never meets one that is none.
    codes = instruments.codes[accepted]
    used = np.flatnonzero(np.bincount(codes, minlength=len(instruments.keys)))
    categories, rank = np.unique(instruments.keys[used].astype(str), return_inverse=True)
    rank_of = np.zeros(len(instruments.keys), "int32")
    rank_of[used] = rank
    keys = rank_of[codes]
    wall_clock = moments.wall_clock[moments.codes[accepted]]
    days = (wall_clock // MICROSECONDS_PER_DAY).astype("int32")
    # Stable, so rows of one bar stay in the order of their lines.
    order = order_of(days, keys, wall_clock)
    keys, days, wall_clock = keys[order], days[order], wall_clock[order]
    rows = np.flatnonzero(accepted)[order]
    # Of a large file each array goes when it was used, or it would be held twice.
    del codes, order
    volume, interest = numbers.pop("volume"), numbers.pop("open_interest", None)
    wall_clock -= MINUTES_OF_INDIA * MICROSECONDS_PER_MINUTE
    in_utc = pyarrow.array(wall_clock.view("datetime64[us]"), pyarrow.timestamp("us", tz="UTC"))
    columns = {
        "instrument_key": pyarrow.DictionaryArray.from_arrays(
            pyarrow.array(keys), pyarrow.array(categories.tolist(), pyarrow.string())
        ),
        "timestamp": in_utc.cast(pyarrow.timestamp("us", tz=INDIA)),
        "trading_day": pyarrow.array(days).cast(pyarrow.date32()),
        **{name: pyarrow.array(numbers.pop(name).values_at(rows)) for name in PRICE_COLUMNS},
        "volume": pyarrow.array(volume.values_at(rows).astype("int64"), mask=without_volume[rows]),
        "open_interest": (
            pyarrow.nulls(len(rows), pyarrow.int64())
            if interest is None
            else pyarrow.array(
                np.nan_to_num(interest.values_at(rows)).astype("int64"), mask=interest.missing[rows]
            )
        ),
        "line": pyarrow.array(lines[rows]),
    }
    return pyarrow.table(columns, schema=LANDED_SCHEMA)


def _last_symbols(
    column: pyarrow.ChunkedArray,
    accepted: np.ndarray,
    moments: Moments,
    instruments: Instruments,
) -> dict[str, tuple[str, str]]:
    coded = encoded(column)
    codes = compute.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(accepted & (codes >= 0))
    found = pd.DataFrame(
        {
            "key": instruments.codes[rows],
            "symbol": codes[rows],
            "moment": moments.wall_clock[moments.codes[rows]],
        }
    )
    last = found.sort_values("moment", kind="stable").drop_duplicates("key", keep="last")
    symbols = texts(pyarrow.chunked_array([coded.dictionary]))
    return {
        instruments.keys[row.key]: (
            str(np.datetime64(row.moment, "us")),
            (symbols[row.symbol] or "").strip(),
        )
        for row in last.itertuples()
    }
