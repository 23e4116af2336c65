"""The landing: what was read from one input file, kept so that it is never read again.

Belongs here: the files of one landing folder and their reading back, whole or by trading day. Does not belong here:
writing them (``landing_writing.py``), judging rows, anything that concerns several files (``intake.py``).

A folder holds ``manifest.json`` and ``rejected.parquet``, for candles also ``candles.parquet`` (a trading day is
never split over row groups, so that a day is read without the others) and ``coverage.parquet``, for
instruments ``instruments.parquet``, for stocks with derivatives ``derivatives.parquet``, for corporate actions and
aliases ``facts.parquet``. It is complete or absent: written beside and renamed. The manifest holds the hash of every
file and of itself; a file that does not have its hash is never read.
"""

from __future__ import annotations

import json
import shutil
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

from setbull_pipelines import disk
from setbull_pipelines.sources import checked_json
from setbull_pipelines.sources.candle_files import LANDED_SCHEMA
from setbull_pipelines.tables import (
    QUARANTINE,
)

INSTRUMENTS_KIND, DERIVATIVES_KIND, REJECTED_KIND = "instruments", "derivatives", "rejected"
NOT_READ_KIND = "not read"
"""A file that is listed and nothing more."""

REJECTED_SCHEMA = pyarrow.schema(
    [field for field in QUARANTINE.arrow_schema if field.name != "source"]
)
_MANIFEST = "manifest.json"
_ABOUT_FILES = ("sizes", "hashes")


class DamagedLanding(ValueError):
    """A landed file is not what was written; the message names it and says what to do."""


@dataclass(frozen=True)
class Landing:
    """One landed file. ``manifest`` holds its kind and counts; rows are read from disk when asked for.

    Every byte of a file is checked before its first rows are returned. ``land_again`` writes the folder anew from
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

    def is_as_written(self) -> bool:
        """Whether every file of the folder has the hash of what was written."""
        return all(
            _is_as_written(self.folder / name, self.manifest) for name in self.manifest["hashes"]
        )

    def require_whole(self) -> None:
        """Read every file of the folder against its hash, and have it landed again where it is damaged.

        DamagedLanding where the input is no longer what it was.
        """
        for name in self.manifest["hashes"]:
            self._whole(name)

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
        write_manifest(folder, manifest)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return open_landing(folder)


def remove_landing(folder: Path) -> None:
    """Forget what was landed in ``folder``, so that the input is read again."""
    shutil.rmtree(folder, ignore_errors=True)


@cache  # files are asked by the hundred, and most have nothing
def _nothing_rejected() -> pd.DataFrame:
    return _pandas(REJECTED_SCHEMA.empty_table())


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


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Complete ``manifest`` by what is known of the files of ``folder``, and put it there."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix == ".parquet"]
    manifest["sizes"] = {path.name: path.stat().st_size for path in files}
    manifest["hashes"] = {path.name: checked_json.hash_of_file(path) for path in files}
    disk.replace_derived(folder / _MANIFEST, checked_json.to_text(manifest).encode())


def _is_as_written(path: Path, manifest: dict[str, Any]) -> bool:
    try:
        return checked_json.hash_of_file(path) == manifest["hashes"][path.name]
    except OSError:
        return False


def _told(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of the rows. As text and back: what was just landed has tuples and numbers of NumPy."""
    said = {name: value for name, value in manifest.items() if name not in _ABOUT_FILES}
    return json.loads(json.dumps(said))
