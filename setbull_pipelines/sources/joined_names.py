"""Names of columns that say a price and an instrument in one: ``ITC_open``, ``Close TCS.NS``, ``('High', 'ITC.NS')``.

Belongs here: the ways in which such names are joined. Does not belong here: what is done with the columns
(``layouts/wide.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_PRICE = r"(?P<price>open|high|low|close|adj close|volume)"
_SYMBOL = r"(?P<symbol>[a-z0-9^][a-z0-9&.:^-]*)"
_WAYS = tuple(
    re.compile(way, re.IGNORECASE)
    for way in (
        rf"\(['\"]{_PRICE}['\"], ?['\"]{_SYMBOL}['\"]\)",
        rf"\(['\"]{_SYMBOL}['\"], ?['\"]{_PRICE}['\"]\)",
        rf"{_PRICE}[_ |:]{_SYMBOL}",
        rf"{_SYMBOL}[_ |:]{_PRICE}",
    )
)


class JoinedName(NamedTuple):
    """What the name of a column says."""

    price: str
    symbol: str


def joined_names(names: Sequence[str]) -> list[JoinedName]:
    """What each column but the first holds; nothing where one of them says none of this."""
    for way in _WAYS:
        found = [way.fullmatch(name.strip()) for name in names[1:]]
        if found and all(found):
            return [
                JoinedName(match["price"].lower(), match["symbol"].upper())
                for match in found
                if match
            ]
    return []
