"""Candle files of no vendor in particular: the columns of this project, and the usual other names for them.

Belongs here: names that can mean one thing only, a date and a time in two columns, an index that was written as a
column without a name. Does not belong here: layouts that a vendor made (the modules beside this one).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.sources.file_names import instrument_in
from setbull_pipelines.sources.layouts import Sample
from setbull_pipelines.sources.moment_texts import seconds_of_days
from setbull_pipelines.sources.number_columns import decoded, is_text
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile, renamed, texts

NAME = "candles"
_MEANINGS = {
    "timestamp": "timestamp time_stamp ts datetime date_time dateandtime candle_time start_time bar_time epoch "
    "unix unix_time unixtime unix_timestamp trade_date trading_date date_timestamp candle_timestamp bar_timestamp "
    "start_timestamp datetime_str tradedate local_time open_time opentime bar_start candle_start",
    "open": "open o open_price openprice",
    "high": "high h high_price highprice",
    "low": "low l low_price lowprice",
    "close": "close c close_price closeprice price",
    "volume": "volume vol v traded_volume total_traded_volume total_traded_quantity shares_traded quantity qty "
    "volume_traded tottrdqty ttl_trd_qnty no_of_shares no_of_shrs traded_qty traded_quantity tradedqty tottrdqnty",
    "open_interest": "open_interest oi openinterest open_int openint",
    "instrument_key": "instrument_key instrumentkey",
    "symbol": "symbol ticker tradingsymbol trading_symbol stock stock_code scrip scrip_name security "
    "index_name indexname isin isin_code isin_no isin_number sc_code scrip_code",
    "exchange": "exchange exchange_code exch",
    "date": "date day dt",
    "time": "time",
}
_MEANING_OF = {alias: name for name, aliases in _MEANINGS.items() for alias in aliases.split()}
_RANK = {
    alias: rank for aliases in _MEANINGS.values() for rank, alias in enumerate(aliases.split())
}
_PLAIN = re.compile(r"[\s.\-/]+")
_UNIT = re.compile(
    r"[\s_]*[(\[](?:in[\s_]+)?(?:ms|epoch|unix|\u20b9|rs\.?|inr|shares|nos?\.?|qty)[)\]]$|\*+$"
)
"""What names of columns say that they are counted in, where that is rupees or shares, and marks of footnotes."""
_NUMBERED = re.compile(r"^\d+_(?=\D)")
"""Names of Alpha Vantage: 1. open."""
_WITH_ZONE = re.compile(
    r"(?P<name>.+?)_*[(\[_](?P<zone>utc|gmt|ist|asia_kolkata)[)\]]?$|(?P<before>utc|gmt|ist)_+(?P<named>.+)"
)
"""Names that say the zone of their moments: timestamp (UTC), datetime_ist, Gmt time."""
_OF_CONTRACTS = frozenset(
    [
        "expiry",
        "expiry_date",
        "expiry_dt",
        "expirydate",
        "strike",
        "strike_price",
        "strike_pr",
        "strikeprice",
        "option_type",
        "option_typ",
    ]
)
_FRACTION = r"^0?\.\d{2,}$"
_SERIAL_OF_1970 = pyarrow.scalar(25_569, pyarrow.int32())
_LAST_SECOND = 86_399
_NOTHING = ("", "-", "0", "0.0", "0.00", "nan", "None", "XX")
_PRICES = ("open", "high", "low", "close")
_MOMENTS = ("timestamp", "date", "time")
_WITHOUT_ZONE = re.compile(r".*\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?")
_UNNAMED = re.compile(r"(?:|unnamed(?:: ?\d+)?|index|level_0|__index_level_\d+__)(?: \(\d+\))?")
_MOMENT = re.compile(
    r"\d{4}-?\d\d-?\d\d.*|\d{1,2}[-/.](?:\d{1,2}|[A-Za-z]{3})[-/.]\d{2,4}.*|\d{9,19}|"
    r"\d\.\d+[eE]\+?\d\d"
)


def recognises(names: Sequence[str], sample: Sample) -> bool:
    """Whether a file with these columns means to hold candles: some are prices."""
    meanings = meanings_of(names)
    return sum(name in meanings.values() for name in _PRICES) >= 2 or any(
        name in names for name in _PRICES
    )


def as_rows(rows: RawRows) -> RawRows:
    """The columns under their names; the notes say what was called differently."""
    refuse_contracts(rows)
    rows = _with_parts_joined(rows)
    meanings = meanings_of(rows.names)
    table, of_zone = _in_zone_of_name(rows.columns, rows.names)
    table = renamed(table, [meanings.get(name, name) for name in rows.names])
    notes = [f"{name} = {meaning}" for name, meaning in meanings.items() if name != meaning]
    table, notes = _with_moments(table, notes)
    if "exchange" in table.column_names and "symbol" in table.column_names:
        table = _with_exchange(table)
    told = (f"columns {', '.join(notes)}",) if notes else ()
    return replace(rows, columns=table, notes=(*rows.notes, *told, *of_zone))


identity = instrument_in


def refuse_contracts(rows: RawRows) -> None:
    """Refuse prices of futures and options: under the symbol of their share they would be taken for its own."""
    for name in rows.names:
        if _PLAIN.sub("_", name).strip("_") in _OF_CONTRACTS and (
            value := _first_value(rows.columns[name])
        ):
            raise UnreadableFile(
                f"found contracts with {name} {value!r}, expected shares or indices: candles of futures and options "
                "are not read",
                "contracts",
                value=value,
            )


def _first_value(column: pyarrow.ChunkedArray) -> str | None:
    return next(
        (
            value
            for value in texts(column.slice(0, 1000))
            if value and value.strip() not in _NOTHING
        ),
        None,
    )


def meanings_of(names: Sequence[str]) -> dict[str, str]:
    """What each column is; a name that is right as it is comes first, then the alias that says it best."""
    found = {name: name for name in _MEANINGS if name in names}
    best: dict[str, tuple[int, str]] = {}
    for name in names:
        plain = _without_zone(_plain(name))
        meaning = _MEANING_OF.get(plain)
        if meaning and meaning not in found:
            rank = _RANK[plain], name
            best[meaning] = min(best.get(meaning, rank), rank, key=lambda ranked: ranked[0])
    named = {name: meaning for meaning, (_, name) in best.items()}
    return found | {name: named[name] for name in names if name in named}


def _plain(name: str) -> str:
    bare = _UNIT.sub("", name.strip().strip("<>\"'="))
    return _NUMBERED.sub("", _PLAIN.sub("_", bare).strip("_"))


def _name_and_zone(plain: str) -> tuple[str, str] | None:
    """The name of a column of moments without the zone that it says, and this; None for any other name."""
    found = _WITH_ZONE.fullmatch(plain)
    if not found:
        return None
    name, zone = found["name"] or found["named"], found["zone"] or found["before"]
    return (name, zone.replace("_", "/")) if _MEANING_OF.get(name) in _MOMENTS else None


def _without_zone(plain: str) -> str:
    found = _name_and_zone(plain)
    return found[0] if found else plain


def _with_parts_joined(rows: RawRows) -> RawRows:
    """The rows with a date of the columns year, month and day, and a time of hour, minute and second."""
    table, told = rows.columns, []
    for name, sign, parts, least in (
        ("date", "-", ("year", "month", "day"), 3),
        ("time", ":", ("hour", "minute", "second"), 2),
    ):
        found = [part for part in parts if part in table.column_names]
        if name in table.column_names or found[:least] != list(parts[:least]):
            continue
        texts_of = [compute.utf8_trim_whitespace(_text(table[part])) for part in found]
        padded = [compute.utf8_lpad(column, 2, "0") for column in texts_of]
        joined = compute.binary_join_element_wise(*padded, sign)
        table = table.drop_columns(found).add_column(0, name, joined)
        told.append(f"columns {', '.join(found)} = {name}")
    return replace(rows, columns=table, notes=(*rows.notes, *told)) if told else rows


def _in_zone_of_name(table: pyarrow.Table, names: Sequence[str]) -> tuple[pyarrow.Table, list[str]]:
    """Moments with the zone that the name of their column says, where they say none themselves."""
    for number, name in enumerate(names):
        found = _name_and_zone(_plain(name))
        if not found:
            continue
        _, zone = found
        values = [text for text in texts(table.column(number).slice(0, 20)) if text]
        if values and all(_WITHOUT_ZONE.fullmatch(text.strip()) for text in values):
            zoned = compute.binary_join_element_wise(_text(table.column(number)), f" {zone}", "")
            changed = table.set_column(number, table.column_names[number], zoned)
            return changed, [f"moments are {zone.upper()}, by the name {name!r}"]
    return table, []


def _with_moments(table: pyarrow.Table, notes: list[str]) -> tuple[pyarrow.Table, list[str]]:
    """The column ``timestamp``: as it is, of a date and a time, of one of them, or of a column without a name."""
    names = table.column_names
    if "timestamp" in names:
        if "time" in names and "date" not in names and _are_days(table["timestamp"]):
            return _joined(table, "timestamp", "time", notes)
        return table, notes
    if "date" in names and "time" in names:
        return _joined(table, "date", "time", notes)
    for name in ("date", "time"):
        if name in names:
            return _renamed(table, name), [*notes, f"{name} = timestamp"]
    for name in names:
        if _UNNAMED.fullmatch(name) and holds_moments(table[name]):
            return _renamed(table, name), [*notes, "(without a name) = timestamp"]
    if "t" in names and holds_moments(table["t"]):
        return _renamed(table, "t"), [*notes, "t = timestamp"]
    return table, notes


def _joined(
    table: pyarrow.Table, day: str, clock: str, notes: list[str]
) -> tuple[pyarrow.Table, list[str]]:
    if pyarrow.types.is_nested(table[day].type) or pyarrow.types.is_nested(table[clock].type):
        raise UnreadableFile(f"found {day} or {clock} of a nested type, expected plain values")
    days = compute.utf8_trim_whitespace(_text(table[day]))
    # A day that was read as a moment at midnight.
    days = compute.replace_substring_regex(days, r"[ T]00:00:00(?:\.0+)?$", "")
    clocks = compute.utf8_trim_whitespace(_text(table[clock]))
    if compute.all(compute.match_substring_regex(clocks, _FRACTION)).as_py():
        days, clocks = _of_spreadsheet(days, clocks)
    else:
        clocks = _padded(clocks)
    joined = compute.binary_join_element_wise(days, clocks, " ")
    without = table.drop_columns([day, clock])
    return without.add_column(0, "timestamp", joined), [*notes, f"{day} and {clock} = timestamp"]


def _of_spreadsheet(
    days: pyarrow.ChunkedArray, clocks: pyarrow.ChunkedArray
) -> tuple[pyarrow.ChunkedArray, pyarrow.ChunkedArray]:
    """Days and clocks as a spreadsheet counts them, a clock as a fraction of a day, as texts of the usual form."""
    coded = compute.dictionary_encode(clocks).combine_chunks()
    seconds = seconds_of_days(pd.Series(coded.dictionary.to_pylist(), dtype="str"))
    midnight = pyarrow.array(np.minimum(seconds, _LAST_SECOND).astype("int32"))
    distinct = compute.cast(midnight.cast(pyarrow.time32("s")), pyarrow.string())
    clocks = pyarrow.chunked_array([distinct.take(coded.indices)])
    if compute.all(compute.match_substring_regex(days, r"^\d{5}(?:\.0+)?$")).as_py():
        numbers = compute.cast(compute.cast(days, pyarrow.float64()), pyarrow.int32())
        dates = compute.cast(compute.subtract(numbers, _SERIAL_OF_1970), pyarrow.date32())
        days = compute.cast(dates, pyarrow.string())
    return days, clocks


def _padded(clocks: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Clocks that were written as numbers, with the zero before the hour: 91500 among 101500."""
    for width in (4, 6):
        is_clock = rf"^\d{{{width - 1},{width}}}$"
        if compute.all(compute.match_substring_regex(clocks, is_clock)).as_py():
            return compute.utf8_lpad(clocks, width, "0")
    return clocks


def _renamed(table: pyarrow.Table, old: str) -> pyarrow.Table:
    return renamed(table, ["timestamp" if name == old else name for name in table.column_names])


def _with_exchange(table: pyarrow.Table) -> pyarrow.Table:
    """Symbols of BSE with their exchange before them; what else the column says is not for here."""
    exchanges = compute.utf8_upper(compute.utf8_trim_whitespace(_text(table["exchange"])))
    symbols = _text(table["symbol"])
    marked = compute.binary_join_element_wise("BSE:", symbols, "")
    is_bse = compute.fill_null(compute.equal(exchanges, "BSE"), False)
    if not compute.any(is_bse).as_py():
        return table
    place = table.column_names.index("symbol")
    return table.set_column(place, "symbol", compute.if_else(is_bse, marked, symbols))


def _text(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    column = decoded(column)
    if is_text(column.type):
        return column
    return pyarrow.chunked_array([pyarrow.array(texts(column), pyarrow.string())])


def _are_days(column: pyarrow.ChunkedArray) -> bool:
    first = [value for value in texts(column.slice(0, 20)) if value]
    return bool(first) and all(len(value.strip()) <= 11 and ":" not in value for value in first)


def holds_moments(column: pyarrow.ChunkedArray) -> bool:
    """Whether the first values of a column look like moments."""
    if pyarrow.types.is_timestamp(column.type) or pyarrow.types.is_date(column.type):
        return True
    first = [value for value in texts(column.slice(0, 20)) if value]
    return bool(first) and all(_MOMENT.fullmatch(value.strip()) for value in first)
