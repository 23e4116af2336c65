"""Days gone by that lie in many small files are put together in one; no content changes.

Belongs here: which files are put together, and the commit that says where the rows lie now. Does not belong here:
deleting the files that are not needed any more (``garbage``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow
import pyarrow.parquet

from setbull_pipelines import disk
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.changes import AMEND, Change, Key, Record, Version
from setbull_pipelines.warehouse.errors import DamagedPartition
from setbull_pipelines.warehouse.files import Rows
from setbull_pipelines.warehouse.pointers import Pointer, is_day, to_record
from setbull_pipelines.warehouse.publishing import HASHES, MOST_BYTES, footer
from setbull_pipelines.warehouse.remote import Remote

if TYPE_CHECKING:
    from setbull_pipelines.warehouse.reader import Reader

_MOST_FILES = 4
"""So many files of one table and month are left alone."""
_LEAST_NEEDED = 0.75
"""The share of its rows that a file is kept for; below it the rows that are needed are written anew."""
_MOST_FILES_OF_HASHES, _SMALL_FILE_OF_HASHES = 16, 8 * 2**20

Place = tuple[Key, str, Version]
"""A version of a partition."""


def merge(
    reader: Reader,
    commit: Callable[[Callable[[int], Record | None]], int | None],
    remote: Remote | None,
    before: str,
) -> int:
    """Put files of days before ``before`` together where that saves some; returns how many were written."""
    # Files after versions: another writer may commit in between, and nobody may name a file that is not known here.
    places = list(reader.commits.versions())
    files = reader.commits.files()
    written = 0
    for chosen in _together(places, files, before):
        for part in _cut(chosen, files, _place_of_rows):
            written += _move(reader, commit, remote, part, _moved_rows, _place_of_rows)
    places = list(reader.commits.versions())
    files = reader.commits.files()
    for part in _cut(_hashes_together(places, files), files, _place_of_hashes):
        written += _move(reader, commit, remote, part, _moved_hashes, _place_of_hashes)
    return written


def _move(
    reader: Reader,
    commit: Callable[[Callable[[int], Record | None]], int | None],
    remote: Remote | None,
    part: Sequence[Place],
    moved: Callable[[Reader, Sequence[Place]], tuple[str, bytes, list[Pointer]]],
    place_of: Callable[[Pointer], Rows],
) -> bool:
    """Write a file of these versions and commit where they lie now; whether that was done."""
    try:
        name, data, pointers = moved(reader, part)
    except DamagedPartition:
        return False  # what is whole of it stays where it is
    reader.data.write({name: data})
    if remote is not None:
        remote.put({name: data})
    used = max(_last_used(reader, place_of(version.pointer).file) for *_, version in part)
    os.utime(reader.data.path(name), (used, used))
    changes = [
        Change(key, partition, AMEND, pointer, version.number)
        for (key, partition, version), pointer in zip(part, pointers, strict=True)
    ]
    rows = sum(place_of(pointer).count for pointer in pointers)
    record = Record("merging", changes, {name: (rows, len(data))})
    return commit(_if_unchanged(reader, part, record)) is not None


def _place_of_rows(pointer: Pointer) -> Rows:
    assert pointer.place is not None, "only days with rows are put together"
    return Rows(*pointer.place)


def _place_of_hashes(pointer: Pointer) -> Rows:
    count = pointer.hashes_rows + (pointer.inputs_rows or 0)
    assert pointer.hashes_file is not None, "only days with hashes are put together"
    return Rows(pointer.hashes_file, pointer.hashes_first_row, count)


def _if_unchanged(
    reader: Reader, part: Sequence[Place], record: Record
) -> Callable[[int], Record | None]:
    """Nothing is committed where another writer was faster: it is put together another time."""

    def make(number: int) -> Record | None:
        for key, partition, version in part:
            found = reader.commits.history(key, partition)
            if version not in found:
                return None
        return record

    return make


def _together(
    places: Iterable[Place], files: Mapping[str, tuple[int, int]], before: str
) -> list[list[Place]]:
    """The current days that are put together: of a month in many files, or of a file that is mostly not needed."""
    by_file: dict[str, list[Place]] = {}
    rows_needed: dict[str, int] = {}
    for place in places:
        _, partition, version = place
        if version.pointer.place is None:
            continue
        name, _, count = version.pointer.place
        rows_needed[name] = rows_needed.get(name, 0) + count
        # Two versions of a day never come into one file: readers of SQL tell its rows by their day alone.
        if version.replaced_in is None and is_day(partition) and partition < before:
            by_file.setdefault(name, []).append(place)
    months: dict[tuple[Key, str, str], list[str]] = {}
    chosen = []
    for name, held in by_file.items():
        key, _, version = held[0]
        if name not in files:
            continue  # collected since, by another process
        rows, size = files[name]
        found = {partition[:7] for _, partition, _ in held}
        if rows_needed[name] < rows * _LEAST_NEEDED:
            chosen.append(held)
        elif len(found) == 1 and size < MOST_BYTES:
            months.setdefault((key, found.pop(), version.pointer.schema_hash), []).append(name)
    chosen += [
        [place for name in names for place in by_file[name]]
        for names in months.values()
        if len(names) > _MOST_FILES
    ]
    return [sorted(each, key=lambda place: place[1]) for each in chosen]


def _hashes_together(places: Iterable[Place], files: Mapping[str, tuple[int, int]]) -> list[Place]:
    """All versions whose hashes by instrument lie in small files, where there are many."""
    small = [
        place
        for place in places
        if place[2].pointer.hashes_file
        and files.get(place[2].pointer.hashes_file, (0, MOST_BYTES))[1] < _SMALL_FILE_OF_HASHES
    ]
    names = {version.pointer.hashes_file for *_, version in small}
    return small if len(names) > _MOST_FILES_OF_HASHES else []


def _cut(
    places: Sequence[Place],
    files: Mapping[str, tuple[int, int]],
    place_of: Callable[[Pointer], Rows],
) -> Iterator[list[Place]]:
    """Parts of about as many bytes as a file may have, by the share that each has of the file it lies in."""
    part: list[Place] = []
    size = 0.0
    for place in places:
        span = place_of(place[2].pointer)
        rows, bytes_of_file = files[span.file]
        share = bytes_of_file * span.count / max(rows, 1)
        if part and size + share > MOST_BYTES:
            yield part
            part, size = [], 0.0
        part.append(place)
        size += share
    if part:
        yield part


def _moved_rows(reader: Reader, part: Sequence[Place]) -> tuple[str, bytes, list[Pointer]]:
    """The file of these days, and their pointers into it. Raises DamagedPartition."""
    key = part[0][0]
    spans = [_place_of_rows(version.pointer) for *_, version in part]
    rows = _read(reader, spans, pyarrow.parquet.read_schema(reader.data.path(spans[0].file)))
    pointers, start = [], 0
    for *_, version in part:
        pointers.append(replace(version.pointer, file=None, first_row=start))
        start += version.pointer.rows
    told = [
        [*key, partition, *to_record(pointer)]
        for (_, partition, _), pointer in zip(part, pointers, strict=True)
    ]
    lengths = encoding.group_lengths([pointer.rows for pointer in pointers])
    data = encoding.to_parquet(rows, lengths, footer(uuid4().hex, told))
    name = f"{'/'.join(key)}/{disk.content_hash(data)}.parquet"
    return name, data, [replace(pointer, file=name) for pointer in pointers]


def _moved_hashes(reader: Reader, part: Sequence[Place]) -> tuple[str, bytes, list[Pointer]]:
    spans = [_place_of_hashes(version.pointer) for *_, version in part]
    rows = _read(reader, spans, HASHES.arrow_schema)
    data = encoding.to_parquet(rows, footer=footer(uuid4().hex, ()))
    name = f"operations/{HASHES.name}/{disk.content_hash(data)}.parquet"
    starts = accumulate((span.count for span in spans), initial=0)
    return (
        name,
        data,
        [
            replace(version.pointer, hashes_file=name, hashes_first_row=start)
            for (*_, version), start in zip(part, starts, strict=False)
        ],
    )


def _read(reader: Reader, spans: Sequence[Rows], schema: pyarrow.Schema) -> pyarrow.Table:
    schema = schema.remove_metadata()
    pieces = reader.data.read(spans, schema.names)
    chunked = [
        pyarrow.chunked_array([piece[each.name] for piece in pieces], each.type) for each in schema
    ]
    return pyarrow.Table.from_arrays(chunked, schema=schema).unify_dictionaries().combine_chunks()


def _last_used(reader: Reader, name: str) -> float:
    try:
        return disk.last_used(reader.data.path(name))
    except FileNotFoundError:
        return 0.0
