"""The bytes of an input file to rows: which way of reading fits.

Belongs here: the suffixes of input files, and which module reads which. Does not belong here: any of the readings
(``delimited.py``, ``json_rows.py``, ``parquet_rows.py``, ``feather_rows.py``, ``workbooks.py``, ``packed.py``), what
columns mean (``layouts/``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from setbull_pipelines.settings import InputSettings
from setbull_pipelines.sources import packed
from setbull_pipelines.sources.delimited import text_rows
from setbull_pipelines.sources.feather_rows import BEGIN, feather_rows
from setbull_pipelines.sources.json_rows import json_rows
from setbull_pipelines.sources.layouts import upstox
from setbull_pipelines.sources.parquet_rows import parquet_rows
from setbull_pipelines.sources.raw_rows import NotATable, RawRows, UnreadableFile
from setbull_pipelines.sources.room_for_files import require_room
from setbull_pipelines.sources.workbooks import workbook_rows

TEXT = (".csv", ".txt", ".tsv")
_COMPRESSIBLE = (*TEXT, ".json", ".jsonl")
_FEATHER = (".feather", ".arrow")
_PLAIN = (*_COMPRESSIBLE, ".parquet", *_FEATHER, ".xlsx")
ARCHIVE = ".zip"
SUFFIXES = (
    *(suffix for suffix in _PLAIN),
    *(f"{plain}{way}" for plain in _COMPRESSIBLE for way in packed.COMPRESSED),
    ARCHIVE,
)
_OTHERS = (
    (b"PK\x03\x04", "a zip archive or workbook (a name that ends in .zip or .xlsx says which)"),
    (b"\x1f\x8b", "a gzip file in another"),
    (b"BZh", "a bzip2 file in another"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file in another"),
    (b"\xfd7zXZ\x00", "an xz file in another"),
    (b"PAR1", "a Parquet file (its name ends in .parquet)"),
    (BEGIN, "a Feather file (its name ends in .feather)"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"<!doctype", "a web page, perhaps of an error or a login"),
    (b"<html", "a web page, perhaps of an error or a login"),
)


def file_suffix(path: PurePath) -> str | None:
    """The suffix that decides how a file is read, or None for a file that is not input."""
    name = path.name.lower()
    matching = [suffix for suffix in SUFFIXES if name.endswith(suffix)]
    return max(matching, key=len) if matching else None


def read_rows(content: bytes, suffix: str, reading: InputSettings | None = None) -> RawRows:
    """Read the bytes of a file with one of :data:`SUFFIXES`; :class:`UnreadableFile` when they are not that.

    Of an archive the one file that can be read is, as the exchange publishes its day files.
    """
    reading = reading or InputSettings()
    if not content:
        raise UnreadableFile("found an empty file, expected a header and rows")
    said = "." + suffix.rpartition(".")[2]
    plain = suffix.removesuffix(said) if said in packed.COMPRESSED else suffix
    way = packed.way_of(content) if plain in _COMPRESSIBLE else None
    notes = []
    if way and way != said:
        notes = [f"compressed ({packed.COMPRESSED[way]}), though the name says {suffix}"]
    elif not way and said in packed.COMPRESSED and packed.is_text(content):
        notes = [f"not compressed, though the name says {suffix}"]
    elif said in packed.COMPRESSED:
        way = said
    if way:
        content = packed.decompressed(content, way, reading.unpacked_limit_mib)
    suffix = plain
    if suffix == ARCHIVE:
        name = only_member(content)
        content = packed.member(content, name, reading.unpacked_limit_mib)
        return read_rows(content, file_suffix(PurePath(name)) or "", reading)
    rows = _unpacked_rows(content, suffix, reading)
    rows = replace(rows, notes=(*notes, *rows.notes)) if notes else rows
    # The broker answers with an empty list for a span in which nothing traded.
    if rows.received == 0 and tuple(rows.names) != upstox.COLUMNS:
        shown = ", ".join(rows.names[:20])
        raise NotATable(f"found the columns {shown} without any row, expected rows")
    return rows


def readable_members(content: bytes) -> list[str]:
    """The files of an archive that can be read; archives in archives are not."""
    suffixes = ((name, file_suffix(PurePath(name))) for name in packed.members(content))
    return [name for name, suffix in suffixes if suffix not in (None, ARCHIVE)]


def only_member(content: bytes) -> str:
    """The one readable file of an archive."""
    names = readable_members(content)
    if len(names) != 1:
        raise UnreadableFile(f"found a zip archive with {len(names)} files to read, expected one")
    return names[0]


def _unpacked_rows(content: bytes, suffix: str, reading: InputSettings) -> RawRows:
    require_room(len(content), suffix, held=len(content))
    if suffix == ".parquet":
        return parquet_rows(content, reading.unpacked_limit_mib)
    if suffix in _FEATHER:
        return feather_rows(content, reading.unpacked_limit_mib)
    if suffix == ".xlsx":
        return workbook_rows(content, reading)
    begin = content[:16].lstrip().lower()
    for mark, what in _OTHERS:
        if content.startswith(mark) or begin.startswith(mark):
            raise UnreadableFile(f"found {what}, expected text as the name {suffix} says")
    if suffix in (".json", ".jsonl"):
        return json_rows(content)
    if begin.startswith((b"[", b"{")):
        rows = json_rows(content)
        return replace(rows, notes=(f"JSON, though the name says {suffix}", *rows.notes))
    return text_rows(content, reading)
