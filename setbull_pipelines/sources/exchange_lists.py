"""Lists that the exchange publishes and that are no input: which one a file is, and what to do with it.

Belongs here: recognising them by their columns. Does not belong here: files that are read (``layouts/``,
``universe_files.py``, ``corporate_files.py``).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_ISIN = re.compile(r"isin[ _]?number")
_NAME = re.compile(r"name[ _]of[ _]company|securityname")
_CHANGED_SYMBOLS = 4
_SYMBOL = re.compile(r"[a-z0-9&-]+")
_DAY = re.compile(r"\d\d-[a-z]{3}-\d{4}")
_TITLES_OF_CHANGES = frozenset(("sm_key_symbol", "sm_new_symbol"))


def why_not_input(names: Sequence[str]) -> str | None:
    """What a file with these columns (in lower case) is, and what to do; None for one that is no such list."""
    isin = next((name for name in names if _ISIN.fullmatch(name)), None)
    if isin and "symbol" in names:
        named = [name for name in names if _NAME.fullmatch(name)][:1]
        columns = ",".join([f"{isin}=isin", *(f"{name}=name" for name in named)])
        return (
            "found the exchange's list of what is traded, expected files with candles; take it out of the input, or "
            f"add --columns {shlex.quote(columns)}: then every instrument that is in no list is rejected, indices "
            "among them"
        )
    if {"symbol", "industry", "isin code"} <= set(names):
        return (
            "found the members of an index, expected files with candles; take it out of the input, since a list of "
            "instruments would have every other share rejected"
        )
    if set(names) >= _TITLES_OF_CHANGES or _is_change(names):
        return (
            "found the exchange's list of changed symbols, expected aliases; write those that you need under "
            "old_instrument_key,new_instrument_key,from_date, such as NSE_EQ|ZOMATO,NSE_EQ|ETERNAL,2025-04-09"
        )
    return None


def _is_change(names: Sequence[str]) -> bool:
    """Whether the first line, which is no header, is a company, two symbols and a day."""
    if len(names) != _CHANGED_SYMBOLS:
        return False
    _, old, new, day = names
    return bool(_SYMBOL.fullmatch(old) and _SYMBOL.fullmatch(new) and _DAY.fullmatch(day))
