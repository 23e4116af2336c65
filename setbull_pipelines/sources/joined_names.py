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


def joined_names(names: Sequence[str]) -> tuple[int, list[JoinedName]] | None:
    """The number of the one column that says none of this, and what each of the others says; None for other columns."""
    for way in _WAYS:
        found = [way.fullmatch(name.strip()) for name in names]
        others = [place for place, match in enumerate(found) if not match]
        if len(others) == 1 and len(names) > 1:
            return others[0], [
                JoinedName(match["price"].lower(), match["symbol"].upper())
                for match in found
                if match
            ]
    return None
