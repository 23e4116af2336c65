"""Candle files: which rows of a file are candles, and for every other row the one reason why not.

Belongs here: the rules that a single row must satisfy, on whole columns. Does not belong here: reading bytes
(``raw_rows.py``), rules that need several rows or files, such as duplicates (``intake.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.market import session_frames
from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.market.instruments import (
    InvalidInstrumentKey,
    instrument_key,
    parse_instrument_key,
)
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, records, texts
from setbull_pipelines.tables import CANDLES_1MIN, QUARANTINE
from setbull_pipelines.tables.contract import INDIA

MINUTES, DAILY = "minutes", "daily"
PRICE_COLUMNS = ("open", "high", "low", "close")
REQUIRED_COLUMNS = ("timestamp", *PRICE_COLUMNS, "volume")
KNOWN_COLUMNS = ("instrument_key", "symbol", *REQUIRED_COLUMNS, "open_interest")
EQUITY_SEGMENT = "NSE_EQ"
WRITE_TIMESTAMPS_LIKE = "2025-06-09T09:15:00+05:30"

LANDED_SCHEMA = pyarrow.schema(
    [
        field
        for field in CANDLES_1MIN.without_provenance.arrow_schema
        if field.name != "session_shape"
    ]
    + [pyarrow.field("line", pyarrow.int64(), nullable=False)]
)
"""Accepted rows of one file: ``candles_1min`` without what a file does not know, plus the line."""
REJECTED_COLUMNS = [name for name in QUARANTINE.column_names if name != "source"]

_LARGEST_EXACT_INTEGER = 2**53
_MICROSECONDS_PER_MINUTE = 60_000_000
_MICROSECONDS_PER_DAY = 24 * 60 * _MICROSECONDS_PER_MINUTE
_PLACEMENTS_WITHOUT_TRADING_DAY = (
    session_frames.NO_TIMESTAMP,
    session_frames.CLOSED_DAY,
    session_frames.OUTSIDE_COVERAGE,
)
_FEWEST_MOMENTS_THAT_SHOW_A_GRID = 10

_DATE = r"^\d{4}-\d{2}-\d{2}$"
_NAIVE = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?$"
_AWARE = _NAIVE[:-1] + r"(?:Z|[+-]\d{2}:?\d{2})$"
_NUMBER = r"(?i)^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)$"


@dataclass(frozen=True)
class CheckedCandles:
    """The rows of one file, judged.

    ``accepted`` has :data:`LANDED_SCHEMA` and is sorted by trading_day, instrument_key, timestamp, line;
    ``rejected`` has :data:`REJECTED_COLUMNS`. With ``keyed_by_symbol`` the keys are ``NSE_EQ|SYMBOL`` for
    want of better; ``last_symbols`` holds the last moment and symbol of each key in a file that has both.
    ``provisional`` is that of the rows read.
    """

    kind: str
    accepted: pyarrow.Table
    rejected: pd.DataFrame
    received: int
    keyed_by_symbol: bool
    last_symbols: dict[str, tuple[str, str]]
    ignored_columns: list[str]
    provisional: Mapping[str, Sequence[str]]


def has_prices(names: list[str]) -> bool:
    """Whether a file with these columns means to be a candle file."""
    return bool(set(PRICE_COLUMNS) & set(names))


def check_candles(rows: RawRows, series: str | None = None) -> CheckedCandles:
    """Judge every row; raises :class:`UnreadableFile` when the file as a whole is not candles.

    With ``series``, rows whose column ``series`` says another one are rejected.
    """
    _require_columns(rows)
    keyed_by_symbol = "instrument_key" not in rows.names
    moments = _read_moments(rows.columns["timestamp"])
    instruments = _read_instruments(rows.columns, keyed_by_symbol)
    kind = _kind_of(moments)
    numbers = {
        name: _read_numbers(name, rows.columns[name])
        for name in (*PRICE_COLUMNS, "volume", "open_interest")
        if name in rows.names
    }

    verdicts = _Verdicts(len(rows.lines))
    _judge_moments(verdicts, moments, kind)
    if series is not None:
        found = np.array(texts(rows.columns["series"]), object)
        expected = f"{series}, the only exchange series that candles are made of"
        verdicts.reject(found != series, "other series", "series", expected)
    _judge_instruments(verdicts, instruments)
    _judge_numbers(verdicts, numbers)

    accepted = _accepted(rows.lines, verdicts.accepted, moments, instruments, numbers)
    last_symbols = (
        {}
        if keyed_by_symbol or "symbol" not in rows.names
        else _last_symbols(rows.columns["symbol"], verdicts.accepted, moments, instruments)
    )
    return CheckedCandles(
        kind=kind,
        accepted=accepted,
        rejected=_rejected(rows, verdicts, moments, instruments),
        received=rows.received,
        keyed_by_symbol=keyed_by_symbol,
        last_symbols=last_symbols,
        # With a series the layout is the exchange's own: its further columns are no surprise.
        ignored_columns=(
            [] if series else [name for name in rows.names if name not in KNOWN_COLUMNS]
        ),
        provisional=rows.provisional,
    )


def _require_columns(rows: RawRows) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in rows.names]
    if "instrument_key" not in rows.names and "symbol" not in rows.names:
        missing.insert(0, "instrument_key (or symbol)")
    if missing:
        raise UnreadableFile(
            f"found the columns {', '.join(rows.names)}, expected also {', '.join(missing)}"
        )
    for name in KNOWN_COLUMNS:
        if name in rows.names and pyarrow.types.is_nested(rows.columns[name].type):
            raise UnreadableFile(
                f"found the column {name} of type {rows.columns[name].type}, expected plain values"
            )


class _Verdicts:
    """The first broken rule of every row, by number; 0 while none is broken."""

    def __init__(self, rows: int) -> None:
        self._ground_of_row = np.zeros(rows, np.int16)
        self._grounds: list[_Ground] = []

    def reject(
        self, where: np.ndarray, rule: str, column: str, expected: str | Callable[[date], str]
    ) -> None:
        """Reject the rows ``where`` is true, unless an earlier rule already did."""
        self._grounds.append(_Ground(rule, column, expected))
        self._ground_of_row[where & (self._ground_of_row == 0)] = len(self._grounds)

    @property
    def accepted(self) -> np.ndarray:
        return self._ground_of_row == 0

    def ground(self, row: int) -> _Ground:
        return self._grounds[self._ground_of_row[row] - 1]


class _Ground(NamedTuple):
    rule: str
    column: str
    expected: str | Callable[[date], str]


class _Moments(NamedTuple):
    """Timestamps as distinct values and the code of each row; ``-1`` is no value.

    ``wall_clock`` are microseconds on the clock of Asia/Kolkata, meaningless where ``status`` is not READ.
    """

    codes: np.ndarray
    status: np.ndarray
    wall_clock: np.ndarray
    placement: np.ndarray

    def spread(self, of_distinct: np.ndarray, missing: Any) -> np.ndarray:
        """A value per row from a value per distinct timestamp."""
        return np.append(of_distinct, [missing])[self.codes]


_READ, _NAIVE_STATUS, _UNREADABLE = "read", "naive", "unreadable"


def _read_moments(column: pyarrow.ChunkedArray) -> _Moments:
    encoded = compute.dictionary_encode(_decoded(column)).combine_chunks()
    codes = compute.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    distinct = encoded.dictionary
    kind = distinct.type
    if pyarrow.types.is_timestamp(kind) and kind.tz is not None:
        local = compute.local_timestamp(
            compute.cast(distinct, pyarrow.timestamp("us", tz=INDIA), safe=False)
        )
        wall_clock = local.to_numpy(zero_copy_only=False)
        status = np.full(len(distinct), _READ, object)
    elif pyarrow.types.is_date(kind):
        wall_clock = compute.cast(distinct, pyarrow.timestamp("us")).to_numpy(zero_copy_only=False)
        status = np.full(len(distinct), _READ, object)
    elif pyarrow.types.is_timestamp(kind):
        wall_clock = compute.cast(distinct, pyarrow.timestamp("us"), safe=False).to_numpy(
            zero_copy_only=False
        )
        status = np.full(len(distinct), _NAIVE_STATUS, object)
    else:
        found = pyarrow.chunked_array([distinct])
        status, wall_clock = _read_moment_texts(pd.Series(texts(found), dtype="str"))
    wall_clock = np.asarray(wall_clock, "datetime64[us]")
    # Clocks were changed until 1945; such hours are outside the calendar either way.
    aware = (
        pd.Series(wall_clock)
        .where(status == _READ)
        .dt.tz_localize(INDIA, nonexistent="shift_forward", ambiguous=np.zeros(len(status), bool))
    )
    placement = session_frames.session_placement(aware).astype(object).to_numpy()
    return _Moments(codes, status, wall_clock.view("int64"), placement)


def _read_moment_texts(found: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    found = found.str.strip()
    aware = found.str.match(_AWARE).to_numpy(bool)
    local = found.str.match(f"{_NAIVE}|{_DATE}").to_numpy(bool)
    naive = found.str.match(_NAIVE).to_numpy(bool)
    moments = pd.Series(pd.NaT, index=found.index, dtype="datetime64[us]")
    moments[aware] = (
        pd.to_datetime(found[aware], format="ISO8601", utc=True, errors="coerce")
        .dt.tz_convert(INDIA)
        .dt.tz_localize(None)
        .dt.as_unit("us")
    )
    moments[local] = pd.to_datetime(found[local], format="ISO8601", errors="coerce").dt.as_unit(
        "us"
    )
    status = np.where(moments.isna(), _UNREADABLE, np.where(naive, _NAIVE_STATUS, _READ))
    return status, moments.to_numpy()


class _Instruments(NamedTuple):
    """Keys as distinct texts and the code of each row; ``-1`` is no value."""

    column: str
    codes: np.ndarray
    keys: np.ndarray
    valid: np.ndarray


def _read_instruments(columns: pyarrow.Table, keyed_by_symbol: bool) -> _Instruments:
    column = "symbol" if keyed_by_symbol else "instrument_key"
    encoded = compute.dictionary_encode(_decoded(columns[column])).combine_chunks()
    codes = compute.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    found = [(text or "").strip() for text in texts(pyarrow.chunked_array([encoded.dictionary]))]
    keys = [f"{EQUITY_SEGMENT}|{text}" for text in found] if keyed_by_symbol else found
    return _Instruments(
        column,
        codes,
        np.array([*keys, None], object)[:-1],
        np.array([_is_key(key) for key in keys], bool),
    )


def _is_key(key: str) -> bool:
    try:
        return instrument_key(*parse_instrument_key(key)) == key
    except InvalidInstrumentKey:
        return False


class _Numbers(NamedTuple):
    """A numeric column: values (nan where there is none) and where they are missing or not numbers."""

    values: np.ndarray
    missing: np.ndarray
    not_a_number: np.ndarray


def _read_numbers(name: str, column: pyarrow.ChunkedArray) -> _Numbers:
    column = _decoded(column)
    missing = compute.is_null(column).to_numpy(zero_copy_only=False)
    if _is_text(column.type):
        trimmed = compute.utf8_trim_whitespace(column)
        try:
            read = compute.cast(trimmed, pyarrow.float64())
        except pyarrow.ArrowInvalid:
            is_number = compute.match_substring_regex(trimmed, _NUMBER)
            nothing = pyarrow.scalar(None, pyarrow.string())
            read = compute.cast(compute.if_else(is_number, trimmed, nothing), pyarrow.float64())
    elif (
        pyarrow.types.is_integer(column.type)
        or pyarrow.types.is_floating(column.type)
        or pyarrow.types.is_decimal(column.type)
    ):
        read = compute.cast(column, pyarrow.float64(), safe=False)
    elif pyarrow.types.is_null(column.type):
        read = compute.cast(column, pyarrow.float64())
    else:
        raise UnreadableFile(f"found the column {name} of type {column.type}, expected numbers")
    not_a_number = compute.is_null(read).to_numpy(zero_copy_only=False) & ~missing
    values = compute.fill_null(read, np.nan).to_numpy()
    return _Numbers(np.asarray(values, "float64"), missing, not_a_number)


def _is_text(kind: pyarrow.DataType) -> bool:
    return pyarrow.types.is_string(kind)


def _decoded(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """The column without dictionary coding, and text in the one Arrow type for text."""
    if pyarrow.types.is_dictionary(column.type):
        column = compute.cast(column, column.type.value_type)
    if pyarrow.types.is_large_string(column.type):
        column = compute.cast(column, pyarrow.string())
    return column


def _kind_of(moments: _Moments) -> str:
    """Minutes when more rows have a time of day than are at midnight; one odd row decides nothing."""
    readable = moments.status != _UNREADABLE
    time_of_day = moments.wall_clock % _MICROSECONDS_PER_DAY
    rows = moments.spread(np.where(readable, np.where(time_of_day != 0, 1, -1), 0), 0)
    if rows.sum() <= 0:
        return DAILY
    minutes = np.unique(time_of_day[readable & (time_of_day % _MICROSECONDS_PER_MINUTE == 0)])
    minutes //= _MICROSECONDS_PER_MINUTE
    spacing = int(np.gcd.reduce(np.diff(minutes))) if len(minutes) > 1 else 1
    if spacing > 1 and np.count_nonzero(readable) >= _FEWEST_MOMENTS_THAT_SHOW_A_GRID:
        raise UnreadableFile(
            f"found bars {spacing} minutes apart throughout, expected one-minute or daily candles"
        )
    return MINUTES


def _judge_moments(verdicts: _Verdicts, moments: _Moments, kind: str) -> None:
    def where(of_distinct: np.ndarray) -> np.ndarray:
        return moments.spread(of_distinct, False)

    an_example = f"a moment with its offset, such as {WRITE_TIMESTAMPS_LIKE}"
    verdicts.reject(moments.codes == -1, "missing value", "timestamp", an_example)
    verdicts.reject(
        where(moments.status == _UNREADABLE),
        "unreadable timestamp",
        "timestamp",
        f"{an_example}, or for daily bars a date such as 2025-06-09",
    )
    verdicts.reject(
        where(moments.status == _NAIVE_STATUS),
        "naive timestamp",
        "timestamp",
        f"the offset from UTC in it, such as {WRITE_TIMESTAMPS_LIKE} (timezone-aware in Parquet), "
        f"or for daily bars a plain date such as 2025-06-09",
    )
    verdicts.reject(
        where(moments.placement == session_frames.OUTSIDE_COVERAGE),
        session_frames.OUTSIDE_COVERAGE,
        "timestamp",
        f"a day from {NSE.first_day} to {NSE.last_day}, which the {NSE.name} calendar covers",
    )
    verdicts.reject(
        where(moments.placement == session_frames.CLOSED_DAY),
        session_frames.CLOSED_DAY,
        "timestamp",
        lambda day: f"a trading day, but {NSE.name} was closed on {day} ({NSE.why_closed(day)})",
    )
    if kind == DAILY:
        verdicts.reject(
            where(moments.wall_clock % _MICROSECONDS_PER_DAY != 0),
            "not at midnight",
            "timestamp",
            "midnight in Asia/Kolkata, the start of a daily bar, as in most rows of this file",
        )
        return
    verdicts.reject(
        where(moments.wall_clock % _MICROSECONDS_PER_MINUTE != 0),
        "not on a minute",
        "timestamp",
        "the start of a minute, with 0 seconds",
    )
    for outside in (
        session_frames.PRE_OPEN,
        session_frames.POST_CLOSE,
        session_frames.BETWEEN_INTERVALS,
        session_frames.HOURS_NOT_KNOWN,
    ):
        verdicts.reject(where(moments.placement == outside), outside, "timestamp", _session_hours)


def _session_hours(day: date) -> str:
    intervals = NSE.session(day).intervals
    if not intervals:
        return f"a day whose session hours are known, but those of {day} are not yet"
    hours = " and ".join(f"{part.start:%H:%M} to {part.end:%H:%M}" for part in intervals)
    expected = f"a minute inside the session of {day}, {hours} (end excluded)"
    if NSE.has_closing_auction(day):
        expected += f"; prices of the {closing_auction_hours()} are not continuous trading"
    return expected


def closing_auction_hours() -> str:
    """The closing auction and its hours, in words."""
    auction = NSE.closing_auction
    return f"closing auction from {auction.start:%H:%M} to {auction.end:%H:%M}"


def _judge_instruments(verdicts: _Verdicts, instruments: _Instruments) -> None:
    missing = instruments.codes == -1
    invalid = ~np.append(instruments.valid, [True])[instruments.codes]
    verdicts.reject(missing, "missing value", instruments.column, "the instrument of the candle")
    expected = (
        "a trading symbol"
        if instruments.column == "symbol"
        else "SEGMENT|IDENTIFIER with a known segment, such as NSE_EQ|INE002A01018"
    )
    verdicts.reject(invalid, "invalid instrument", instruments.column, expected)


def _judge_numbers(verdicts: _Verdicts, numbers: dict[str, _Numbers]) -> None:
    for name, column in numbers.items():
        values = column.values
        if name != "open_interest":
            verdicts.reject(column.missing, "missing value", name, "a number")
        verdicts.reject(column.not_a_number, "not a number", name, "a number")
        verdicts.reject(
            ~np.isfinite(values) & ~column.missing, "not finite", name, "a finite number"
        )
        if name in PRICE_COLUMNS:
            verdicts.reject(values <= 0, "not positive", name, "a price above 0")
        else:
            verdicts.reject(values < 0, f"negative {name}", name, "0 or more")
            fractional = (values != np.floor(values)) & np.isfinite(values)
            verdicts.reject(fractional, f"fractional {name}", name, "a whole number")
            verdicts.reject(
                values > _LARGEST_EXACT_INTEGER, f"impossible {name}", name, "at most 2 to the 53"
            )
    opened, high, low, close = (numbers[name].values for name in PRICE_COLUMNS)
    verdicts.reject(high < low, "high below low", "high", "a high that is at least the low")
    verdicts.reject(
        (high < opened) | (high < close),
        "high below open or close",
        "high",
        "a high that is at least open and close",
    )
    verdicts.reject(
        (low > opened) | (low > close),
        "low above open or close",
        "low",
        "a low that is at most open and close",
    )


def _accepted(
    lines: np.ndarray,
    accepted: np.ndarray,
    moments: _Moments,
    instruments: _Instruments,
    numbers: dict[str, _Numbers],
) -> pyarrow.Table:
    categories, rank = np.unique(instruments.keys.astype(str), return_inverse=True)
    keys = rank[instruments.codes[accepted]].astype("int32")
    wall_clock = moments.wall_clock[moments.codes[accepted]]
    days = wall_clock // _MICROSECONDS_PER_DAY
    # Stable, so rows of one bar stay in the order of their lines.
    order = np.lexsort((wall_clock, keys, days))
    rows = np.flatnonzero(accepted)[order]
    aware = pd.DatetimeIndex(wall_clock[order].view("datetime64[us]")).tz_localize(INDIA)
    interest = numbers.get("open_interest")
    columns = {
        "instrument_key": pyarrow.DictionaryArray.from_arrays(
            pyarrow.array(keys[order]), pyarrow.array(categories.tolist(), pyarrow.string())
        ),
        "timestamp": pyarrow.array(aware, pyarrow.timestamp("us", tz=INDIA)),
        "trading_day": pyarrow.array(days[order].astype("int32")).cast(pyarrow.date32()),
        **{name: pyarrow.array(numbers[name].values[rows]) for name in PRICE_COLUMNS},
        "volume": pyarrow.array(numbers["volume"].values[rows].astype("int64")),
        "open_interest": (
            pyarrow.nulls(len(rows), pyarrow.int64())
            if interest is None
            else pyarrow.array(
                np.nan_to_num(interest.values[rows]).astype("int64"), mask=interest.missing[rows]
            )
        ),
        "line": pyarrow.array(lines[rows]),
    }
    return pyarrow.table(columns, schema=LANDED_SCHEMA)


def _last_symbols(
    column: pyarrow.ChunkedArray,
    accepted: np.ndarray,
    moments: _Moments,
    instruments: _Instruments,
) -> dict[str, tuple[str, str]]:
    encoded = compute.dictionary_encode(_decoded(column)).combine_chunks()
    codes = compute.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(accepted & (codes >= 0))
    found = pd.DataFrame(
        {
            "key": instruments.codes[rows],
            "symbol": codes[rows],
            "moment": moments.wall_clock[moments.codes[rows]],
        }
    )
    last = found.sort_values("moment", kind="stable").drop_duplicates("key", keep="last")
    symbols = texts(pyarrow.chunked_array([encoded.dictionary]))
    return {
        instruments.keys[row.key]: (
            str(np.datetime64(row.moment, "us")),
            (symbols[row.symbol] or "").strip(),
        )
        for row in last.itertuples()
    }


def _rejected(
    rows: RawRows, verdicts: _Verdicts, moments: _Moments, instruments: _Instruments
) -> pd.DataFrame:
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
            key=keys[position] or None,
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
            "reason": f"Found {malformed.fields_found} fields, expected {malformed.fields_expected} "
            f"as in the header.",
            "record": records(["row"], [[malformed.text]])[0],
        }
        for malformed in rows.malformed
    ]
    return pd.DataFrame(entries, columns=REJECTED_COLUMNS)


def _quarantine_entry(
    line: int,
    day: np.datetime64 | None,
    key: str | None,
    ground: _Ground,
    value: str | None,
    date_found: date,
    record: str,
) -> dict[str, Any]:
    expected = ground.expected if isinstance(ground.expected, str) else ground.expected(date_found)
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
