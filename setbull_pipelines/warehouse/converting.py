"""A folder of the layout before this one, a file and a pointer per partition, becomes one of this.

Belongs here: what the old small files say. Does not belong here: the rows, which are not touched: a file of one
partition is a legal file of this layout.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow
import pyarrow.ipc

from setbull_pipelines import disk
from setbull_pipelines.warehouse.catalog_file import CATALOG_FILE, OLD_POINTERS
from setbull_pipelines.warehouse.changes import PUBLISH, Change, Key, Record
from setbull_pipelines.warehouse.files import Files
from setbull_pipelines.warehouse.pointers import WHOLE, Cost, Failure, HashesPlace, Pointer
from setbull_pipelines.warehouse.publishing import hash_file
from setbull_pipelines.warehouse.rebuilding import put_in_place

_DIGEST_BYTES = 16


def convert(root: Path, files: Files, reached: Callable[[int, int], None]) -> int:
    """Name all versions of the old folder in a catalog; returns how many partitions it has, 0 where there is nothing.

    ``reached`` is called with how many partitions were looked at, and of how many.

    Can be repeated after it was interrupted: the old pointers go last. One that cannot be read is left out, and its
    partition computed again when it is asked for.
    """
    pointers = sorted(root.glob(OLD_POINTERS))
    if not pointers:
        return 0
    with disk.writer_lock(root):
        if not (root / CATALOG_FILE).exists():
            stretches: list[tuple[Key, str, str, pyarrow.Table]] = []
            names: dict[str, tuple[int, int]] = {}
            commits: list[list[Change]] = []
            for place, path in enumerate(pointers):
                reached(place, len(pointers))
                changes = list(_changes(path, root, stretches, names))
                for number, change in enumerate(reversed(changes)):
                    commits += [[]] if number == len(commits) else []
                    commits[number].append(change)
            commits = _with_hashes(commits, stretches, names, files)
            records = [Record("converting", changes) for changes in commits]
            put_in_place(root, [Record("converting", (), names), *records])
    for path in pointers:
        for beside in (*path.parent.glob("*.rows"), *path.parent.glob("*.inputs"), path):
            beside.unlink()
    return len(pointers)


def _changes(
    path: Path,
    root: Path,
    stretches: list[tuple[Key, str, str, pyarrow.Table]],
    names: dict[str, tuple[int, int]],
) -> Iterator[Change]:
    """The versions of one partition, the current one first; their hashes are added to ``stretches``."""
    schema, table, folder = path.parent.relative_to(root).parts
    partition = WHOLE if folder == "whole" else folder.removeprefix("trading_day=")
    try:
        record = json.loads(path.read_bytes())
        versions = [_pointer(each, path.parent, root) for each in (record, *record["earlier"])]
    except (ValueError, KeyError, TypeError):
        return
    for number, (pointer, old) in enumerate(versions):
        file = path.parent / old["file"]
        if pointer.file is not None and file.exists():
            names[pointer.file] = (pointer.rows, file.stat().st_size)
        if number == 0:
            rows = _hashes(path.parent / f"{pointer.content_hash}.rows")
            inputs = _hashes(path.parent / (old.get("instrument_inputs") or "absent"))
            key = (schema, table)
            for kind, found in (("rows", rows), ("inputs", inputs)):
                if found is not None:
                    stretches.append((key, partition, kind, found))
        yield Change((schema, table), partition, PUBLISH, pointer)


def _pointer(record: Mapping, folder: Path, root: Path) -> tuple[Pointer, Mapping]:
    same: tuple[str, ...] = (
        "rows",
        "schema_hash",
        "code_version",
        "settings_hash",
        "inputs",
        "content_hash",
    )
    same += ("run_id", "note", "published_at", "values_hash", "published_because", "evicted_at")
    kept: dict[str, Any] = {name: record.get(name) for name in same}
    return Pointer(
        file=(folder / record["file"]).relative_to(root).as_posix() if record["rows"] else None,
        first_row=0,
        cost=Cost(**record["cost"]) if record.get("cost") else None,
        failures={key: Failure(**each) for key, each in record.get("failures", {}).items()},
        invalidated=tuple(record.get("invalidated", ())),
        **kept,
    ), record


def _hashes(path: Path) -> pyarrow.Table | None:
    """Hashes by instrument as the old layout kept them: a digest, then Arrow; None where they are lost or damaged."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    content = data[_DIGEST_BYTES:]
    if disk.content_hash(content) != data[:_DIGEST_BYTES].hex():
        return None
    return pyarrow.ipc.open_file(pyarrow.BufferReader(content)).read_all()


def _with_hashes(
    commits: list[list[Change]],
    stretches: list[tuple[Key, str, str, pyarrow.Table]],
    names: dict[str, tuple[int, int]],
    files: Files,
) -> list[list[Change]]:
    """The same commits, the current versions with the place of their hashes in one file that is written for all."""
    if not stretches:
        return commits
    name, data = hash_file(stretches, uuid4().hex)
    files.write({name: data})
    places: dict[tuple[Key, str], HashesPlace] = {}
    first = 0
    for key, partition, kind, found in stretches:
        place = places.setdefault(
            (key, partition), {"hashes_file": name, "hashes_first_row": first}
        )
        place["hashes_rows" if kind == "rows" else "inputs_rows"] = len(found)
        first += len(found)
    names[name] = (first, len(data))
    last: dict[tuple[Key, str], Change] = {}
    for changes in commits:
        last.update({(change.key, change.partition): change for change in changes})
    return [
        [
            replace(change, pointer=replace(change.made, **places[change.key, change.partition]))
            if last[change.key, change.partition] is change
            and (change.key, change.partition) in places
            else change
            for change in changes
        ]
        for changes in commits
    ]
