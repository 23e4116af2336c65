"""The landing: what was read from one input file, kept so that it is never read again.

Belongs here: the files of one landing folder, their atomic writing and their reading back, whole or by
trading day. Does not belong here: judging rows, anything that concerns several files (``intake.py``).

A folder holds ``manifest.json`` and ``rejected.parquet``, for candles also ``candles.parquet`` (a trading day is
never split over row groups, so that a day is read without the others) and ``coverage.parquet``, for
instruments ``instruments.parquet``, for stocks with derivatives ``derivatives.parquet``, for corporate actions and
aliases ``facts.parquet``. It is complete or absent: written beside and renamed. The manifest holds the hash of every
file and of itself; nothing is told of a file that does not have its hash.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet

from setbull_pipelines.market.calendar import NSE
from setbull_pipelines.sources import checked_json
from setbull_pipelines.sources.candle_files import LANDED_SCHEMA, CheckedCandles
from setbull_pipelines.sources.corporate_files import ACTIONS_KIND, ALIASES_KIND, CheckedFacts
from setbull_pipelines.sources.derivative_files import CheckedDerivatives
from setbull_pipelines.sources.universe_files import CheckedUniverse
from setbull_pipelines.tables import (
    CORPORATE_ACTIONS,
    DERIVATIVE_UNDERLYINGS,
    INSTRUMENT_ALIASES,
    INSTRUMENTS,
    QUARANTINE,
)

INSTRUMENTS_KIND, DERIVATIVES_KIND, REJECTED_KIND = "instruments", "derivatives", "rejected"
NOT_READ_KIND = "not read"
"""A file that is listed and nothing more."""

_FEWEST_ROWS_IN_A_GROUP = 20_000
_COVERAGE_SCHEMA = pyarrow.schema(
    [
        LANDED_SCHEMA.field("trading_day"),
        LANDED_SCHEMA.field("instrument_key"),
        pyarrow.field("rows", pyarrow.int64(), nullable=False),
        pyarrow.field("rows_in_closing_auction", pyarrow.int64(), nullable=False),
    ]
)
_REJECTED_SCHEMA = pyarrow.schema(
    [field for field in QUARANTINE.arrow_schema if field.name != "source"]
)
_INSTRUMENTS_SCHEMA = pyarrow.schema(
    [field for field in INSTRUMENTS.arrow_schema if field.name != "source"]
)
_DERIVATIVES_SCHEMA = pyarrow.schema(
    [field for field in DERIVATIVE_UNDERLYINGS.arrow_schema if field.name != "source"]
)
_FACTS_SCHEMAS = {
    kind: pyarrow.schema(
        [
            *(field for field in table.arrow_schema if field.name != "source"),
            LANDED_SCHEMA.field("line"),
        ]
    )
    for kind, table in ((ACTIONS_KIND, CORPORATE_ACTIONS), (ALIASES_KIND, INSTRUMENT_ALIASES))
}
_MANIFEST = "manifest.json"
_ABOUT_FILES = ("sizes", "hashes")


@dataclass(frozen=True)
class Rejection:
    """A file that is of no use as a whole, and why; ``is_other`` when it need not be meant as input at all."""

    reason: str
    is_other: bool = False
    rule: str = "unreadable file"
    line: int | None = None
    value: str | None = None
    count: int | None = None


class DamagedLanding(ValueError):
    """A landed file is not what was written; the message names it and says what to do."""


@dataclass(frozen=True)
class Landing:
    """One landed file. ``manifest`` holds its kind and counts; rows are read from disk when asked for.

    Every byte of a file is checked before the first rows of it are told. ``land_again`` writes the folder anew from
    the input, or does nothing when that is no longer what was landed; None where there is no input to read.
    Whatever reads rows raises DamagedLanding.
    """

    folder: Path
    manifest: dict[str, Any]
    land_again: Callable[[], None] | None = None
    _checked: set[str] = field(default_factory=set, compare=False, repr=False)

    @property
    def kind(self) -> str:
        """``minutes``, ``daily``, ``instruments``, ``derivatives``, ``corporate_actions``, ``instrument_aliases``,
        ``rejected`` or ``not read``."""
        return self.manifest["kind"]

    @cached_property
    def days(self) -> pd.DataFrame:
        """Per trading day, sorted: ``trading_day``, ``accepted``, ``rejected``, ``row_group`` (-1 without candles)."""
        columns = ("trading_day", "accepted", "rejected", "row_group")
        frame = pd.DataFrame(self.manifest["days"], columns=columns)
        return frame.astype(
            {"trading_day": "datetime64[us]", **dict.fromkeys(columns[1:], "int64")}
        )

    def candles(self, days: Sequence[date]) -> pyarrow.Table:
        """Accepted rows of the given days, in landing order."""
        wanted = pd.DatetimeIndex(days).as_unit("us")
        chosen = self.days[self.days["trading_day"].isin(wanted) & (self.days["row_group"] >= 0)]
        groups = sorted(set(chosen["row_group"]))
        if not groups:
            return LANDED_SCHEMA.empty_table()
        with pyarrow.parquet.ParquetFile(self._whole("candles.parquet")) as file:
            table = file.read_row_groups(groups)
        found = table["trading_day"].cast(pyarrow.int32()).to_numpy()
        keep = np.isin(found, chosen["trading_day"].to_numpy("datetime64[D]").astype("int32"))
        return table if keep.all() else table.filter(pyarrow.array(keep))

    def coverage(self) -> pyarrow.Table:
        """Distinct accepted bars (``rows``) per ``trading_day`` and ``instrument_key``, a dictionary in one chunk.

        ``rows_in_closing_auction`` of them start when stocks with derivatives trade no longer continuously.
        """
        return pyarrow.parquet.read_table(self._whole("coverage.parquet")).unify_dictionaries()

    def rejected(self, days: Sequence[date] | None) -> pd.DataFrame:
        """Quarantined rows of the given trading days, or with None those without a trading day."""
        day = compute.field("trading_day")
        if days is None:
            expected, chosen = self.manifest["unassigned"], day.is_null()
        else:
            wanted = self.days["trading_day"].isin(pd.DatetimeIndex(days).as_unit("us"))
            expected = self.days.loc[wanted, "rejected"].sum()
            chosen = day.isin(pyarrow.array(list(days), pyarrow.date32()))
        if not expected:
            return _nothing_rejected().copy()
        path = self._whole("rejected.parquet")
        return _pandas(pyarrow.parquet.read_table(path, filters=chosen))

    def instruments(self) -> pd.DataFrame:
        """The rows of an instrument file, as ``raw.instruments`` without the source."""
        return _pandas(pyarrow.parquet.read_table(self._whole("instruments.parquet")))

    def derivatives(self) -> pd.DataFrame:
        """The rows of a list of stocks with derivatives, as ``raw.derivative_underlyings`` without the source."""
        return _pandas(pyarrow.parquet.read_table(self._whole("derivatives.parquet")))

    def facts(self) -> pd.DataFrame:
        """The rows of a file of corporate actions or aliases: its table without the source, and the line."""
        return _pandas(pyarrow.parquet.read_table(self._whole("facts.parquet")))

    def _whole(self, name: str) -> Path:
        """The path of a file of the folder that is what was written."""
        path = self.folder / name
        if name not in self._checked:
            if not _is_as_written(path, self.manifest) and not self._is_whole_again(path):
                raise DamagedLanding(
                    f"{path}: found other bytes than were written, expected what was read of an input file, and that "
                    "cannot be read again; restore the folder from a backup, or take the file out of the input for "
                    "one run, so that its earlier contents no longer count"
                )
            self._checked.add(name)
        return path

    def _is_whole_again(self, path: Path) -> bool:
        if self.land_again is None:
            return False
        self.land_again()
        landed = open_landing(self.folder)
        # Other row groups than those of the manifest that is in use would be read as other days.
        return (
            landed is not None
            and _told(landed.manifest) == _told(self.manifest)
            and _is_as_written(path, landed.manifest)
        )


def open_landing(folder: Path, land_again: Callable[[], None] | None = None) -> Landing | None:
    """The landing in ``folder``; None when there is none or one of its files is missing or cut short."""
    try:
        manifest = checked_json.read(folder / _MANIFEST)
        whole = all(
            (folder / name).stat().st_size == size for name, size in manifest["sizes"].items()
        )
    except (OSError, ValueError, KeyError):
        return None
    return Landing(folder, manifest, land_again) if whole else None


def adopt_landing(folder: Path) -> Landing | None:
    """The landing in ``folder`` of a version that recorded no hashes: those of the files as they are count from now on.

    None when there is none, or it is not whole.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in manifest["sizes"]}
        if sizes != manifest["sizes"]:
            return None
        _write_manifest(folder, manifest)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return open_landing(folder)


def remove_landing(folder: Path) -> None:
    """Forget what was landed in ``folder``, so that the input is read again."""
    shutil.rmtree(folder, ignore_errors=True)


def land_candles(folder: Path, checked: CheckedCandles) -> Landing:
    """Write the judged rows of a candle file."""
    accepted = checked.accepted
    row_days = accepted["trading_day"].cast(pyarrow.int32()).to_numpy()
    days, starts = np.unique(row_days, return_index=True)
    bounds = np.append(starts, len(row_days))
    group_of_day = _row_groups(np.diff(bounds))
    rejected_days = checked.rejected["trading_day"].dropna().to_numpy().astype("datetime64[D]")
    manifest = {
        "kind": checked.kind,
        **_counts(checked.received, checked.rejected),
        "taken_for": "; ".join((f"{checked.kind} candles", *checked.notes)),
        "keyed_by_symbol": checked.keyed_by_symbol,
        "last_symbols": checked.last_symbols,
        "ignored_columns": checked.ignored_columns,
        "provisional": checked.provisional,
        "days": _day_rows(days, np.diff(bounds), group_of_day, rejected_days),
    }

    def write(target: Path) -> None:
        with pyarrow.parquet.ParquetWriter(
            target / "candles.parquet", accepted.schema, compression="zstd"
        ) as writer:
            for group in np.unique(group_of_day):
                chosen = np.flatnonzero(group_of_day == group)
                first, end = bounds[chosen[0]], bounds[chosen[-1] + 1]
                writer.write_table(accepted.slice(first, end - first), row_group_size=end - first)
        _write(target / "coverage.parquet", _coverage(accepted))
        _write_rejected(target, checked.rejected)

    return _publish(folder, manifest, write)


def land_universe(folder: Path, checked: CheckedUniverse) -> Landing:
    """Write the judged rows of an instrument file."""
    manifest = {
        "kind": INSTRUMENTS_KIND,
        "taken_for": "list of instruments",
        **_counts(checked.received, checked.rejected),
        "keys_by_symbol": checked.keys_by_symbol,
        "ignored_columns": [],
        "days": [],
    }

    def write(target: Path) -> None:
        _write(target / "instruments.parquet", _table(checked.instruments, _INSTRUMENTS_SCHEMA))
        _write_rejected(target, checked.rejected)

    return _publish(folder, manifest, write)


def land_derivatives(folder: Path, checked: CheckedDerivatives) -> Landing:
    """Write the judged rows of a list of stocks with derivatives."""
    manifest = {
        "kind": DERIVATIVES_KIND,
        "taken_for": "list of stocks with derivatives",
        **_counts(checked.received, checked.rejected),
        "keyed_by_symbol": checked.keyed_by_symbol,
        "ignored_columns": checked.ignored_columns,
        "days": [],
    }

    def write(target: Path) -> None:
        _write(target / "derivatives.parquet", _table(checked.underlyings, _DERIVATIVES_SCHEMA))
        _write_rejected(target, checked.rejected)

    return _publish(folder, manifest, write)


def land_facts(folder: Path, checked: CheckedFacts) -> Landing:
    """Write the judged rows of a file of corporate actions or aliases."""
    manifest = {
        "kind": checked.kind,
        "taken_for": checked.kind.replace("_", " "),
        **_counts(checked.received, checked.rejected),
        "keyed_by_symbol": checked.keyed_by_symbol,
        "ignored_columns": [],
        "days": [],
    }

    def write(target: Path) -> None:
        schema = _FACTS_SCHEMAS[checked.kind]
        _write(target / "facts.parquet", _table(checked.accepted[schema.names], schema))
        _write_rejected(target, checked.rejected)

    return _publish(folder, manifest, write)


def land_rejection(folder: Path, rejection: Rejection) -> Landing:
    """Remember that a file is of no use, and why."""
    empty = pd.DataFrame(columns=_REJECTED_SCHEMA.names)
    manifest = {
        "kind": NOT_READ_KIND if rejection.is_other else REJECTED_KIND,
        "reason": rejection.reason,
        "broken": {name: getattr(rejection, name) for name in ("rule", "line", "value", "count")},
        **_counts(0, empty),
        "days": [],
    }
    return _publish(folder, manifest, lambda target: _write_rejected(target, empty))


def _counts(received: int, rejected: pd.DataFrame) -> dict[str, int]:
    unassigned = int(rejected["trading_day"].isna().sum())
    return {
        "received": received,
        "assigned": received - unassigned,
        "unassigned": unassigned,
    }


def _row_groups(rows_per_day: np.ndarray) -> np.ndarray:
    """The row group of each day: whole days together until a group is worth reading."""
    groups = np.zeros(len(rows_per_day), "int64")
    group = rows = 0
    for position, count in enumerate(rows_per_day):
        if rows >= _FEWEST_ROWS_IN_A_GROUP:
            group, rows = group + 1, 0
        groups[position] = group
        rows += count
    return groups


def _day_rows(
    days: np.ndarray, accepted: np.ndarray, groups: np.ndarray, rejected_days: np.ndarray
) -> list[list[Any]]:
    frame = pd.DataFrame(
        {"accepted": accepted, "row_group": groups}, index=days.astype("datetime64[D]")
    )
    rejected, counts = np.unique(rejected_days, return_counts=True)
    frame = frame.reindex(frame.index.union(rejected))
    frame["rejected"] = pd.Series(counts, index=rejected)
    frame = frame.fillna({"accepted": 0, "rejected": 0, "row_group": -1}).astype("int64")
    return [
        [str(day.date()), int(row.accepted), int(row.rejected), int(row.row_group)]
        for day, row in zip(pd.DatetimeIndex(frame.index), frame.itertuples(), strict=True)
    ]


def _coverage(accepted: pyarrow.Table) -> pyarrow.Table:
    days = accepted["trading_day"].combine_chunks()
    keys = accepted["instrument_key"].combine_chunks()
    codes = keys.indices.to_numpy()
    moments = accepted["timestamp"].cast(pyarrow.int64()).to_numpy()
    numbers = days.cast(pyarrow.int32()).to_numpy()
    new_pair = np.ones(len(codes), bool)
    new_pair[1:] = (numbers[1:] != numbers[:-1]) | (codes[1:] != codes[:-1])
    new_bar = new_pair.copy()
    new_bar[1:] |= moments[1:] != moments[:-1]
    starts = np.flatnonzero(new_pair)
    counts = [
        np.add.reduceat(counted, starts, dtype="int64") if len(starts) else np.array([], "int64")
        for counted in (new_bar, new_bar & _in_closing_auction(accepted, numbers))
    ]
    first = pyarrow.array(starts)
    return pyarrow.table(
        [days.take(first), keys.take(first), *map(pyarrow.array, counts)], schema=_COVERAGE_SCHEMA
    )


def _in_closing_auction(accepted: pyarrow.Table, numbers: np.ndarray) -> np.ndarray:
    """The rows that are not continuous trading if their instrument has derivatives."""
    days = np.unique(numbers)
    with_auction = [NSE.has_closing_auction(day) for day in days.astype("datetime64[D]").tolist()]
    affected = np.isin(numbers, days[np.array(with_auction, bool)])
    if not affected.any():
        return affected
    clock = compute.local_timestamp(accepted["timestamp"]).cast(pyarrow.time64("us"))
    late = compute.greater_equal(clock, pyarrow.scalar(NSE.closing_auction.start, clock.type))
    return affected & late.to_numpy()


def _write_rejected(target: Path, rejected: pd.DataFrame) -> None:
    typed = rejected.astype(
        {
            column.name: column.kind.pandas_dtype
            for column in QUARANTINE.columns
            if column.name in rejected.columns
        }
    )
    ordered = typed.sort_values(["trading_day", "line"], ignore_index=True)
    _write(target / "rejected.parquet", _table(ordered, _REJECTED_SCHEMA))


def _table(frame: pd.DataFrame, schema: pyarrow.Schema) -> pyarrow.Table:
    return pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)


def _write(path: Path, table: pyarrow.Table) -> None:
    pyarrow.parquet.write_table(
        table, path, compression="zstd", row_group_size=_FEWEST_ROWS_IN_A_GROUP
    )


@cache  # files are asked by the hundred, and most have nothing
def _nothing_rejected() -> pd.DataFrame:
    return _pandas(_REJECTED_SCHEMA.empty_table())


def _pandas(table: pyarrow.Table) -> pd.DataFrame:
    """Text as ``str``, days as naive midnight; integers that may be null stay nullable."""
    nullable = {
        field.name: "Int64"
        for field in table.schema
        if pyarrow.types.is_int64(field.type) and field.nullable
    }
    texts = {
        field.name: "str"
        for field in table.schema
        if pyarrow.types.is_dictionary(field.type) or pyarrow.types.is_string(field.type)
    }
    days = {
        field.name: "datetime64[us]" for field in table.schema if pyarrow.types.is_date(field.type)
    }
    frame = table.to_pandas(date_as_object=False)
    return frame.astype(nullable | texts | days)


def _publish(folder: Path, manifest: dict[str, Any], write: Any) -> Landing:
    target = Path(tempfile.mkdtemp(prefix=".landing-", dir=folder.parent))
    try:
        write(target)
        _write_manifest(target, manifest)
        for file in target.iterdir():
            _flush(file)
        if folder.exists() and open_landing(folder) is None:
            shutil.rmtree(folder)  # cut short by something other than this module
        try:
            os.rename(target, folder)
        except OSError:
            # Somebody else landed the same bytes meanwhile: theirs are as good.
            if open_landing(folder) is None:
                raise
        _flush(folder.parent)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return Landing(folder, manifest)


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Complete ``manifest`` by what is known of the files of ``folder``, and put it there."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix == ".parquet"]
    manifest["sizes"] = {path.name: path.stat().st_size for path in files}
    manifest["hashes"] = {path.name: checked_json.hash_of_file(path) for path in files}
    temporary = folder / f".{_MANIFEST}"
    temporary.write_text(checked_json.to_text(manifest), encoding="utf-8")
    os.replace(temporary, folder / _MANIFEST)


def _is_as_written(path: Path, manifest: dict[str, Any]) -> bool:
    try:
        return checked_json.hash_of_file(path) == manifest["hashes"][path.name]
    except OSError:
        return False


def _told(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of the rows. As text and back: what was just landed has tuples and numbers of NumPy."""
    said = {name: value for name, value in manifest.items() if name not in _ABOUT_FILES}
    return json.loads(json.dumps(said))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
