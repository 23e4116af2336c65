"""What the values of a column, or the rows of a table, have to fulfil.

Belongs here: the kinds of checks that contracts are declared with, and what each of them is in pandera. Does not belong
here: which column has which (the tables), judging frames by them (``warehouse/validation.py``, ``quality/``).

pandera is imported where a check is first made into one of its own: it takes a fifth of a second, which commands that
write no table do without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa


@dataclass(frozen=True)
class Limit:
    """A limit of every value of a column, as pandera knows and names it; nulls have none."""

    name: str
    """One of the built-in checks of pandera."""
    limit: float | tuple[str, ...]

    @cached_property
    def in_pandera(self) -> pa.Check:
        """The check of pandera."""
        import pandera.pandas as pa

        # Its messages show a list of values as one.
        limit = list(self.limit) if isinstance(self.limit, tuple) else self.limit
        return getattr(pa.Check, self.name)(limit)


def above(limit: float) -> Limit:
    """More than ``limit``."""
    return Limit("greater_than", limit)


def at_least(limit: float) -> Limit:
    """``limit`` or more."""
    return Limit("greater_than_or_equal_to", limit)


def at_most(limit: float) -> Limit:
    """``limit`` or less."""
    return Limit("less_than_or_equal_to", limit)


def one_of(values: tuple[str, ...]) -> Limit:
    """One of ``values``."""
    return Limit("isin", values)


@dataclass(frozen=True)
class Rule:
    """What ``holds`` for every row of a frame, or every value of a column, in the words of ``name``."""

    name: str
    holds: Callable[[pd.DataFrame], pd.Series]

    @cached_property
    def in_pandera(self) -> pa.Check:
        """The check of pandera."""
        import pandera.pandas as pa

        return pa.Check(self.holds, name=self.name)
