"""Columns that name instruments: keys, and symbols as vendors write them.

Belongs here: the key of each distinct text. Does not belong here: which instruments are known (``universe.py``), the
instrument in a file's name (``file_names.py``).
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow
import pyarrow.compute as compute

from setbull_pipelines.market.instruments import (
    SEGMENTS,
    InvalidInstrumentKey,
    instrument_key,
    is_index,
    parse_instrument_key,
)
from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources.number_columns import encoded
from setbull_pipelines.sources.raw_rows import UnreadableFile, texts

EQUITY_SEGMENT = "NSE_EQ"
_EQUITY_OF = {"NSE": EQUITY_SEGMENT, "BSE": "BSE_EQ"}
_INDEX_OF = {"NSE": "NSE_INDEX", "BSE": "BSE_INDEX"}
_PREFIX = re.compile(r"(NSE|BSE)(?:_EQ)?:")
_EXCHANGE_SUFFIX = re.compile(r"\.(NS|NSE|BO|BSE)$")
_SERIES_SUFFIX = re.compile(r"[ -](?:EQ|BE|BZ|SM|ST|INDEX)$")
_INDEX = re.compile(
    r"\^?(?:NIFTY(?:[ _]?50)?|NIFTY[ _].+|BANK[ _]?NIFTY|FIN[ _]?NIFTY|NIFTYBANK|MIDCPNIFTY|INDIA[ _]?VIX|NSEI|"
    r"NSEBANK|SENSEX|BANKEX|BSESN)",
    re.IGNORECASE,
)
_CONTRACT = re.compile(
    r"[A-Z][A-Z0-9&-]*?(?:\d\d(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)(?:\d{0,4}FUT|\d+(?:\.\d+)?[CP]E)|"
    r"\d\d[1-9OND]\d\d\d+(?:\.\d+)?[CP]E|-I{1,3}(?:\.NFO)?)|"
    r".*(?:[ -]FUT| [CP]E)(?: .*)?|(?:NFO|BFO|MCX|CDS):.*|.*\.(?:NFO|MCX|CDS)",
)
"""Futures and options, as the exchange and brokers write them; -I is the nearest future."""
_NUMBER_OF_NSE = re.compile(r"NSE_EQ\|\d+")
"""Codes of BSE and tokens of brokers are numbers, symbols and ISINs of NSE never."""
_SHARE_OF_NSE = re.compile(r"[A-Z0-9&-]*[A-Z][A-Z0-9&-]*")
"""Whatever has another sign, such as a space or an underscore, is a name, or another vendor's way of writing."""
_NOTHING = frozenset(("", "NAN", "NONE", "NULL", "N/A", "#N/A", "NA", "-"))
"""How programs write that there is no symbol."""
_OF_BSE = re.compile(r"\^?(?:SENSEX|BANKEX|BSESN)", re.IGNORECASE)


_NAMES_OF_INDICES = {
    "Nifty 50": ("NIFTY", "NIFTY 50", "NIFTY50", "NSEI"),
    "Nifty Bank": ("NIFTY BANK", "NIFTYBANK", "BANKNIFTY", "BANK NIFTY", "NSEBANK"),
    "Nifty Fin Service": ("FINNIFTY", "FIN NIFTY", "NIFTY FIN SERVICE"),
    "India VIX": ("INDIA VIX", "INDIAVIX"),
    "SENSEX": ("SENSEX", "BSESN"),
}
"""Names of one index by the broker's, in capitals."""


class Instruments(NamedTuple):
    """Keys as distinct texts and the code of each row; ``-1`` is no value."""

    column: str
    codes: np.ndarray
    keys: np.ndarray
    valid: np.ndarray
    renamed: tuple[tuple[str, str], ...] = ()
    """Texts that are not written as their key is, each with the key."""

    def notes_of(self, keys: Collection[str]) -> Iterator[str]:
        """What is to be known of the instruments ``keys``, which have accepted rows."""
        renamed = [f"{text} = {key}" for text, key in self.renamed if key in keys]
        more = f" and {len(renamed) - 3} more" if len(renamed) > 3 else ""
        if renamed:
            yield f"instruments {', '.join(renamed[:3])}{more}"
        yield from _other_names(sorted(keys))

    def of_rows(self, of_distinct: np.ndarray, missing: object) -> np.ndarray:
        """A value per row from a value per distinct instrument."""
        return np.append(of_distinct, [missing])[self.codes]

    @property
    def is_contract(self) -> np.ndarray:
        """Whether each distinct instrument is a future or an option by its symbol."""
        identifiers = (str(key).rpartition("|")[2] for key in self.keys)
        return np.array([bool(_CONTRACT.fullmatch(text)) for text in identifiers], bool)

    @property
    def is_index(self) -> np.ndarray:
        """Whether each distinct instrument is an index, which nobody trades."""
        return np.array([is_index(str(key)) for key in self.keys], bool)


def read_instruments(
    columns: pyarrow.Table, keyed_by_symbol: bool, reading: InputSettings
) -> Instruments:
    """The instrument of each row; symbols become keys of the exchange that they, or the settings, say."""
    column = "symbol" if keyed_by_symbol else "instrument_key"
    coded = encoded(columns[column])
    if not pyarrow.types.is_string(coded.dictionary.type):
        raise_for = coded.dictionary.type
        if keyed_by_symbol or not pyarrow.types.is_null(raise_for):
            raise UnreadableFile(f"found the column {column} of type {raise_for}, expected texts")
    codes = compute.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    found = [(text or "").strip() for text in texts(pyarrow.chunked_array([coded.dictionary]))]
    if keyed_by_symbol:
        is_nothing = np.array([*(text.upper() in _NOTHING for text in found), False], bool)
        codes = np.where(is_nothing[codes], -1, codes).astype("int32")
    keys = [key_of_symbol(text, reading.exchange) for text in found] if keyed_by_symbol else found
    renamed = tuple(
        (text, key)
        for text, key in zip(found, keys, strict=True)
        if keyed_by_symbol and key not in (f"{EQUITY_SEGMENT}|{text}", text)
    )
    distinct, place_of = _distinct(keys)
    return Instruments(
        column,
        np.append(place_of, [-1]).astype("int32")[codes],
        np.array([*distinct, None], object)[:-1],
        np.array([_is_key(key) and _is_possible(key, keyed_by_symbol) for key in distinct], bool),
        renamed,
    )


def _other_names(keys: Iterable[str]) -> Iterator[str]:
    """What is to be known of an index under another name than the broker's: nothing makes one of the two."""
    for key in filter(is_index, keys):
        segment, _, name = key.partition("|")
        for usual, names in _NAMES_OF_INDICES.items():
            if name.upper() in names and name != usual:
                yield f"{key} is an instrument of its own, apart from the broker's {segment}|{usual}"


def _distinct(keys: list[str]) -> tuple[list[str], np.ndarray]:
    """Each key once, since two ways of writing a symbol are one instrument, and the place of each there."""
    places: dict[str, int] = {}
    place_of = [places.setdefault(key, len(places)) for key in keys]
    return list(places), np.array(place_of, "int64")


def key_of_symbol(text: str, exchange: str = "") -> str:
    """The key of a symbol: ``NSE:RELIANCE-EQ``, ``RELIANCE.NS``, ``reliance`` and ``RELIANCE`` are one."""
    segment, bar, _ = text.partition("|")
    if bar and segment in SEGMENTS:
        return text
    if "%" in text or ";" in text:  # M%26M of a request, M&amp;M of a page
        text = unquote(html.unescape(text))
    symbol, said = _in_capitals(text), exchange or "NSE"
    if prefix := _PREFIX.match(symbol):
        said, symbol = prefix[1], symbol[prefix.end() :]
    if suffix := _EXCHANGE_SUFFIX.search(symbol):
        said, symbol = "BSE" if suffix[1].startswith("B") else "NSE", symbol[: suffix.start()]
    symbol = _SERIES_SUFFIX.sub("", symbol) or symbol
    if _INDEX.fullmatch(symbol):
        said = "BSE" if _OF_BSE.fullmatch(symbol) else said
        return f"{_INDEX_OF[said]}|{symbol.lstrip('^').replace('_', ' ')}"
    return f"{_EQUITY_OF[said]}|{symbol}"


def is_name_of_index(symbol: str) -> bool:
    """Whether a symbol, without its exchange, is one of an index."""
    return bool(_INDEX.fullmatch(symbol))


def key_of_share(name: str) -> str:
    """The key of a share of NSE by its symbol or ISIN; both are written in capitals."""
    return f"{EQUITY_SEGMENT}|{name.upper()}"


def _in_capitals(text: str) -> str:
    """The exchange has no small letters in symbols; names of indices have."""
    name = _EXCHANGE_SUFFIX.sub("", _PREFIX.sub("", text))
    return text if text.isupper() or _INDEX.fullmatch(name) else text.upper()


def _is_possible(key: str, keyed_by_symbol: bool) -> bool:
    """Whether the exchange can have such an instrument; tokens and numbers of BSE are none of NSE's."""
    segment, _, identifier = key.partition("|")
    if segment != EQUITY_SEGMENT:
        return True
    if keyed_by_symbol:
        return bool(_SHARE_OF_NSE.fullmatch(identifier) or _CONTRACT.fullmatch(identifier))
    return not _NUMBER_OF_NSE.fullmatch(key)


def _is_key(key: str) -> bool:
    try:
        return instrument_key(*parse_instrument_key(key)) == key
    except InvalidInstrumentKey:
        return False
