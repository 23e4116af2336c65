"""Instrument keys: how an instrument is named throughout the project.

Belongs here: building, checking and splitting keys. Does not belong here: lists of instruments,
their names or prices, lookups in files.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SEGMENTS = (
    "NSE_EQ",
    "NSE_FO",
    "NCD_FO",
    "BSE_EQ",
    "BSE_FO",
    "BCD_FO",
    "MCX_FO",
    "NSE_INDEX",
    "BSE_INDEX",
    "MCX_INDEX",
    "NSE_COM",
)
"""The market segments the broker accepts in a key."""

LONGEST_IDENTIFIER = 100
_IDENTIFIER = re.compile(r"[^|\s]([^|\n\r\t]*[^|\s])?")
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
"""Control signs, the mark for what could not be read, halves of pairs."""
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")


class InvalidInstrumentKey(ValueError):
    """A text that is not ``SEGMENT|IDENTIFIER``."""


class InstrumentKey(NamedTuple):
    """A key taken apart: the market segment and the identifier inside it."""

    segment: str
    identifier: str


def parse_instrument_key(key: str) -> InstrumentKey:
    """Split ``SEGMENT|IDENTIFIER``; :class:`InvalidInstrumentKey` when it is not of that form."""
    segment, bar, identifier = key.partition("|") if isinstance(key, str) else ("", "", "")
    if not bar:
        raise InvalidInstrumentKey(
            f"Instrument key {key!r} is not SEGMENT|IDENTIFIER, such as NSE_EQ|INE002A01018."
        )
    if segment not in SEGMENTS:
        raise InvalidInstrumentKey(
            f"Instrument key {key!r} has the unknown segment {segment!r}; "
            f"expected one of {', '.join(SEGMENTS)}."
        )
    if not _IDENTIFIER.fullmatch(identifier):
        raise InvalidInstrumentKey(
            f"Instrument key {key!r} has the identifier {identifier!r}; expected text without a bar "
            f"and without white space at its ends."
        )
    if len(identifier) > LONGEST_IDENTIFIER or _NO_TEXT.search(identifier):
        raise InvalidInstrumentKey(
            f"Instrument key {key[:40]!r} has an identifier of {len(identifier)} signs; expected at most "
            f"{LONGEST_IDENTIFIER}, all of them readable."
        )
    return InstrumentKey(segment, identifier)


def instrument_key(segment: str, identifier: str) -> str:
    """The key ``SEGMENT|IDENTIFIER``; :class:`InvalidInstrumentKey` when a part does not fit."""
    key = f"{segment}|{identifier}"
    parse_instrument_key(key)
    return key


def is_index(key: str) -> bool:
    """Whether a key is of an index, which has prices and is never traded."""
    return key.partition("|")[0].endswith("_INDEX")


def isin_of(key: str) -> str | None:
    """The ISIN of a key, or None when its identifier is a symbol, a token or an index name.

    An ISIN (ISO 6166) has 12 characters: a two-letter country, nine letters or digits, and a check
    digit, which is verified so that a symbol of the same shape is not mistaken for one.
    """
    identifier = parse_instrument_key(key).identifier
    return identifier if _ISIN.fullmatch(identifier) and _check_digit_holds(identifier) else None


def _check_digit_holds(isin: str) -> bool:
    """The Luhn test of ISO 6166 over the digits of the ISIN, letters counted as 10 to 35."""
    digits = [int(digit) for character in isin for digit in str(int(character, 36))]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
