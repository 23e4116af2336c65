"""From checked rows of several tables to the files and pointers of one commit.

Belongs here: what is hashed and written and what can stay as it is, how rows are cut into files, what a file says of
itself, the file of hashes per instrument. Does not belong here: checking rows (``validation``), writing (``files``),
naming what is current (``commits``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pyarrow

from setbull_pipelines.disk import content_hash
from setbull_pipelines.tables.contract import Column, Kind, Table
from setbull_pipelines.warehouse import encoding, instrument_hashes
from setbull_pipelines.warehouse.changes import Key, Version
from setbull_pipelines.warehouse.files import Files, side_by_side
from setbull_pipelines.warehouse.pointers import (
    AGAIN,
    CHANGED,
    DAMAGED,
    EVICTED,
    NEW,
    UNASSIGNED,
    Cost,
    Failure,
    HashesPlace,
    Pointer,
    StoredTable,
    to_record,
)
from setbull_pipelines.warehouse.validation import DAY_COLUMN, Batch

FOOTER = "setbull_pipelines"
"""Under this name a file says which partitions it holds and what they were computed from."""
MOST_BYTES = 64 * 2**20
"""A file is cut before it holds more, at the bounds of days: a reader of one day hashes no more than that for it."""
_FEWEST_ROWS_FOR_THREADS = 16_384
_COMPUTED_FROM = ("schema_hash", "code_version", "settings_hash", "inputs")
HASHES = Table(
    "instrument_hashes",
    "One hash per instrument of a partition: of its rows, and of what it was computed from.",
    ("operations",),
    ("schema_name", "table_name", "partition", "kind", "instrument_key"),
    (
        Column("schema_name", Kind.TEXT, "Schema of the table"),
        Column("table_name", Kind.TEXT, "Table"),
        Column("partition", Kind.TEXT, "Trading day, or the name of the partition"),
        Column("kind", Kind.TEXT, "Whether the hash is of rows or of inputs"),
        Column("instrument_key", Kind.TEXT, "Instrument"),
        Column("hash", Kind.INTEGER, "The hash, 64 bits taken as a number with sign"),
    ),
    partitioned=False,
)


@dataclass(frozen=True)
class Publication:
    """Rows of some partitions of one table, and what they were computed from; see ``Warehouse.publish_many``."""

    stored: StoredTable
    batch: Batch
    code_version: str
    settings_hash: str
    inputs: Mapping[str, Mapping[str, str]]
    run_id: str
    notes: Mapping[str, str] | None = None
    costs: Mapping[str, Cost] | None = None
    failures: Mapping[str, Mapping[str, Failure]] | None = None
    instrument_inputs: Mapping[str, pyarrow.Table | None] | None = None


@dataclass
class Prepared:
    """What a commit consists of."""

    pointers: list[dict[str, Pointer]]
    """By partition, of each publication."""
    data: dict[str, bytes] = field(default_factory=dict)
    """New files by name."""
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rows and bytes of them."""
    groups: dict[str, list[dict[str, pyarrow.Array]]] = field(default_factory=dict)
    """Rows of them, as reading them back gives them."""


@dataclass(frozen=True)
class _Part:
    """The partitions of one publication that lie in one file, by their positions in its batch."""

    publication: int
    positions: tuple[int, ...]


def prepare(
    publications: Sequence[Publication],
    current: Mapping[Key, Mapping[str, Version | None]],
    files: Files,
    is_mirror: bool,
) -> Prepared:
    """The files and pointers that publish all of ``publications``.

    A partition whose rows are those that are ``current``, in a file that is whole, gets a new pointer alone; but not in
    a mirror, where only the copy is known to be whole.
    """
    commit = uuid4().hex
    hashes = [_hashes(each, files.threads) for each in publications]
    prepared = Prepared([])
    beside = _hash_file(publications, hashes, prepared, commit)
    drafts = []
    for number, each in enumerate(publications):
        known = current.get(each.stored.key, {})
        drafts.append(_drafts(each, hashes[number], beside[number], known, files, is_mirror))
        prepared.pointers.append({name: draft for name, (draft, _) in drafts[number].items()})
    parts = [
        _Part(number, positions)
        for number, each in enumerate(publications)
        for positions in _cut(each, [is_new for _, is_new in drafts[number].values()])
    ]
    others = [
        (number, name)
        for number, of_table in enumerate(drafts)
        for name, (_, is_new) in of_table.items()
        if not is_new
    ]

    def encode(item: tuple[int, _Part]) -> tuple[bytes, list[dict[str, pyarrow.Array]]]:
        place, part = item
        each = publications[part.publication]
        told = _told(publications, prepared.pointers, part, others if place == 0 else ())
        spans = [tuple(each.batch.bounds[at : at + 2].tolist()) for at in part.positions]
        rows = encoding.rows_of_file(each.stored.table, each.batch.columns, spans)
        lengths = encoding.group_lengths([end - start for start, end in spans])
        data = encoding.to_parquet(rows, lengths, footer(commit, told))
        return data, encoding.groups_of_rows(rows, lengths)

    encoded = side_by_side(files.threads, encode, list(enumerate(parts)))
    for part, (data, groups) in zip(parts, encoded, strict=True):
        each = publications[part.publication]
        name = f"{'/'.join(each.stored.key)}/{content_hash(data)}.parquet"
        first = 0
        for at in part.positions:
            partition = each.batch.partitions[at]
            pointer = prepared.pointers[part.publication][partition]
            prepared.pointers[part.publication][partition] = replace(
                pointer, file=name, first_row=first
            )
            first += pointer.rows
        prepared.data[name], prepared.groups[name] = data, groups
        prepared.counts[name] = (first, len(data))
    return prepared


@dataclass(frozen=True)
class _Hashes:
    """The hashes of each partition of a publication, in the order of its batch."""

    contents: list[str]
    values: Sequence[str | None]
    by_instrument: Sequence[pyarrow.Table | None]


def _hashes(each: Publication, threads: int) -> _Hashes:
    table, bounds = each.stored.table, each.batch.bounds
    if bounds[-1] < _FEWEST_ROWS_FOR_THREADS:
        threads = 1  # few rows are hashed before a thread has started
    columns = instrument_hashes.with_coded_texts(table, each.batch.columns, threads)

    def contents() -> list[str]:
        return instrument_hashes.contents_of_partitions(table, columns, bounds, threads)

    def by_instrument() -> list[pyarrow.Table]:
        return instrument_hashes.hashes_of_partitions(table, columns, bounds, threads)

    if table.key[0] != "instrument_key":
        nothing = [None] * len(each.batch.partitions)
        return _Hashes(contents(), nothing, nothing)
    if table.without_provenance is table:
        found = by_instrument()
        values = [instrument_hashes.combined(of_one) for of_one in found]
        return _Hashes(values, [None] * len(values), found)
    found, hashed = side_by_side(threads, lambda work: work(), [by_instrument, contents])
    values = [instrument_hashes.combined(of_one) for of_one in found]
    return _Hashes(hashed, values, found)


def _drafts(
    each: Publication,
    hashes: _Hashes,
    beside: Sequence[HashesPlace],
    current: Mapping[str, Version | None],
    files: Files,
    is_mirror: bool,
) -> dict[str, tuple[Pointer, bool]]:
    """The pointer of each partition, and whether its rows have to be written; then it does not say yet where."""
    drafts = {}
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    lengths = np.diff(each.batch.bounds).tolist()
    for at, partition in enumerate(each.batch.partitions):
        pointer = Pointer(
            file=None,
            first_row=0,
            rows=lengths[at],
            schema_hash=encoding.schema_hash(each.stored.table),
            code_version=each.code_version,
            settings_hash=each.settings_hash,
            inputs=dict(each.inputs[partition]),
            content_hash=hashes.contents[at],
            run_id=each.run_id,
            note=(each.notes or {}).get(partition),
            published_at=moment,
            cost=(each.costs or {}).get(partition),
            failures=dict((each.failures or {}).get(partition, {})),
            values_hash=hashes.values[at],
            **beside[at],
        )
        because, is_whole = _why(pointer, partition, current, files)
        pointer = replace(pointer, published_because=because)
        before = current[partition] if is_whole and not is_mirror else None
        is_new = True
        if before is not None:
            old = before.pointer
            is_new = (old.content_hash, old.schema_hash) != (
                pointer.content_hash,
                pointer.schema_hash,
            )
            if not is_new and pointer.rows:
                pointer = replace(pointer, file=old.file, first_row=old.first_row)
        drafts[partition] = (pointer, bool(pointer.rows) and is_new)
    return drafts


def _why(
    pointer: Pointer, partition: str, current: Mapping[str, Version | None], files: Files
) -> tuple[str, bool]:
    """Why ``pointer`` is published over what is there, and whether that is whole."""
    if partition not in current:
        return NEW, False
    version = current[partition]
    if version is None:
        return DAMAGED, False
    before = version.pointer
    if before.evicted_at:
        return EVICTED, False
    is_changed = any(getattr(before, name) != getattr(pointer, name) for name in _COMPUTED_FROM)
    # Where other rows take its place, nobody needs to know whether it is whole.
    if is_changed and before.content_hash != pointer.content_hash:
        return CHANGED, False
    is_whole = before.file is None or files.holds(before.file)
    if is_changed:
        return CHANGED, is_whole
    return (AGAIN if is_whole else DAMAGED), is_whole


def _cut(each: Publication, is_new: Sequence[bool]) -> Iterator[tuple[int, ...]]:
    """The positions of the partitions whose rows are new, those of one file together, in order of partitions."""
    batch = each.batch
    lengths = np.diff(batch.bounds).tolist()
    wanted = [at for at in range(len(lengths)) if is_new[at] and lengths[at]]
    wanted.sort(key=lambda at: batch.partitions[at])
    is_cut = not each.stored.table.partitioned or DAY_COLUMN not in batch.columns
    size = sum(array.nbytes for array in batch.columns.values()) / max(batch.bounds[-1], 1)
    together: list[int] = []
    for at in wanted:
        # A column of the rows says the day of each; what is no day is found in a file of its own.
        is_alone = is_cut or batch.partitions[at] == UNASSIGNED
        rows = sum(lengths[other] for other in together) + lengths[at]
        if together and (is_alone or rows * size > MOST_BYTES):
            yield tuple(together)
            together = []
        together.append(at)
    if together:
        yield tuple(together)


def _told(
    publications: Sequence[Publication],
    pointers: Sequence[Mapping[str, Pointer]],
    part: _Part,
    others: Sequence[tuple[int, str]],
) -> list[list]:
    """What a file says of its partitions, in the order of their rows, and then of ``others`` of the same commit."""
    names = [publications[part.publication].batch.partitions[at] for at in part.positions]
    return [
        [*publications[number].stored.key, name, *to_record(pointers[number][name])]
        for number, name in (*((part.publication, name) for name in names), *others)
    ]


def footer(commit: str, told: Sequence[Sequence[object]]) -> dict[str, str]:
    """What a file says of itself; ``commit``, a name of its own, makes its bytes, and with them its name, unique.

    So a file that no commit names can never be named later by anybody but the writer that has just written it.
    """
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    return {FOOTER: json.dumps({"commit": commit, "moment": moment, "partitions": told})}


def _hash_file(
    publications: Sequence[Publication],
    hashes: Sequence[_Hashes],
    prepared: Prepared,
    commit: str,
) -> list[list[HashesPlace]]:
    """Add the file of hashes by instrument; where in it those of each partition lie, as fields of its pointer."""
    stretches: list[tuple[Key, str, str, pyarrow.Table]] = []
    places: list[list[HashesPlace]] = []
    first = 0
    for each, found in zip(publications, hashes, strict=True):
        of_table: list[HashesPlace] = []
        for at, partition in enumerate(each.batch.partitions):
            of_inputs = (each.instrument_inputs or {}).get(partition)
            counts = []
            for kind, of_one in (("rows", found.by_instrument[at]), ("inputs", of_inputs)):
                counts.append(None if of_one is None else len(of_one))
                if of_one is not None and len(of_one):
                    stretches.append((each.stored.key, partition, kind, of_one))
            of_table.append(
                {"hashes_first_row": first, "hashes_rows": counts[0] or 0, "inputs_rows": counts[1]}
            )
            first += (counts[0] or 0) + (counts[1] or 0)
        places.append(of_table)
    if not stretches:
        return places
    name, data = hash_file(stretches, commit)
    prepared.data[name], prepared.counts[name] = data, (first, len(data))
    for of_table in places:
        for place in of_table:
            place["hashes_file"] = name
    return places


def hash_file(
    stretches: Sequence[tuple[Key, str, str, pyarrow.Table]], commit: str
) -> tuple[str, bytes]:
    """Name and bytes of the file that holds hashes by instrument: of tables, partitions, and of rows or inputs."""
    counts = [len(of_one) for *_, of_one in stretches]

    def repeated(texts: Sequence[str]) -> pyarrow.Array:
        codes = pyarrow.array(texts).dictionary_encode()
        indices = pyarrow.array(np.repeat(codes.indices.to_numpy(), counts))
        return pyarrow.DictionaryArray.from_arrays(indices, codes.dictionary)

    keys = pyarrow.concat_arrays(
        [chunk for *_, of_one in stretches for chunk in of_one.column(0).chunks]
    )
    values = np.concatenate([of_one.column(1).to_numpy() for *_, of_one in stretches])
    rows = pyarrow.Table.from_arrays(
        [
            repeated([key[0] for key, *_ in stretches]),
            repeated([key[1] for key, *_ in stretches]),
            repeated([partition for _, partition, *_ in stretches]),
            repeated([kind for *_, kind, _ in stretches]),
            keys.dictionary_encode(),
            values.astype("<u8").view("<i8"),
        ],
        schema=HASHES.arrow_schema,
    )
    data = encoding.to_parquet(rows, footer=footer(commit, ()))
    return f"operations/{HASHES.name}/{content_hash(data)}.parquet", data
