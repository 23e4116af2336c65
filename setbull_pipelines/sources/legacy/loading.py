"""From parts of the export to files that intake reads like any other.

Belongs here: the new names and units, the layout of the folder. Does not belong here: reading the old tables, judging
rows (intake does, with its quarantine and accounting).

The folder has ``1minute/<session>.parquet``, ``day/<month>.parquet`` and ``instruments.csv``. Old results, which are
not input, are under :data:`OLD`; intake passes over folders with a dot.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from setbull_pipelines.market.instruments import InvalidInstrumentKey, parse_instrument_key
from setbull_pipelines.sources.legacy.exporting import NO_DAY, Reached, parts_of, say_nothing
from setbull_pipelines.sources.legacy.old_tables import (
    CANDLES,
    CANDLES_5MIN,
    DAY,
    FILTERED,
    GROUP_STOCKS,
    GROUPS,
    MINUTE,
    STOCKS,
    UNIVERSE,
)

OLD = ".old"
_BAR = ("instrument_key", "timestamp", "open", "high", "low", "close", "volume", "open_interest")
_MADE_OF = b"setbull_made_of"


@dataclass
class Loaded:
    """What was written. ``bars`` are rows in the input files by interval and day or month."""

    bars: dict[tuple[str, str], int] = field(default_factory=dict)
    instruments: int = 0
    only_in_candles: int = 0
    """Instruments that have candles and no row of the old universe."""
    groups: int = 0
    notes: list[str] = field(default_factory=list)


def load(folder: Path, reached: Reached = say_nothing) -> Loaded:
    """Write every file whose parts have changed; the others stay, so that intake does not read them again."""
    loaded = Loaded()
    keys: set[str] = set()
    for interval in (MINUTE, DAY):
        written: set[str] = set()
        files = parts_of(folder, f"{CANDLES}.{interval}")
        for about, parts in files.items():
            reached(f"input files of {interval}", len(written), len(files), "files")
            path = folder / interval / f"{about.replace(' ', '-')}.parquet"
            rows = _load_bars(parts, path)
            loaded.bars[interval, about] = rows.num_rows
            keys.update(filter(None, rows["instrument_key"].unique().to_pylist()))
            written.add(path.name)
            if about == NO_DAY:
                loaded.notes.append(f"{rows.num_rows:,} rows of {interval} have no readable moment")
        _remove_others(folder / interval, written)
    _load_instruments(folder, keys, loaded)
    for table in (CANDLES_5MIN, FILTERED):
        written = set()
        for about, parts in parts_of(folder, table).items():
            path = folder / OLD / table / f"{about.replace(' ', '-')}.parquet"
            written.add(path.name)
            if not _is_made_of(path, parts):
                _write(path, _joined(parts), parts)
        _remove_others(folder / OLD / table, written)
    _load_groups(folder, loaded)
    return loaded


def old_rows(folder: Path, table: str, about: str = "all") -> pd.DataFrame:
    """Old results of a day (of :data:`CANDLES_5MIN`) or all of a table; empty where there are none."""
    path = folder / OLD / table / f"{about}.parquet"
    return pd.read_parquet(path) if path.is_file() else pd.DataFrame()


def old_days(folder: Path) -> list[str]:
    """The days with old five-minute bars."""
    return sorted(path.stem for path in (folder / OLD / CANDLES_5MIN).glob("*-*-??.parquet"))


def _load_bars(parts: Sequence[Path], path: Path) -> pyarrow.Table:
    if _is_made_of(path, parts):
        return pyarrow.parquet.read_table(path, columns=["instrument_key"])
    rows = _joined(parts)
    moments = rows.pop("moment")
    # What cannot be read stays as it was written, so that intake quarantines it with its value.
    rows["timestamp"] = moments if moments.notna().all() else rows["timestamp"]
    if "open_interest" not in rows:
        rows["open_interest"] = None
    rows = rows[list(_BAR)].sort_values(["instrument_key", "timestamp"], kind="stable")
    for name in _BAR[2:]:
        numbers = pd.to_numeric(rows[name], errors="coerce")
        if (numbers.notna() == rows[name].notna()).all():
            whole = name in ("volume", "open_interest") and (numbers.dropna() % 1 == 0).all()
            rows[name] = numbers.astype("Int64") if whole else numbers
    return _write(path, rows, parts)


def _remove_others(folder: Path, written: set[str]) -> None:
    """Files of parts that are there no longer."""
    for path in folder.glob("*.parquet"):
        if path.name not in written:
            path.unlink()


def _joined(parts: Iterable[Path]) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)


def _made_of(parts: Sequence[Path]) -> bytes:
    stated = "|".join(
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in parts
    )
    return hashlib.blake2b(stated.encode(), digest_size=16).hexdigest().encode()


def _is_made_of(path: Path, parts: Sequence[Path]) -> bool:
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata or {}
    except (OSError, pyarrow.ArrowException):
        return False
    return metadata.get(_MADE_OF) == _made_of(parts)


def _write(path: Path, rows: pd.DataFrame, parts: Sequence[Path]) -> pyarrow.Table:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({_MADE_OF: _made_of(parts)})
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    pyarrow.parquet.write_table(table, temporary, compression="zstd")
    temporary.replace(path)
    return table


def _write_csv(path: Path, rows: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = rows.to_csv(index=False)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _table(folder: Path, table: str) -> pd.DataFrame:
    parts = parts_of(folder, table).get("all", [])
    return _joined(parts) if parts else pd.DataFrame()


def _is_key(key: str | None) -> bool:
    try:
        parse_instrument_key(key or "")
    except InvalidInstrumentKey:
        return False
    return True


def _load_instruments(folder: Path, of_candles: set[str], loaded: Loaded) -> None:
    """The universe, with ticks as the broker states them, and instruments that only candles know."""
    universe = _table(folder, UNIVERSE)
    if universe.empty:
        return
    universe = universe.drop_duplicates("instrument_key", keep="last")
    listed = pd.DataFrame(
        {
            "instrument_key": universe["instrument_key"],
            # The old symbol was cut at the hyphen; the trading symbol was not.
            "symbol": universe.get("trading_symbol", universe["symbol"]).fillna(universe["symbol"]),
            "name": universe.get("name"),
            "exchange_token": universe.get("exchange_token"),
            # The broker's paise were stored as if they were rupees.
            "tick_size_paise": universe.get("tick_size"),
            "lot_size": universe.get("lot_size"),
            "instrument_type": universe.get("instrument_type"),
        }
    )
    missing = sorted(key for key in of_candles - set(listed["instrument_key"]) if _is_key(key))
    added = pd.DataFrame(
        {"instrument_key": missing, "symbol": [key.partition("|")[2] for key in missing]}
    )
    loaded.instruments, loaded.only_in_candles = len(listed), len(added)
    everything = pd.concat([listed, added], ignore_index=True) if missing else listed
    _write_csv(folder / "instruments.csv", everything.sort_values("instrument_key"))


def _load_groups(folder: Path, loaded: Loaded) -> None:
    """A file for the setting ``groups.file``, without the stop loss, which the old tables keep elsewhere."""
    groups, members, stocks = (_table(folder, table) for table in (GROUPS, GROUP_STOCKS, STOCKS))
    if groups.empty:
        return
    loaded.groups = len(groups)
    if members.empty or stocks.empty:
        loaded.notes.append(
            f"{GROUPS}: its instruments are in {GROUP_STOCKS} and {STOCKS}, which are not here"
        )
        return
    universe = _table(folder, UNIVERSE)
    keys = (
        {}
        if universe.empty
        else dict(zip(universe["symbol"], universe["instrument_key"], strict=True))
    )
    joined = members.merge(groups, left_on="group_id", right_on="id", suffixes=("_member", ""))
    joined = joined.merge(stocks, left_on="stock_id", right_on="id", suffixes=("", "_stock"))
    rows = pd.DataFrame(
        {
            "group_id": joined["group_id"],
            "instrument_key": joined["symbol"].map(keys).fillna(""),
            "entry_type": joined["entry_type"],
            "stop_loss_percent": "",
        }
    )
    path = folder / OLD / "groups.csv"
    _write_csv(path, rows.sort_values(["group_id", "instrument_key"]))
    loaded.notes.append(
        f"{GROUPS}: {path} has the groups; stop_loss_percent was kept with trade parameters, fill it in and name the "
        "file in groups.file"
    )
