"""Candle files made of kept answers, for intake: one per session of minutes, one per month of daily bars.

Belongs here: which answer counts for a session, and writing the files. Does not belong here: judging candles,
asking for them. A file per answer would be as many files as instruments times days, each read at every run.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from setbull_pipelines import disk
from setbull_pipelines.market.calendar import TradingCalendar
from setbull_pipelines.sources.parquet_rows import PROVISIONAL_MARK
from setbull_pipelines.sources.upstox import answers
from setbull_pipelines.sources.upstox.answers import Candles, read_answer
from setbull_pipelines.sources.upstox.calls import MINUTE, Call, Interval
from setbull_pipelines.sources.upstox.kept import (
    DamagedAnswer,
    KeptAnswer,
    KeptAnswers,
    final_sessions,
)
from setbull_pipelines.tables.contract import INDIA

_SCHEMA = pyarrow.schema(
    [
        ("instrument_key", pyarrow.string()),
        ("timestamp", pyarrow.timestamp("us", tz=INDIA)),
        *((name, pyarrow.float64()) for name in ("open", "high", "low", "close")),
        ("volume", pyarrow.float64()),
        ("open_interest", pyarrow.float64()),
    ]
)
"""Numbers as received: a volume with a fraction must reach intake, which refuses it."""
_MADE_OF = b"setbull.made_of"
_FILES_AT_ONCE = 32
_ROWS_IN_A_GROUP = 50_000
_INDIA_FROM_UTC = np.timedelta64(330, "m")


@dataclass(frozen=True)
class CandleFiles:
    """How many files were written, how many were as they should be, and which answers were damaged."""

    written: int
    unchanged: int
    damaged: tuple[str, ...]


def write_candle_files(
    kept: KeptAnswers, folder: Path, interval: Interval, calendar: TradingCalendar
) -> CandleFiles:
    """Bring the files in ``folder`` up to date with the kept answers; files of unchanged answers stay."""
    folder.mkdir(parents=True, exist_ok=True)
    damaged: list[str] = []
    while True:
        try:
            written, unchanged = _bring_up_to_date(kept, folder, interval, calendar)
        except DamagedAnswer as error:
            # It was removed, so that each turn has one answer less to stumble over.
            damaged.append(str(error))
        else:
            return CandleFiles(written, unchanged, tuple(damaged))


def _bring_up_to_date(
    kept: KeptAnswers, folder: Path, interval: Interval, calendar: TradingCalendar
) -> tuple[int, int]:
    disk.sweep(folder)
    keys = kept.instruments(interval)
    parts: dict[str, set[str]] = defaultdict(set)
    provisional: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for key in keys:
        for day, answer in _holders(kept, interval, key, calendar).items():
            name = _file_name(day, interval)
            # An answer about a running session can hold the candles that history holds later.
            parts[name].add(f"{key} {answer.content_hash} {answer.running}")
            if answer.running:
                provisional[name][day.isoformat()].append(key)
    marks = {
        name: {
            _MADE_OF: _hash([_code(), *sorted(of_file)]),
            PROVISIONAL_MARK: json.dumps(provisional[name]).encode(),
        }
        for name, of_file in parts.items()
    }
    for path in folder.glob("*.parquet"):
        if path.name not in marks:
            path.unlink()
    stale = [name for name in sorted(marks) if _is_made_of(folder / name) != marks[name][_MADE_OF]]
    for start in range(0, len(stale), _FILES_AT_ONCE):
        names = stale[start : start + _FILES_AT_ONCE]
        _write({name: marks[name] for name in names}, kept, keys, folder, interval, calendar)
    return len(stale), len(marks) - len(stale)


def _holders(
    kept: KeptAnswers, interval: Interval, key: str, calendar: TradingCalendar
) -> dict[date, KeptAnswer]:
    """Which answer holds each session: the last final one, else the one that was received while it ran."""
    received = kept.of(interval, key)
    provisional = {answer.first: answer for answer in received if answer.running}
    holders = provisional | final_sessions(received, calendar)
    return {day: answer for day, answer in holders.items() if answer.candles}


def _file_name(day: date, interval: Interval) -> str:
    return f"{day}.parquet" if interval == MINUTE else f"{day:%Y-%m}.parquet"


def _write(
    marks: Mapping[str, Mapping[bytes, bytes]],
    kept: KeptAnswers,
    keys: Sequence[str],
    folder: Path,
    interval: Interval,
    calendar: TradingCalendar,
) -> None:
    with disk.temporary_folder(folder / "candles") as made:
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(
                    pyarrow.parquet.ParquetWriter(
                        made / name, _SCHEMA.with_metadata(of_file), compression="zstd"
                    )
                )
                for name, of_file in marks.items()
            }
            waiting: dict[str, list[pyarrow.Table]] = {name: [] for name in writers}
            for key in keys:
                for name, table in _tables(kept, key, interval, calendar, set(writers)):
                    waiting[name].append(table)
                    if sum(map(len, waiting[name])) >= _ROWS_IN_A_GROUP:
                        writers[name].write_table(pyarrow.concat_tables(waiting[name]))
                        waiting[name] = []
            for name, tables in waiting.items():
                if tables:
                    writers[name].write_table(pyarrow.concat_tables(tables))
        for name in marks:
            # A file that a power cut spoils is made again: intake would refuse it, and its mark is not readable.
            os.replace(made / name, folder / name)


def _tables(
    kept: KeptAnswers, key: str, interval: Interval, calendar: TradingCalendar, names: set[str]
) -> Iterator[tuple[str, pyarrow.Table]]:
    """The candles of one instrument for each of the files ``names`` that it is in, oldest first."""
    days_of: dict[tuple[KeptAnswer, str], list[date]] = defaultdict(list)
    for day, answer in sorted(_holders(kept, interval, key, calendar).items()):
        if (name := _file_name(day, interval)) in names:
            days_of[answer, name].append(day)
    read: dict[KeptAnswer, Candles] = {}
    for (answer, name), days in days_of.items():
        if answer not in read:
            call = Call(key, interval, answer.first, answer.last)
            read[answer] = read_answer(kept.body(answer), call)
        candles = read[answer]
        chosen = np.flatnonzero(np.isin(candles.days, np.array(days, "datetime64[D]")))[::-1]
        moments = candles.moments[chosen] - _INDIA_FROM_UTC
        yield (
            name,
            pyarrow.table(
                [
                    pyarrow.array([key] * len(chosen), pyarrow.string()),
                    pyarrow.array(moments).cast(pyarrow.timestamp("us", tz=INDIA)),
                    *(
                        pyarrow.array(column, from_pandas=True)
                        for column in candles.values[chosen].T
                    ),
                ],
                schema=_SCHEMA,
            ),
        )


def _is_made_of(path: Path) -> bytes | None:
    """The mark of what a file was made of; None when there is no readable file."""
    try:
        metadata = pyarrow.parquet.read_schema(path).metadata
    except (OSError, pyarrow.ArrowInvalid):
        return None
    return (metadata or {}).get(_MADE_OF)


@cache
def _code() -> str:
    """What reads answers and writes files, so that a change of it makes every file again."""
    return inspect.getsource(answers) + inspect.getsource(sys.modules[__name__])


def _hash(parts: Sequence[str]) -> bytes:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest().encode()
