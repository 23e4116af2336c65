"""Files changed at random, guided by the lines of the readers that they reach: what is read, refused, or breaks.

``python -m setbull_pipelines_tests.sources.fuzzing --minutes 60`` tries every reader in turn and prints a table; the
exit code is 1 where something else than a refusal came out, rows were lost, or a small file took seconds. Belongs here:
seeds, changes, the readers and their promises. Does not belong here: the few trials of the suite (``test_faults``).
"""

from __future__ import annotations

import argparse
import bz2
import collections
import gzip
import io
import json
import random
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

import pyarrow
import pyarrow.parquet

import setbull_pipelines
from setbull_pipelines.market.calendar_file import InvalidCalendar, parse_calendar
from setbull_pipelines.settings import InputSettings, InvalidSettings, load_settings
from setbull_pipelines.sources import packed
from setbull_pipelines.sources.decided_actions import (
    DamagedDecisions,
    folder_of,
    read_decisions,
)
from setbull_pipelines.sources.group_files import check_groups
from setbull_pipelines.sources.legacy.csv_exports import export_stream
from setbull_pipelines.sources.legacy.old_tables import CannotImport, Progress
from setbull_pipelines.sources.legacy.sql_dumps import dump_stream
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines.sources.reading import file_suffix, read_rows, readable_members
from setbull_pipelines.sources.understanding import judged
from setbull_pipelines.sources.upstox.answers import InvalidAnswer, read_answer
from setbull_pipelines.sources.upstox.calls import Call
from setbull_pipelines.sources.upstox.master import InvalidMaster, read_master
from setbull_pipelines_tests.sources.layouts.test_layouts import DAY_FILES, FILES
from setbull_pipelines_tests.sources.reading_files import session, table

_PACKAGE = str(Path(setbull_pipelines.__file__).parent)
_LONGEST = 1 << 16
_SLOW_SECONDS = 10.0
_TRIALS_IN_TURN = 25
_LARGEST_CORPUS = 400
_UNPACKED_MIB = 64


def zipped(*members: tuple[str, bytes]) -> bytes:
    """An archive of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def parquet(**columns: object) -> bytes:
    """A Parquet file of these columns."""
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue().to_pybytes()


def _workbook() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["Symbol", "Date", "Open", "High", "Low", "Close", "Volume"])
    book.active.append(["ALPHA", date(2025, 6, 2), 100, 101.5, 99.25, 100.5, 7533])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


_GOOD = table(*session(minutes=3))
_BARE = _GOOD.replace("symbol,", "").replace("ALPHA,", "")
_BODY = {
    "status": "success",
    "data": {"candles": [["2025-06-02T09:15:00+05:30", 1, 1, 1, 1, 1, 0]]},
}
_SIDE_BY_SIDE = "\n".join(
    [
        "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume",
        "Ticker,ITC.NS,TCS.NS,ITC.NS,TCS.NS,ITC.NS,TCS.NS,ITC.NS,TCS.NS,ITC.NS,TCS.NS",
        "Date,,,,,,,,,,",
        "2025-06-02,100.5,200.5,101,201,99,199,100,200,7533,10",
        "2025-06-03,100.1,,101,,100,,100.5,,4790,",
        "",
    ]
)
_BY_TICKER = "\n".join(
    [
        "Ticker,ITC.NS,ITC.NS,ITC.NS,ITC.NS,ITC.NS,TCS.NS,TCS.NS,TCS.NS,TCS.NS,TCS.NS",
        "Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Volume",
        "Datetime,,,,,,,,,,",
        "2025-06-02 09:15:00+05:30,100,101,99,100.5,7533,200,201,199,200.5,10",
        "",
    ]
)
SEEDS: dict[str, tuple[str, bytes]] = {
    **{what: (name, text.encode()) for what, (name, text, _) in FILES.items()},
    **{
        what: ("Quote-Equity-ITC-EQ.csv", f"{header}\n{row}\n".encode())
        for what, (header, row, _) in DAY_FILES.items()
    },
    "plain": ("a.csv", _GOOD.encode()),
    "semicolons": ("a.csv", _GOOD.replace(",", ";").replace("100.5", "100,5").encode()),
    "UTF-16": ("a.csv", _GOOD.encode("utf-16")),
    "side by side": ("a.csv", _SIDE_BY_SIDE.encode()),
    "side by side, by ticker": ("a.csv", _BY_TICKER.encode()),
    "short volumes": (
        "ITC.csv",
        b'"Date","Price","Open","High","Low","Vol."\n"16-06-2025","416","415","418","414","10.60M"\n',
    ),
    "by symbol": (
        "a.json",
        json.dumps(dict.fromkeys(("ITC", "TCS"), _BODY["data"]["candles"])).encode(),
    ),
    "by moment": (
        "ITC.json",
        b'{"2025-06-02 09:15:00":{"1. open":"1","2. high":"1","3. low":"1","4. close":"1","5. volume":"1"}}',
    ),
    "Shoonya": (
        "ITC.json",
        b'[{"ssboe":"1748835900","into":"1","inth":"1","intl":"1","intc":"1","intv":"1","v":"9"}]',
    ),
    "gzip": ("a.csv.gz", gzip.compress(_GOOD.encode(), mtime=0)),
    "bzip2": ("a.csv.bz2", bz2.compress(_GOOD.encode())),
    "zip": ("a.zip", zipped(("a.csv", _GOOD.encode()))),
    "zip of two": ("a.zip", zipped(("a.csv", _GOOD.encode()), ("b/ITC_1min.csv", _BARE.encode()))),
    "parquet": (
        "a.parquet",
        parquet(
            symbol=["A"],
            timestamp=["2025-06-02 09:15:00"],
            **{name: [1.0] for name in ("open", "high", "low", "close", "volume")},
        ),
    ),
    "workbook": ("a.xlsx", _workbook()),
    "response": ("NSE_EQ%7CA.json", json.dumps(_BODY).encode()),
    "universe": ("u.csv", b"symbol,isin,name,tick_size\nITC,INE154A01025,ITC Ltd,0.05\n"),
    "list of instruments": (
        "u.json",
        b'[{"instrument_key":"NSE_EQ|INE154A01025","trading_symbol":"ITC","tick_size":5,"segment":"NSE_EQ"}]',
    ),
    "stocks with derivatives": (
        "d.csv",
        b"symbol,derivatives_from,derivatives_to\nITC,2025-01-01,\nTCS,2025-01-01,2025-06-30\n",
    ),
    "corporate actions": (
        "c.csv",
        b"symbol,ex_date,kind,ratio\nITC,2025-06-02,split,2\nTCS,2025-06-03,bonus,1:1\n",
    ),
    "the exchange's corporate actions": (
        "CF-CA.csv",
        b'"SYMBOL","COMPANY NAME","SERIES","PURPOSE","FACE VALUE","EX-DATE","RECORD DATE"\n'
        b'"ITC","ITC","EQ","Bonus 1:1","1","02-Jun-2025","02-Jun-2025"\n',
    ),
    "aliases": (
        "a.csv",
        b"old_instrument_key,new_instrument_key,from_date\nNSE_EQ|A,NSE_EQ|B,2025-06-02\n",
    ),
}
"""Small files that are read, by what they are; changed ones are the trials."""
_PIECES = (
    *(b"\0", b"\xff", b'"', b",", b";", b"\n", b"\r", b"{", b"[", b"]", b"}", b"null", b"-"),
    *(
        b"1e999",
        b"9" * 400,
        b"\xef\xbb\xbf",
        b"NaN",
        b"\\ud800",
        b"2025-06-02",
        b"99-99-9999 99:99",
    ),
    *(b"<html>", b"9.83M", b"1,23,456.5", b"+05:30", b"24:00", b"00:00", b"-0", b"\t", b"|", b"'"),
    *(b"NSE_EQ|X", b"\xc2\xa0", b"\xe2\x82\xb9", b"0x10", b"_1", b"inf", b"1748835900", b"Ticker"),
)


def _flip(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] = chance.randrange(256)


def _insert(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content) + 1)
    content[place:place] = chance.choice(_PIECES)


def _remove(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    del content[place : place + chance.randrange(1, 12)]


def _repeat(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    content += content[place : place + chance.randrange(1, 60)]


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) + 1 :]


def _replace_field(content: bytearray, chance: random.Random) -> None:
    fields = bytes(content).split(b",")
    fields[chance.randrange(len(fields))] = chance.choice((*_PIECES, *fields, b""))
    content[:] = b",".join(fields)


def _move_line(content: bytearray, chance: random.Random) -> None:
    lines = bytes(content).split(b"\n")
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randrange(len(lines) + 1), line)
    content[:] = b"\n".join(lines)


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _insert, _remove, _repeat, _cut, _replace_field, _move_line),
)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A few changes to a file."""
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        if changed:
            chance.choice(CHANGES)(changed, chance)
    return bytes(changed[:_LONGEST])


class BrokenPromise(AssertionError):
    """A reader gave something, and not what it promises."""


@dataclass(frozen=True)
class Reader:
    """One way in: its seeds, how one is read, and the errors that are refusals."""

    seeds: Mapping[str, tuple[str, bytes]]
    read: Callable[[str, bytes], None]
    refusals: tuple[type[Exception], ...]


def read_input(name: str, content: bytes) -> None:
    """A file of an input, without the net under ``understood``: judged, none of its rows lost; or UnreadableFile."""
    suffix = file_suffix(PurePath(name)) or ""
    if suffix == ".zip":
        for inside in readable_members(content):
            read_input(inside, packed.member(content, inside, _UNPACKED_MIB))
        return
    found = judged(read_rows(content, suffix, InputSettings()), name, InputSettings())
    rows = getattr(found, "accepted", None)
    if rows is not None and hasattr(found, "received") and not hasattr(found, "note"):
        counted = len(rows) + len(found.rejected)
        if counted != found.received:
            raise BrokenPromise(f"{counted} rows of {found.received} received")


def _read_calendar(name: str, content: bytes) -> None:
    parse_calendar(content.decode("utf-8", "replace"))


def _through_a_file(read: Callable[[Path], object]) -> Callable[[str, bytes], None]:
    def through(name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            read(path)

    return through


def _read_dump(path: Path) -> None:
    for _ in dump_stream(path, path.name).chunks(Progress(0, "")):
        pass


def _read_export(path: Path) -> None:
    if stream := export_stream(path, path.name):
        for _ in stream.chunks(Progress(0, "")):
            pass


def _read_settings(path: Path) -> None:
    load_settings({"SETBULL_SETTINGS": str(path), "SETBULL_DATA_DIR": str(path.parent)})


def _read_decided(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        folder_of(directory).mkdir(parents=True)
        (folder_of(directory) / name).write_bytes(content)
        read_decisions(directory)


_CALL = Call("NSE_EQ|A", "1minute", date(2025, 6, 1), date(2025, 6, 30))
_DUMP = b"""-- MySQL dump
/*!40103 SET TIME_ZONE='+00:00' */;
CREATE TABLE `stock_candle_data` (
  `instrument_key` varchar(255) NOT NULL,
  `timestamp` datetime NOT NULL,
  `open` double,
  `high` double,
  `low` double,
  `close` double,
  `volume` bigint,
  `open_interest` bigint,
  `time_interval` varchar(20)
);
INSERT INTO `stock_candle_data` VALUES ('NSE_EQ|A','2025-06-02 03:45:00',1,2,0.5,1.5,10,0,'1minute'),
('NSE_EQ|A','2025-06-02 03:46:00',1,2,0.5,1.5,10,NULL,'1minute');
"""
_EXPORT = (
    b"instrument_key,timestamp,open,high,low,close,volume,open_interest,time_interval\n"
    b"NSE_EQ|A,2025-06-02 03:45:00,1,2,0.5,1.5,10,0,1minute\n"
)
_SETTINGS = b"""[sample]
seed = 7
[input]
columns = {date = "timestamp"}
day_first = true
series = ["EQ", "BE"]
[filters]
[rollout]
minimum_instruments = 10
"""
READERS: dict[str, Reader] = {
    "input": Reader(SEEDS, read_input, (UnreadableFile,)),
    "groups": Reader(
        {
            "groups": (
                "g.csv",
                b"group_id,instrument_key,entry_type,stop_loss_percent\ng1,NSE_EQ|A,1ST_ENTRY,1.5\n",
            )
        },
        lambda name, content: check_groups(content, name),
        (UnreadableFile,),
    ),
    "calendar": Reader(
        {
            "calendar": (
                "c.csv",
                b"date,kind,intervals,source\n2027-01-26,holiday,,circular\n2027-11-07,muhurat,18:00-19:00,c\n"
                b"2027-12-31,published,,c\n",
            )
        },
        _read_calendar,
        (InvalidCalendar,),
    ),
    "settings": Reader(
        {"settings": ("s.toml", _SETTINGS)}, _through_a_file(_read_settings), (InvalidSettings,)
    ),
    "decided actions": Reader(
        {
            "decided": (
                "decisions.csv",
                b"decided_at,by,decision,instrument_key,ex_date,kind,ratio,reason\n"
                b"2025-06-02T18:00:00+05:30,A. Person,accepted,NSE_EQ|A,2025-06-02,split,2,gap\n",
            )
        },
        _read_decided,
        (DamagedDecisions,),
    ),
    "broker's answer": Reader(
        {"answer": ("a.json", json.dumps(_BODY).encode())},
        lambda name, content: read_answer(content, _CALL),
        (InvalidAnswer,),
    ),
    "broker's list": Reader(
        {
            "list": (
                "l.json",
                b'[{"segment":"NSE_EQ","instrument_type":"EQ","instrument_key":"NSE_EQ|A","trading_symbol":"A"},'
                b'{"segment":"NSE_FO","underlying_key":"NSE_EQ|A"}]',
            )
        },
        lambda name, content: read_master(gzip.compress(content, 1, mtime=0)),
        (InvalidMaster,),
    ),
    "old system's dump": Reader(
        {"dump": ("stock_candle_data.sql", _DUMP)}, _through_a_file(_read_dump), (CannotImport,)
    ),
    "old system's export": Reader(
        {"export": ("stock_candle_data.csv", _EXPORT)},
        _through_a_file(_read_export),
        (CannotImport,),
    ),
}


class Coverage:
    """Lines of the package that a call runs through; each is told once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()
        self._new = 0

    def new_lines(self, call: Callable[[], object]) -> int:
        """How many lines ``call`` reaches that no call before did; what it raises is raised."""
        self._new = 0
        sys.settrace(self._entered)
        try:
            call()
        finally:
            sys.settrace(None)
        return self._new

    @property
    def lines(self) -> int:
        """Lines reached so far."""
        return len(self._seen)

    @property
    def found(self) -> int:
        """Lines that the last call was the first to reach, also where it raised."""
        return self._new

    def _entered(self, frame: FrameType, event: str, argument: Any) -> Callable | None:
        return self._line if frame.f_code.co_filename.startswith(_PACKAGE) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Callable:
        place = (frame.f_code.co_filename, frame.f_lineno)
        if place not in self._seen:
            self._seen.add(place)
            self._new += 1
        return self._line


@dataclass
class Tally:
    """What came of the trials of one reader."""

    trials: int = 0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: dict[str, bytes] = field(default_factory=dict)


def fault_of(error: Exception) -> str:
    """The same words for the same fault: the type of the error and the last place in this package."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(_PACKAGE)
    ]
    where = f"{PurePath(own[-1].filename).name}:{own[-1].lineno}" if own else "outside"
    return f"{type(error).__name__} at {where}"


class Fuzzer:
    """The trials of one reader; what reaches new lines is changed further."""

    def __init__(self, reader: Reader, chance: random.Random) -> None:
        self._reader, self._chance = reader, chance
        self.corpus = list(reader.seeds.values())
        self._coverage = Coverage()
        self.tally = Tally()

    @property
    def lines(self) -> int:
        """Lines of the package that the trials have reached."""
        return self._coverage.lines

    def step(self) -> None:
        """One trial."""
        name, content = self._chance.choice(self.corpus)
        changed = mutated(content, self._chance)
        tally = self.tally
        tally.trials += 1
        began = time.monotonic()
        try:
            self._coverage.new_lines(lambda: self._reader.read(name, changed))
            tally.read += 1
        except self._reader.refusals:
            tally.refused += 1
        except Exception as error:
            tally.faults.setdefault(fault_of(error), changed)
        seconds = time.monotonic() - began
        if seconds > _SLOW_SECONDS:
            tally.faults.setdefault("slow", changed)
        tally.slowest = max(tally.slowest, seconds)
        if self._coverage.found:
            self.corpus.append((name, changed))
            if len(self.corpus) > _LARGEST_CORPUS:
                seeds = len(self._reader.seeds)
                self.corpus.pop(self._chance.randrange(seeds, len(self.corpus)))


def table_of(fuzzers: Mapping[str, Fuzzer]) -> list[str]:
    """The tallies as lines of a table."""
    lines = ["| reader | trials | read | refused | faults | lines reached | slowest, s |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, fuzzer in fuzzers.items():
        tally = fuzzer.tally
        lines.append(
            f"| {name} | {tally.trials:,} | {tally.read:,} | {tally.refused:,} | {len(tally.faults)} | "
            f"{fuzzer.lines:,} | {tally.slowest:.1f} |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Try until the time is up; 1 where there are faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", default=list(READERS), choices=list(READERS))
    parser.add_argument("--findings", type=Path, help="a folder for the files that break a reader")
    chosen = parser.parse_args(arguments)
    fuzzers = {
        name: Fuzzer(READERS[name], random.Random(f"{chosen.seed} {name}"))
        for name in chosen.readers
    }
    end = time.monotonic() + 60 * chosen.minutes
    told: collections.Counter[str] = collections.Counter()
    while time.monotonic() < end:
        for name, fuzzer in fuzzers.items():
            # Most code, and most seeds, are behind the first.
            for _ in range(_TRIALS_IN_TURN * (8 if name == "input" else 1)):
                fuzzer.step()
            for fault in list(fuzzer.tally.faults)[told[name] :]:
                told[name] += 1
                print(f"{name}: {fault}", flush=True)
                if chosen.findings:
                    chosen.findings.mkdir(parents=True, exist_ok=True)
                    path = chosen.findings / f"{name.replace(' ', '-')}-{told[name]}"
                    path.write_bytes(fuzzer.tally.faults[fault])
    print("\n".join(table_of(fuzzers)), flush=True)
    return 1 if any(fuzzer.tally.faults for fuzzer in fuzzers.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
