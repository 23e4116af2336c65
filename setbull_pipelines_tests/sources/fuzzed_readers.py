"""The readers that fuzzing tries: a few small files of each that are read, how one is read, and what is a refusal.

Belongs here: seeds, ways in, promises. Does not belong here: changing files and counting
what comes of it (``fuzzing.py``).
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePath

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from setbull_pipelines.cli.settings import default_lines
from setbull_pipelines.market.calendar_file import InvalidCalendar, parse_calendar
from setbull_pipelines.settings import InputSettings, InvalidSettings, load_settings
from setbull_pipelines.sources import packed
from setbull_pipelines.sources.decided_actions import DamagedDecisions, folder_of, read_decisions
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
from setbull_pipelines_tests.sources.layouts.layout_files import DAY_FILES, FILES
from setbull_pipelines_tests.sources.reading_files import session, table

_UNPACKED_MIB = 64
_NAMES = ("open", "high", "low", "close", "volume")


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


def feather(is_stream: bool = False, compression: str | None = None, **columns: object) -> bytes:
    """A Feather file, or the stream of Arrow, of these columns."""
    sink, table = pyarrow.BufferOutputStream(), pyarrow.table(columns)
    written = pyarrow.ipc.new_stream if is_stream else pyarrow.ipc.new_file
    options = pyarrow.ipc.IpcWriteOptions(compression=compression)
    with written(sink, table.schema, options=options) as file:
        file.write_table(table)
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
_JOINED = "\n".join(
    [
        "Datetime,ITC_open,ITC_high,ITC_low,ITC_close,ITC_volume,TCS_open,TCS_high,TCS_low,TCS_close,TCS_volume",
        "2025-06-02 09:15:00+05:30,100,101,99,100.5,7533,200,201,199,200.5,10",
        "2025-06-02 09:16:00+05:30,100,101,99,100.5,7533,,,,,",
        "",
    ]
)
_ALL_JOINED = [f"S{number:03}_{price}" for number in range(210) for price in _NAMES]
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
    "joined names": ("a.csv", _JOINED.encode()),
    "joined names, more than a thousand": (
        "a.csv",
        f"Date,{','.join(_ALL_JOINED)}\n2025-06-02{',100' * len(_ALL_JOINED)}\n".encode(),
    ),
    "wide Parquet": (
        "a.parquet",
        parquet(
            Date=["2025-06-02"],
            **{f"{symbol}_{price}": [1.0] for symbol in ("ITC", "TCS") for price in _NAMES},
        ),
    ),
    "a spreadsheet's guards and other digits": (
        "a.csv",
        _GOOD.replace("ALPHA", '"=""ALPHA"""').replace("100.5", "\u0967\u0966\u0966.5").encode(),
    ),
    "epochs with an exponent": (
        "ITC.csv",
        b"t,o,h,l,c,v\n1.7494407e+18,1,1,1,1,9.83M\n1.74944076e+18,1,1,1,1,123.5K\n",
    ),
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
    "xz": ("a.csv.xz", lzma.compress(_GOOD.encode())),
    "zip": ("a.zip", zipped(("a.csv", _GOOD.encode()))),
    "zip of two": ("a.zip", zipped(("a.csv", _GOOD.encode()), ("b/ITC_1min.csv", _BARE.encode()))),
    "parquet": (
        "a.parquet",
        parquet(
            symbol=["A"],
            timestamp=["2025-06-02 09:15:00"],
            **{name: [1.0] for name in _NAMES},
        ),
    ),
    "feather": (
        "a.feather",
        feather(
            symbol=["A"],
            timestamp=["2025-06-02 09:15:00"],
            **{name: [1.0] for name in _NAMES},
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


def _default_settings() -> dict[str, tuple[str, bytes]]:
    """Every group of settings with its defaults as a file of its own."""
    groups = "\n".join(line for line in default_lines() if not line.startswith("#")).split("\n\n")
    return {group.partition("\n")[0]: ("s.toml", group.encode()) for group in groups if group}


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
        {"settings": ("s.toml", _SETTINGS), **_default_settings()},
        _through_a_file(_read_settings),
        (InvalidSettings,),
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
