"""The instrument that a file's name says, for files whose rows name none.

Belongs here: names that are of a usual form, and what the settings say of names. Does not belong here: forms of one
vendor (``layouts/``).

A name is taken only when exactly one part of it can be a symbol: a wrong symbol is worse than a question.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import PurePosixPath
from urllib.parse import unquote

from setbull_pipelines.market.instruments import SEGMENTS
from setbull_pipelines.settings import InputSettings

NO_INSTRUMENT = "no instrument"
"""Rule of files that name none, neither in their rows nor by their name."""
_KEY = re.compile(rf"(?:{'|'.join(SEGMENTS)})\|[^|_.]*[^|_.\s]")
_ENDING = re.compile(
    r"(?:\.(?:csv|txt|tsv|json|jsonl|parquet|feather|arrow|xlsx|gz|bz2|zst|xz|zip))+$",
    re.IGNORECASE,
)
_SYMBOL = re.compile(r"(?:[A-Z]|\d{1,3}(?=[A-Z]{2}))[A-Z0-9&]*(?:-[A-Z0-9&]+)*")
"""Some begin with a number: 3MINDIA, 20MICRONS, 360ONE."""
_INTERVAL = re.compile(
    r"\d+|\d+ ?(?:M|MIN|MINS|MINUTE|MINUTES|H|HR|HOUR|D|DAY|DAYS|W|S|SEC)|M1|M5|D1|H1|1440|"
    r"\d+ ?(?:HOURS|HRS|SECOND|SECONDS|WEEK|WEEKS|WK|MO|MONTH|MONTHS|Y|YR|YEAR|YEARS|MINUTELY|TICK|TICKS)|"
    r"MINUTE|MINUTES|MIN|DAY|DAILY|D|EOD|INTRADAY|TO|ONE|THREE|FIVE|TEN|FIFTEEN|THIRTY|HOUR"
)
_DATE = re.compile(
    r"\d{4}(?:-\d\d){0,2}|\d{1,2}-(?:\d{1,2}|[A-Z]{3})-\d{2,4}|\d{1,2}[A-Z]{3}\d{2,4}|\d{6,14}|"
    r"(?:EQ|CM|FO)(?:\d{6,8}|\d{2}[A-Z]{3}\d{2,4}(?:BHAV)?)"
)
_NUMBER_OF_BSE = re.compile(r"[5-9]\d{5}")
_INDEX = re.compile(r"(?:NIFTY|INDIA|BANK|FIN) [A-Z0-9]+(?: [A-Z0-9]+)*")
"""Names of indices are of several words."""
_SPAN = re.compile(
    r"-\d\d-(?:\d\d|[A-Za-z]{3})-\d{4}(?:-to-\d\d-(?:\d\d|[A-Za-z]{3})-\d{4})?$", re.IGNORECASE
)
"""Days at the end of a name, as the exchange's website writes them."""
_EXCHANGES = {"NSE": "NSE", "NS": "NSE", "NSE_EQ": "NSE", "BSE": "BSE", "BO": "BSE"}
_SERIES = frozenset(("EQ", "BE", "SM", "ST", "BZ", "ALL", "ALLN"))
_WORDS = frozenset(
    [
        "DATA",
        "HISTORY",
        "HISTORICAL",
        "HIST",
        "CANDLE",
        "CANDLES",
        "PRICE",
        "PRICES",
        "QUOTE",
        "QUOTES",
        "EQUITY",
        "STOCK",
        "STOCKS",
        "SHARE",
        "SHARES",
        "OHLC",
        "OHLCV",
        "BARS",
        "BAR",
        "RAW",
        "CLEAN",
        "EXPORT",
        "OUTPUT",
        "RESPONSE",
        "ANSWER",
        "KITE",
        "ZERODHA",
        "UPSTOX",
        "ANGEL",
        "ANGELONE",
        "FYERS",
        "DHAN",
        "BREEZE",
        "ICICI",
        "AMIBROKER",
        "TRADINGVIEW",
        "METATRADER",
        "MT4",
        "MT5",
        "YFINANCE",
        "YAHOO",
        "YF",
        "API",
        "CSV",
        "JSON",
        "TEST",
        "SAMPLE",
        "NEW",
        "OLD",
        "FILE",
        "TABLE",
        "UTC",
        "IST",
        "INDEX",
        "INDICES",
        "BHAV",
        "BHAVCOPY",
        "SEC",
        "FULL",
        "CM",
        "FO",
        "FINAL",
        "ADJ",
        "ADJUSTED",
        "BASE",
        "ALL",
        "OF",
        "WITH",
        "NO",
        "THE",
        "AND",
        "COPY",
    ]
)


def instrument_key_in(path: str) -> str | None:
    """The key with which the file name, or the nearest folder, begins; URL-encoded as in a request, or plain."""
    for part in reversed(PurePosixPath(path).parts):
        if found := _KEY.match(unquote(part)):
            return found.group()
    return None


def instrument_in(path: str) -> str | None:
    """The key that a path names, or else the symbol; what most layouts know of the instrument."""
    return instrument_key_in(path) or symbol_in(path)


def symbol_in(path: str) -> str | None:
    """The symbol in a name of a usual form, such as RELIANCE_1min.csv or NSE_RELIANCE.csv; of BSE as ``BSE:SYMBOL``.

    Where the name holds nothing but times and intervals, that of the nearest folder with more.
    """
    for part in reversed(PurePosixPath(path).parts):
        for piece in stem(part).split("_"):
            name = _SPAN.sub("", piece).strip()
            if _INDEX.fullmatch(name):
                return name
        symbols, exchange = _symbols_of(stem(part))
        if symbols:
            return None if len(symbols) > 1 else _listed(symbols[0], exchange)
        if symbols is None:
            return None
    return None


def stem(name: str) -> str:
    """A file name without what it ends in, ``M%26M`` of a request as ``M&M``."""
    return unquote(_ENDING.sub("", PurePosixPath(name).name))


def said_by_settings(path: str, reading: InputSettings) -> str | None:
    """What the settings say of a file: the symbol or key of just this one, or what their pattern finds."""
    name = PurePosixPath(path).name
    for said in (path, name, stem(name)):
        if said in reading.symbols:
            return reading.symbols[said].strip()
    if reading.symbol_pattern:
        found = re.search(reading.symbol_pattern, name)
        return found[1] if found and found[1] else None
    if reading.exchange == "BSE" and _NUMBER_OF_BSE.fullmatch(stem(name)):
        return stem(name)
    return stem(name).strip().upper() if reading.symbol_from else None


def question(path: str, what: str) -> str:
    """What to do about a file that names no instrument."""
    name = PurePosixPath(path).name
    return (
        f"found {what}, whose rows name no instrument, and no symbol in the name {name!r}; expected a file name such "
        f"as RELIANCE_1min.csv or NSE_EQ%7CINE002A01018_2026-08.json, or the symbol in the settings file: "
        f'[input] symbols = {{{json.dumps(name, ensure_ascii=False)} = "SYMBOL"}}, or --symbol '
        f'{shlex.quote(f"{name}=SYMBOL")}; or symbol_from = "file name" where all of each name is the symbol'
    )


def _symbols_of(text: str) -> tuple[list[str] | None, str | None]:
    """What can be symbols among the parts of a name, and the exchange in it; None for words that say nothing."""
    symbols: list[str] = []
    exchange = None
    other = False
    for part in re.split(r"[_ ,.()\[\]]+", text):
        for token in _without_times(part):
            upper = token.upper()
            if upper in _EXCHANGES:
                exchange = _EXCHANGES[upper]
            elif _INTERVAL.fullmatch(upper) or _DATE.fullmatch(upper) or upper in _SERIES:
                continue
            elif upper in _WORDS or not _SYMBOL.fullmatch(token):
                other = True
            elif token not in symbols:
                symbols.append(token)
    return (None if other and not symbols else symbols), exchange


def _without_times(part: str) -> list[str]:
    """A part of a name; at hyphens only what is no symbol is taken off, since symbols can have one (BAJAJ-AUTO)."""
    if not part or _DATE.fullmatch(part.upper()):
        return [part] if part else []
    tokens = part.split("-")
    while len(tokens) > 1:
        last = tokens[-1].upper()
        if not (
            _INTERVAL.fullmatch(last) or last in _SERIES or last in _WORDS or last in _EXCHANGES
        ):
            break
        tokens.pop()
    while len(tokens) > 1 and (tokens[0].upper() in _WORDS or tokens[0].upper() in _EXCHANGES):
        tokens.pop(0)
    return ["-".join(tokens)]


def _listed(symbol: str, exchange: str | None) -> str:
    return f"BSE:{symbol}" if exchange == "BSE" else symbol
