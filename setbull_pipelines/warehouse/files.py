"""The data files: written once, held against their names before they are believed, decoded group by group.

Belongs here: durable writing, the check of bytes, decoding some rows of a file, the memory of what was decoded. Does
not belong here: which rows of a file are current (``commits``), the bytes of a file (``encoding``), object stores.
"""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet

from setbull_pipelines import disk
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.cache import ArrowCache
from setbull_pipelines.warehouse.errors import DamagedPartition

_FILES_REMEMBERED = 10_000
_USE_NOTED_SECONDS = 3600
DAMAGED_PREFIX = "damaged-"
"""Before the name of a file that was taken away from readers which do not check it."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a file that follow one another."""

    file: str
    first: int
    count: int


@dataclass(frozen=True)
class _Checked:
    """A file as it was when every byte of it was checked, and the rows of its groups."""

    identity: tuple[int, ...]
    bounds: tuple[int, ...]
    """Where each group begins, and behind them where the last one ends."""
    keys: tuple[tuple[str, str] | None, ...]
    """The smallest and largest instrument of each group, where that is known."""


class Files:
    """The data files below one folder, by their names from there; a name ends with the hash of the file's bytes.

    ``fetch`` brings a file that is not there, or not whole, from elsewhere, and says whether it did.
    ``threads`` write and sync files side by side: both release the interpreter lock. Safe to share between threads.
    """

    def __init__(
        self,
        root: Path,
        cache: ArrowCache,
        threads: int,
        fetch: Callable[[str], bool] | None = None,
    ) -> None:
        self.root, self.cache, self.threads, self._fetch = root, cache, threads, fetch
        self._checked: dict[str, _Checked] = {}
        self._is_swept = False

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return Path(os.path.join(self.root, name))

    # Writing

    def write(self, files: Mapping[str, bytes], durably: bool = True) -> None:
        """Put files in place, side by side; they and their names survive a power cut.

        ``durably`` is False for copies of what is safe elsewhere.
        """
        if not self._is_swept:
            self.sweep()
        write = disk.replace_durably if durably else disk.replace_derived
        folders = {self.path(name).parent for name in files}
        to_sync = set(folders)
        for folder in folders:
            if not folder.exists():
                # The name of a new folder has to survive too, and that of the folder above it.
                to_sync |= {folder.parent, folder.parent.parent}
                folder.mkdir(parents=True, exist_ok=True)
            # Names cannot leave the root; a symbolic link inside it could.
            if not folder.resolve().is_relative_to(self.root):
                raise ValueError(f"{folder} lies outside the warehouse {self.root}")
        work = [(write, self.path(name), data) for name, data in files.items()]
        side_by_side(self.threads, lambda each: each[0](*each[1:]), work)
        if durably:
            side_by_side(self.threads, disk.sync, list(to_sync))

    def sweep(self) -> list[Path]:
        """Delete what killed writers have left half written; before the first file that is written here."""
        self._is_swept = True
        folders = [self.root, *(path for path in self.root.glob("*/*") if path.is_dir())]
        return [left for folder in folders if folder.is_dir() for left in disk.sweep(folder)]

    def believe(self, name: str, groups: Sequence[Mapping[str, pyarrow.Array]]) -> None:
        """Take a file for checked that this process has just written, and hold its rows in memory."""
        lengths = [len(next(iter(arrays.values()))) for arrays in groups]
        bounds = tuple(np.cumsum([0, *lengths]).tolist())
        found = disk.identity(str(self.path(name)))
        if found is not None:
            self._remember(name, _Checked(found, bounds, (None,) * len(groups)))
        for number, arrays in enumerate(groups):
            self.cache.put(_of_group(name, number), arrays)

    def set_aside(self, name: str) -> None:
        """Take a damaged file away from readers that do not check it."""
        path = self.path(name)
        if path.exists():
            os.rename(path, path.with_name(f"{DAMAGED_PREFIX}{path.name}"))
            disk.sync(path.parent)

    # Checking

    def holds(self, name: str) -> bool:
        """Whether a file is what its name says; hashed once, and again when anybody has written to it."""
        try:
            self._check(name)
        except DamagedPartition:
            return False
        return True

    def doubt(self) -> None:
        """Hash files again before they are believed."""
        self._checked.clear()

    def _check(self, name: str) -> _Checked:
        known, path = self._checked.get(name), str(self.path(name))
        if known is not None and known.identity == disk.identity(path):
            return known
        try:
            checked = _hashed(path)
        except DamagedPartition:
            # A copy that is damaged, or is not there.
            if self._fetch is None or not self._fetch(name):
                raise
            checked = _hashed(path)
        self._remember(name, checked)
        return checked

    def _remember(self, name: str, checked: _Checked) -> None:
        if len(self._checked) >= _FILES_REMEMBERED:
            self._checked.clear()
        self._checked[name] = checked

    def note_uses(self, names: Iterable[str]) -> None:
        """Say that files are in use, once an hour; see :func:`disk.last_used`."""
        for name in names:
            path = str(self.path(name))
            before = disk.identity(path)
            if before is None or time.time() - disk.last_used(path) < _USE_NOTED_SECONDS:
                continue
            disk.note_use(path)
            known, after = self._checked.get(name), disk.identity(path)
            if known is not None and known.identity == before and after is not None:
                self._remember(name, _Checked(after, known.bounds, known.keys))

    # Reading

    def read(
        self,
        spans: Sequence[Rows],
        columns: Sequence[str],
        instrument_keys: Collection[str] | None = None,
    ) -> list[Mapping[str, pyarrow.Array]]:
        """Columns of ``spans``, in their order, in any number of pieces; rows of ``instrument_keys`` only, if given.

        Row groups without them are not decoded. Raises DamagedPartition.
        """
        pieces: list[Mapping[str, pyarrow.Array]] = []
        wanted = None if instrument_keys is None else sorted(instrument_keys)
        for span in spans:
            # What is in memory was checked when it came there.
            checked = self._checked.get(span.file) or self._check(span.file)
            for number in _groups_of(checked, span):
                if wanted is not None and _has_none(checked.keys[number], wanted):
                    continue
                start = max(span.first - checked.bounds[number], 0)
                end = min(span.first + span.count, checked.bounds[number + 1])
                arrays = self._group(span.file, number, columns)
                arrays = {
                    name: arrays[name].slice(start, end - checked.bounds[number] - start)
                    for name in columns
                }
                if wanted is not None:
                    # Group by group, so that the rows of the others are never held together.
                    arrays = _rows_of(arrays, wanted)
                pieces.append(arrays)
        return pieces

    def first_rows(self, span: Rows, columns: Sequence[str]) -> pyarrow.Table:
        """Rows of a file that is not held against its hash, to be looked at: compute nothing from them."""
        with pyarrow.parquet.ParquetFile(self.path(span.file)) as file:
            skipped, found = 0, []
            for number in range(file.num_row_groups):
                rows = file.metadata.row_group(number).num_rows
                start, end = max(span.first - skipped, 0), span.first + span.count - skipped
                if start < rows and end > 0:
                    table = file.read_row_group(number, list(columns))
                    found.append(table.slice(start, min(end, rows) - start))
                skipped += rows
            return pyarrow.concat_tables(found)

    def _group(self, name: str, number: int, columns: Sequence[str]) -> Mapping[str, pyarrow.Array]:
        place = _of_group(name, number)
        held = self.cache.get(place, list(columns))
        if held is None:
            self._check(name)
            held = self._decode(name, number, columns)
            self.cache.put(place, held)
        return held

    def _decode(self, name: str, number: int, columns: Sequence[str]) -> dict[str, pyarrow.Array]:
        with pyarrow.memory_map(str(self.path(name))) as source:
            file = pyarrow.parquet.ParquetFile(source, pre_buffer=False)
            is_large = self.threads > 1 and file.metadata.row_group(number).num_rows > 16_384
            return _in_one_chunk(file.read_row_group(number, list(columns), use_threads=is_large))


def side_by_side(threads: int, work: Callable, items: Sequence) -> list:
    """What ``work`` makes of each item, in their order, by at most so many threads."""
    if len(items) < 2 or threads == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def _hashed(path: str) -> _Checked:
    identity = disk.identity(path)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        data = None
    if data is None or identity is None:
        raise DamagedPartition(
            f"{path} is gone although a commit names it; read again, and if that fails compute the partition again"
        )
    if disk.content_hash(data) != Path(path).stem:
        raise DamagedPartition(
            f"{path} is not what was published; restore an earlier version, or compute the partition again by: "
            "setbull scrub"
        )
    metadata = pyarrow.parquet.read_metadata(pyarrow.BufferReader(data))
    lengths = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    bounds = tuple(np.cumsum([0, *lengths]).tolist())
    return _Checked(identity, bounds, encoding.instruments_of_groups(metadata))


def _of_group(name: str, number: int) -> str:
    return f"{name}#{number}"


def _groups_of(checked: _Checked, span: Rows) -> Iterable[int]:
    if not span.count:
        return ()
    first, last = np.searchsorted(
        checked.bounds, [span.first, span.first + span.count - 1], side="right"
    )
    return range(first - 1, last)


def _has_none(keys: tuple[str, str] | None, wanted: Sequence[str]) -> bool:
    """Whether none of ``wanted``, which are sorted, lies between the smallest and the largest of ``keys``."""
    if keys is None:
        return False
    after = bisect.bisect_left(wanted, keys[0])
    return after == len(wanted) or wanted[after] > keys[1]


def _in_one_chunk(table: pyarrow.Table) -> dict[str, pyarrow.Array]:
    """The columns by name. Only texts come in several chunks, and putting one together copies it."""
    columns = zip(table.column_names, table.columns, strict=True)
    return {
        name: column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        for name, column in columns
    }


def _rows_of(
    arrays: Mapping[str, pyarrow.Array], instrument_keys: Sequence[str]
) -> dict[str, pyarrow.Array]:
    keys = arrays["instrument_key"]
    # Not NumPy's isin: it sorts texts as objects, which took longer than decoding the file.
    chosen = pyarrow.array(instrument_keys, keys.dictionary.type)
    wanted = compute.is_in(keys.dictionary, value_set=chosen).to_numpy(zero_copy_only=False)
    rows = pyarrow.array(np.flatnonzero(wanted[keys.indices.to_numpy()]))
    return {name: array.take(rows) for name, array in arrays.items()}
