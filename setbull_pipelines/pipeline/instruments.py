"""Which instrument a text names: people know symbols, tables have keys.

Belongs here: that one question, for commands and pages that take an instrument. Does not belong here: what a key looks
like (``market/instruments.py``), which instruments a session has.
"""

from __future__ import annotations

import pandas as pd

from setbull_pipelines import tables
from setbull_pipelines.errors import SetbullError
from setbull_pipelines.market.instruments import InvalidInstrumentKey, parse_instrument_key
from setbull_pipelines.pipeline.opening import open_warehouse
from setbull_pipelines.settings import Settings
from setbull_pipelines.warehouse.pointers import WHOLE, StoredTable

_INSTRUMENTS = StoredTable("raw", tables.INSTRUMENTS)


class NoSuchInstrument(SetbullError, ValueError):
    """A text that is neither a key nor the symbol of one instrument; the message says what was expected."""


def key_of(instrument: str, settings: Settings) -> str:
    """The key of an instrument that is named by its key or its symbol, in whichever case.

    A text of the form of a key is returned as it is, also where no table has it. Raises NoSuchInstrument.
    """
    keys = keys_with_symbol(instrument, _instruments(settings))
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise NoSuchInstrument(several(instrument, keys))
    try:
        parse_instrument_key(instrument)
    except InvalidInstrumentKey:
        raise NoSuchInstrument(
            f"found {instrument!r}, expected a key such as NSE_EQ|INE002A01018, or a symbol that one instrument of "
            "raw.instruments has"
        ) from None
    return instrument


def keys_with_symbol(symbol: str, instruments: pd.DataFrame) -> list[str]:
    """The keys of the ``instruments`` that have a symbol, in whichever case."""
    has_it = instruments["symbol"].str.casefold() == symbol.casefold()
    return instruments.loc[has_it, "instrument_key"].tolist()


def several(symbol: str, keys: list[str]) -> str:
    """The sentence about a symbol that more than one instrument has: which is meant is not guessed."""
    return f"found {symbol!r}, the symbol of {len(keys)} instruments; expected a key: {', '.join(keys)}"


def symbols_of(settings: Settings) -> dict[str, str]:
    """The symbol of every known instrument, by its key."""
    rows = _instruments(settings)
    return dict(zip(rows["instrument_key"], rows["symbol"], strict=True))


def unique_names(settings: Settings) -> dict[str, str]:
    """What names each known instrument alone, by its key: its symbol, or the key where several have the symbol."""
    rows = _instruments(settings)
    names = rows["symbol"].mask(rows["symbol"].duplicated(keep=False), rows["instrument_key"])
    return dict(zip(rows["instrument_key"], names, strict=True))


def _instruments(settings: Settings) -> pd.DataFrame:
    warehouse = open_warehouse(settings)
    if warehouse.pointer(_INSTRUMENTS, WHOLE) is None:
        return _INSTRUMENTS.table.empty()
    return warehouse.read(_INSTRUMENTS, [WHOLE])
