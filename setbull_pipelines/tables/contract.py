"""What a table is: columns, types, units, key, tolerances - and everything derived from them.

Belongs here: the :class:`Table` type and the derivations (pandera, Arrow, DuckDB types) that every
room uses, so that each fact about a column is written once. Does not belong here: the tables
themselves (one module per stage beside this one), computing, files, Dagster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.market.session_table import TIMEZONE as INDIA
from setbull_pipelines.tables.checks import Limit, Rule
from setbull_pipelines.tables.oracles import Oracle
from setbull_pipelines.tables.ordering import in_order

if TYPE_CHECKING:
    import pandera.pandas as pa


class Kind(Enum):
    """The storage kinds of the project: pandas dtype, Arrow type and DuckDB type of each."""

    TEXT = ("str", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "VARCHAR")
    """Text with few distinct values (keys, labels); dictionary-coded on disk."""
    LONG_TEXT = ("str", pyarrow.string(), "VARCHAR")
    """Text whose values rarely repeat (reasons, records)."""
    TIMESTAMP = (
        f"datetime64[us, {INDIA}]",
        pyarrow.timestamp("us", tz=INDIA),
        "TIMESTAMP WITH TIME ZONE",
    )
    """A moment, shown in Asia/Kolkata; for bars the start of the bar."""
    DAY = ("datetime64[us]", pyarrow.date32(), "DATE")
    """A calendar date; naive midnight in pandas, a date on disk."""
    FLOAT = ("float64", pyarrow.float64(), "DOUBLE")
    INTEGER = ("int64", pyarrow.int64(), "BIGINT")
    NULLABLE_INTEGER = ("Int64", pyarrow.int64(), "BIGINT")
    BOOLEAN = ("bool", pyarrow.bool_(), "BOOLEAN")
    NULLABLE_BOOLEAN = ("boolean", pyarrow.bool_(), "BOOLEAN")

    def __init__(self, pandas_dtype: str, arrow_type: pyarrow.DataType, duckdb_type: str) -> None:
        self.pandas_dtype = pandas_dtype
        # Finding a type by its name takes as long as converting a column of a few rows.
        self.dtype = pd.api.types.pandas_dtype(pandas_dtype)
        self.arrow_type = arrow_type
        self.duckdb_type = duckdb_type


@lru_cache(maxsize=1000)
def type_name(dtype: object) -> str:
    """The name of a type of pandas: of one with a zone, making it takes longer than all else that is looked at."""
    return str(dtype)


@dataclass(frozen=True)
class Tolerance:
    """How far V2 may be from V1 in one cell: ``|v1 - v2| <= relative * max(|v1|, |v2|) + absolute``."""

    name: str
    relative: float
    absolute: float
    reason: str

    def allows(self, apart: np.ndarray, larger: np.ndarray) -> np.ndarray:
        """Whether cells are near enough: ``apart`` are |v1 - v2|, ``larger`` max(|v1|, |v2|).

        A difference that is not known never is, and neither is an infinite one, which would be within "relative x
        infinity".
        """
        near: np.ndarray = np.isfinite(apart) & (apart <= self.relative * larger + self.absolute)
        return near


EXACT = Tolerance(
    "exact",
    0.0,
    0.0,
    "prices, volumes, counts, labels and verdicts are chosen or added as integers, never rounded: "
    "any difference is a fault",
)
RELATIVE = Tolerance(
    "relative",
    1e-9,
    0.0,
    "float64 sums in another order differ by about 1e-13; 1e-9 leaves room for 600-bar recursions and "
    "is a million times smaller than a price tick",
)
AT_LIMIT = RELATIVE.relative
"""A computed number that differs from a limit by less than this share of it is at the limit, in every decision: the
last digits of a quotient are rounding, and whole paise lie at least 1 / (100 x price in paise) from a percentage."""
SCORE = Tolerance(
    "score",
    1e-9,
    1e-12,
    "a score is a difference of numbers near 1, so a result near 0 keeps the absolute rounding error of its parts",
)


@dataclass(frozen=True)
class Memory:
    """Which earlier bars of its series a value remembers, and so how much history it needs."""

    first: int
    """Number of the bar that has the first value; 1 is the first bar."""
    decay: float = 0.0
    """What remains, from one bar to the next, of the weight of the value that a recursion started from. 0: a window,
    which has no such value and forgets a bar when it leaves."""

    def bars_until(self, weight: float) -> int:
        """Bars of history from which on the start of the recursion has at most ``weight``, above 0, in a value."""
        if self.decay == 0 or weight >= 1:
            return self.first
        # A quotient that should be whole may be rounded to just above it.
        return self.first + math.ceil(math.log(weight) / math.log(self.decay) - 1e-9)


class Source(NamedTuple):
    """A column that values are taken from, in a table of the same variant or of ``raw``."""

    table: str
    column: str


Sources = tuple[Source, ...]


class Facts(TypedDict, total=False):
    """How a computed column is defined, as the builders of columns take it; see the fields of :class:`Column`."""

    formula: str
    seed: str
    warm_up: str
    null_rule: str
    sources: Sources
    oracles: tuple[Oracle, ...]


@dataclass(frozen=True)
class Column:
    """One column: its kind, what it means, its unit, whether it may be null, and how V1 and V2 are compared.

    The fields from ``formula`` on define a computed column; ``docs/definitions.md`` and the descriptions in the UI are
    printed from them.
    """

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    nullable: bool = False
    tolerance: Tolerance = EXACT
    checks: tuple[Limit | Rule, ...] = ()
    is_provenance: bool = False
    """It says where a row came from, not what it says: nothing is computed from it, or again because of it."""
    memory: Memory | None = None
    """How much history it needs; only indicators, which are computed over the bars of a series, have one."""
    formula: str | None = None
    """In columns of the same row or series, with the default settings; None: the description says it."""
    seed: str | None = None
    """What a recursion starts from."""
    warm_up: str | None = None
    """How many bars or days there must be before there is a value."""
    null_rule: str | None = None
    """When it is null; None: never."""
    sources: Sources = ()
    """Columns that its values are taken from: the column lineage of the UI. A column that only chooses rows is named
    where it chooses a row as a whole (its key), not at each value of the row. A column that repeats a setting names
    the columns that the setting is held against."""
    oracles: tuple[Oracle, ...] = ()
    """Where its values are known from; (): the oracles of its table."""


@dataclass(frozen=True)
class Table:
    """One table of the warehouse.

    ``schemas`` names the warehouse schemas that hold it (``("v1", "v2")`` for a computed table);
    ``key`` identifies a row and is the sort order on disk; ``partitioned`` is False for the few
    tables that have no trading day. ``rules`` are checks over whole rows, such as high >= low.
    """

    name: str
    description: str
    schemas: tuple[str, ...]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partitioned: bool = True
    rules: tuple[Rule, ...] = ()
    oracles: tuple[Oracle, ...] = ()
    """Where the values of the columns that name no oracle of their own are known from."""

    def __hash__(self) -> int:
        # By name: hashing every column takes longer than what is looked up by it.
        return hash(self.name)

    def __post_init__(self) -> None:
        missing = set(self.key) - set(self.column_names)
        if missing:
            raise ValueError(f"table {self.name}: key columns {sorted(missing)} are not columns")

    @cached_property
    def without_provenance(self) -> Table:
        """The same table with only the columns that steps compute from."""
        kept = tuple(column for column in self.columns if not column.is_provenance)
        return self if kept == self.columns else replace(self, columns=kept)

    @property
    def column_names(self) -> list[str]:
        """Column names in storage order."""
        return [column.name for column in self.columns]

    @property
    def value_columns(self) -> tuple[Column, ...]:
        """The columns that are compared between V1 and V2: all but the key."""
        return tuple(column for column in self.columns if column.name not in self.key)

    @property
    def defined_columns(self) -> tuple[Column, ...]:
        """The columns of a computed table that have a definition: all but its key, and the day and the series of a row.

        Raises ValueError for a column that can be null without a rule that says when.
        """
        defined = tuple(
            column
            for column in self.value_columns
            if column.name not in ("trading_day", "series") or column.formula
        )
        for column in defined:
            if column.nullable and not column.null_rule:
                raise ValueError(
                    f"table {self.name}: column {column.name} can be null, no rule says when; "
                    "expected a null_rule where the column is declared"
                )
        return defined

    def sources(self, *names: str) -> Sources:
        """Columns of this table as sources of a column of another one; KeyError for one that is not there."""
        return tuple(Source(self.name, self.column(name).name) for name in names)

    def handed_on(self, *columns: Column) -> tuple[Column, ...]:
        """Columns of another table whose values are those of this one, under the same names."""
        return tuple(replace(column, sources=self.sources(column.name)) for column in columns)

    def column(self, name: str) -> Column:
        """Return the column called ``name``; KeyError names the table when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}")

    @cached_property
    def schema(self) -> pa.DataFrameSchema:
        """The pandera model: strict and ordered columns, exact dtypes, unique key, row rules."""
        import pandera.pandas as pa

        return pa.DataFrameSchema(
            {
                column.name: pa.Column(
                    column.kind.pandas_dtype,
                    checks=[check.in_pandera for check in column.checks],
                    nullable=column.nullable,
                    description=column.description,
                    metadata={"unit": column.unit, "tolerance": column.tolerance.name},
                )
                for column in self.columns
            },
            checks=[rule.in_pandera for rule in self.rules],
            strict=True,
            ordered=True,
            unique=list(self.key),
            name=self.name,
            description=self.description,
        )

    @cached_property
    def arrow_schema(self) -> pyarrow.Schema:
        """The schema on disk, with description and unit as field metadata."""
        return pyarrow.schema(
            [
                pyarrow.field(
                    column.name,
                    column.kind.arrow_type,
                    nullable=column.nullable,
                    metadata={"description": column.description, "unit": column.unit or ""},
                )
                for column in self.columns
            ]
        )

    def empty(self) -> pd.DataFrame:
        """A frame without rows that satisfies the contract."""
        return self._empty.copy()

    @cached_property
    def _empty(self) -> pd.DataFrame:
        return pd.DataFrame(
            {column.name: pd.Series(dtype=column.kind.pandas_dtype) for column in self.columns}
        )

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``frame`` with this table's column order, dtypes and sort order.

        Every column must be present by name; extra columns are an error, so that nothing is dropped unseen.
        """
        names, found = self.column_names, list(frame.columns)
        if found != names:
            missing = [name for name in names if name not in found]
            extra = [name for name in found if name not in names or found.count(name) > 1]
            if missing or extra:
                raise ValueError(
                    f"table {self.name}: missing columns {missing}, unexpected columns {extra}"
                )
            frame = frame[names]
        if not len(frame):
            return self.empty()
        # Of a few rows, converting columns to the type that they have takes longer than all else, and of a frame as a
        # whole three times as long again.
        kinds = [column.kind for column in self.columns]
        is_typed = [
            type_name(dtype) == kind.pandas_dtype
            for dtype, kind in zip(frame.dtypes, kinds, strict=True)
        ]
        if not all(is_typed):
            frame = pd.DataFrame(
                {
                    name: frame[name] if fits else frame[name].astype(kind.dtype)
                    for name, kind, fits in zip(names, kinds, is_typed, strict=True)
                },
                index=frame.index,
            )
        if in_order(frame, self.key):  # as most are; sorting takes ten times as long as looking
            return frame.reset_index(drop=True)
        return frame.sort_values(list(self.key), kind="stable", ignore_index=True)
