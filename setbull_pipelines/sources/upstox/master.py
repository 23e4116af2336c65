"""The broker's list of all instruments: the stocks in it, and which of them have derivatives.

Belongs here: reading and judging the list, and the two files made of it. Does not belong here: sending (``client.py``),
reading those files (``sources/universe_files.py``, ``sources/derivative_files.py``), a clock.

The list says what is true today. Since when a stock has derivatives follows from the days on which it was looked at.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.sources.derivative_files import FROM, TO

STOCKS_SEGMENT, DERIVATIVES_SEGMENT = "NSE_EQ", "NSE_FO"
STOCK_TYPES = ("EQ", "BE", "BZ", "SM", "ST")
"""Series of shares; the segment also holds bonds, gold and rights."""
_FACTS = (
    "instrument_key",
    "trading_symbol",
    "name",
    "isin",
    "exchange_token",
    "tick_size",
    "lot_size",
    "instrument_type",
)
"""What is kept of a stock. Limits of orders change every day and would make the file a new one."""
_LARGEST_LIST = 512 * 2**20
_DERIVATIVE_COLUMNS = ("instrument_key", "symbol", FROM, TO)


class InvalidMaster(SetbullError, ValueError):
    """The broker's list is not what it should be; what was made of earlier ones stays."""


@dataclass(frozen=True)
class Master:
    """The stocks of one list, by key, and the keys of those that have derivatives."""

    stocks: Mapping[str, Mapping[str, object]]
    underlyings: frozenset[str]


def read_master(body: bytes) -> Master:
    """Read the gzipped JSON list; :class:`InvalidMaster` when it is none, or names no stock."""
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = unpacking.decompress(body, _LARGEST_LIST)
        entries = json.loads(text) if unpacking.eof else None
    except (zlib.error, ValueError) as error:
        raise InvalidMaster(f"found no gzipped JSON ({error}), expected a list") from None
    if entries is None:
        raise InvalidMaster(
            f"found a list that is cut short or has more than {_LARGEST_LIST:,} bytes, expected a whole one"
        )
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidMaster("found JSON of another shape, expected a list of instruments")
    stocks = {
        entry["instrument_key"]: {name: entry.get(name) for name in _FACTS}
        for entry in entries
        if entry.get("segment") == STOCKS_SEGMENT
        and entry.get("instrument_type") in STOCK_TYPES
        and isinstance(entry.get("instrument_key"), str)
    }
    if not stocks:
        raise InvalidMaster(f"found {len(entries):,} instruments and no stock of {STOCKS_SEGMENT}")
    underlyings = {
        entry.get("underlying_key")
        for entry in entries
        if entry.get("segment") == DERIVATIVES_SEGMENT
    }
    return Master(stocks, frozenset(stocks.keys() & underlyings))


def instruments_file(master: Master) -> bytes:
    """The stocks as the broker lists them, sorted: a JSON list that intake reads."""
    stocks = [master.stocks[key] for key in sorted(master.stocks)]
    return json.dumps(stocks, indent=0, ensure_ascii=False).encode()


def derivatives_file(master: Master, before: bytes | None, today: date) -> bytes:
    """The stocks with derivatives as a CSV that intake reads, carried on from the file ``before``.

    A stock has them from the day on which it was first listed with them, to the day before it no longer was. Of
    earlier days the list says nothing.
    """
    rows = list(csv.DictReader(io.StringIO(before.decode()))) if before else []
    listed = set()
    for row in rows:
        if row[TO]:
            continue
        if row["instrument_key"] in master.underlyings:
            listed.add(row["instrument_key"])
        else:
            row[TO] = max(row[FROM], date.fromordinal(today.toordinal() - 1).isoformat())
    rows += [
        {
            "instrument_key": key,
            "symbol": master.stocks[key]["trading_symbol"],
            FROM: today.isoformat(),
            TO: "",
        }
        for key in master.underlyings - listed
    ]
    rows.sort(key=lambda row: (row["instrument_key"], row[FROM]))
    text = io.StringIO()
    writer = csv.DictWriter(text, _DERIVATIVE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
