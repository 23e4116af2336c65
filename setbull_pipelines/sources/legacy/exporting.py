"""The export: every row of the old tables once, in parts that a killed import goes on from.

Belongs here: which streams there are, the parts on disk, the state of an import. Does not belong here: reading one kind
of stream, making input files of the parts (``loading.py``).

Parts are written first, under names that follow from stream and chunk, then the state is replaced: what a kill leaves
half done is written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from setbull_pipelines import disk
from setbull_pipelines.sources.legacy.clock import moments_of, zone_of
from setbull_pipelines.sources.legacy.csv_exports import export_stream
from setbull_pipelines.sources.legacy.old_tables import (
    CANDLES,
    CANDLES_5MIN,
    COLUMNS,
    DAY,
    FILTERED,
    MINUTE,
    CannotImport,
    Chunk,
    Progress,
    Stream,
)
from setbull_pipelines.sources.legacy.sql_dumps import dump_stream
from setbull_pipelines.tables.contract import INDIA

PARTS, STATE = ".export", "state.json"
NO_DAY = "without a day"
Told = Callable[[str], None]
Reached = Callable[[str, int, int | None, str], None]
"""Told of a work what is done, of how much (None where nobody knows), and the unit."""
_MIB = 2**20


def say_nothing(work: str, done: int, total: int | None, unit: str) -> None:
    """For those who do not ask how far the work is."""


@dataclass
class State:
    """What is known of the streams: progress, identity, zone, and rows by table, interval and day."""

    streams: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> State:
        """The state of an import folder; empty before the first part."""
        try:
            return cls(json.loads((folder / PARTS / STATE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except ValueError as error:
            raise CannotImport(
                f"{folder / PARTS / STATE}: cannot be read ({error}); delete the folder {PARTS} to import anew"
            ) from None

    def write(self, folder: Path) -> None:
        """Replace the stored state as a whole."""
        disk.replace_durably(folder / PARTS / STATE, json.dumps(self.streams).encode())

    def counts(self) -> Counter[tuple[str, str, str]]:
        """Rows by table, interval and day (or :data:`NO_DAY`)."""
        found: Counter[tuple[str, str, str]] = Counter()
        for known in self.streams.values():
            for table, interval, day, rows in known["counts"]:
                found[table, interval, day] += rows
        return found


def miscounted(state: State) -> list[str]:
    """Where a database counts other rows by interval and day than were exported, in sentences."""
    found = []
    for name, known in state.streams.items():
        if known.get("there") is None:
            continue
        there = Counter({(row[0], row[1]): row[2] for row in known["there"]})
        here = Counter({(row[1], row[2]): row[3] for row in known["counts"]})
        for interval, day in sorted(there.keys() | here.keys()):
            counted, exported = there[interval, day], here[interval, day]
            if counted != exported:
                found.append(
                    f"{name} {interval} {day}: the database counts {counted:,} rows, {exported:,} were exported"
                )
    return found


def file_streams(source: Path) -> list[Stream]:
    """The dumps and exports of a file or folder. Raises CannotImport when there is none."""
    if not source.exists():
        raise CannotImport(
            f"{source}: found nothing there, expected a dump, an export or a folder of them"
        )
    files = [source] if source.is_file() else sorted(filter(Path.is_file, source.rglob("*")))
    streams: list[Stream] = []
    others = []
    for path in files:
        name = path.name if source.is_file() else path.relative_to(source).as_posix()
        kind = "".join(path.suffixes[-2:] if path.suffix == ".gz" else [path.suffix]).lower()
        stream: Stream | None = None
        try:
            if kind in (".sql", ".sql.gz", ".dump"):
                stream = dump_stream(path, name)
            elif kind in (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz"):
                stream = export_stream(path, name)
        except (OSError, EOFError, zlib.error) as error:
            raise CannotImport(
                f"{path}: cannot be read ({error}), expected a whole file"
            ) from error
        if stream:
            streams.append(stream)
        else:
            others.append(name)
    if not streams:
        raise CannotImport(
            f"{source}: found {', '.join(others[:3]) or 'no file'}, expected SQL dumps (.sql, .sql.gz) or CSV exports "
            "with a header, named by their table, such as stock_candle_data.csv"
        )
    return streams


def export(
    streams: Sequence[Stream],
    folder: Path,
    zone: str | None,
    told: Told,
    reached: Reached = say_nothing,
) -> State:
    """Bring the parts in ``folder`` up to the streams, from where the last import stopped. Raises CannotImport."""
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    disk.sweep(folder / PARTS)
    state = State.read(folder)
    gone = [name for name in state.streams if name not in {stream.name for stream in streams}]
    for name in gone:
        _forget(state, name, folder)
    for stream in streams:
        known = state.streams.get(stream.name)
        if known and (known["identity"] != stream.identity or (zone and known["zone"] != zone)):
            _forget(state, stream.name, folder)
        known = state.streams.setdefault(
            stream.name,
            {"identity": stream.identity, "zone": zone, "chunks": 0, "mark": "", "counts": []},
        )
        before = sum(row[3] for row in known["counts"])
        for chunk in stream.chunks(Progress(known["chunks"], known["mark"])):
            if known["zone"] is None:
                known["zone"] = zone_of(chunk, stream.states_utc)
            counts = _write_parts(chunk, known["zone"] or INDIA, folder)
            merged = Counter({tuple(row[:3]): row[3] for row in known["counts"]})
            merged.update(counts)
            known["counts"] = [[*key, rows] for key, rows in sorted(merged.items())]
            known["chunks"], known["mark"] = chunk.number + 1, chunk.mark
            state.write(folder)
            if chunk.read:
                done, there = chunk.read
                reached(stream.name, done // _MIB, there // _MIB, "MiB")
            else:
                reached(stream.name, sum(row[3] for row in known["counts"]), None, "rows")
        if known["zone"]:
            known["there"] = stream.counts_there(
                Progress(known["chunks"], known["mark"]), known["zone"]
            )
            state.write(folder)
        rows = sum(row[3] for row in known["counts"])
        told(
            f"{stream.name}: {rows:,} rows ({rows - before:,} new), moments in {known['zone'] or '-'}"
        )
    if not state.counts():
        raise CannotImport(
            f"{', '.join(state.streams)}: found no row of the old tables ({', '.join(COLUMNS)}), expected statements "
            "as mysqldump writes them, each from the beginning of a line, or rows below a header"
        )
    return state


def parts_of(folder: Path, kind: str) -> dict[str, list[Path]]:
    """The parts of a kind by what they are about (a day or a month, or "all"), each in the order of its chunks."""
    root = folder / PARTS / kind
    if not root.is_dir():
        return {}
    found = {about.name: sorted(about.glob("*.parquet")) for about in sorted(root.iterdir())}
    return {about: parts for about, parts in found.items() if parts}


def _forget(state: State, name: str, folder: Path) -> None:
    for path in (folder / PARTS).rglob(f"{_mark_of(name)}-*.parquet"):
        path.unlink()
    del state.streams[name]
    state.write(folder)


def _mark_of(stream: str) -> str:
    return hashlib.blake2b(stream.encode(), digest_size=6).hexdigest()


def _write_parts(chunk: Chunk, zone: str, folder: Path) -> Mapping[tuple[str, str, str], int]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for kind, about, counted, rows in _divided(chunk, zone):
        place = folder / PARTS / kind / about
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{_mark_of(chunk.stream)}-{chunk.number:08d}.parquet"
        temporary = path.with_suffix(f".{os.getpid()}")
        rows.to_parquet(temporary, index=False)
        temporary.replace(path)
        for (interval, day), of_day in counted.value_counts().items():
            counts[chunk.table, interval, day] += int(of_day)
    return counts


def _divided(chunk: Chunk, zone: str) -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """Per part of a chunk: its kind, what it is about, interval and day of every row, and the rows.

    Kinds and what they are about are never texts of the source: they are names of folders.
    """
    rows = chunk.rows
    counted = pd.DataFrame({"interval": "", "day": ""}, index=rows.index)
    if chunk.table not in (CANDLES, CANDLES_5MIN):
        if chunk.table == FILTERED:
            counted["day"] = _filter_days(rows["filter_date"])
            rows = rows.assign(trading_day=counted["day"])
        yield chunk.table, "all", counted, rows
        return
    rows = rows.assign(moment=moments_of(rows["timestamp"], zone))
    counted["day"] = rows["moment"].dt.strftime("%Y-%m-%d").fillna(NO_DAY)
    if chunk.table == CANDLES_5MIN:
        counted["interval"] = rows.get("time_interval", counted["interval"]).fillna("")
        kinds, about = pd.Series(CANDLES_5MIN, rows.index), counted["day"]
    else:
        counted["interval"] = rows["time_interval"].fillna("")
        is_known = counted["interval"].isin([MINUTE, DAY])
        kinds = (CANDLES + "." + counted["interval"]).where(is_known, f"{CANDLES}.other")
        months = counted["day"].str[:7].where(counted["day"] != NO_DAY, NO_DAY)
        about = counted["day"].where(counted["interval"] != DAY, months).where(is_known, "all")
    for (kind, name), part in rows.groupby([kinds, about], sort=True):
        yield str(kind), str(name), counted.loc[part.index], part


def _filter_days(dates: pd.Series) -> pd.Series:
    """The old system cut the date to midnight UTC; a dump in UTC shows the evening before."""
    moments = pd.to_datetime(dates, errors="coerce", format="mixed")
    days = (moments + pd.Timedelta(hours=5, minutes=30)).where(moments.dt.hour >= 18, moments)
    return days.dt.strftime("%Y-%m-%d").fillna(NO_DAY)
