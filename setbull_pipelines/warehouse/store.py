"""The store: one directory per table, immutable content-named files, one pointer per partition.

Belongs here: publishing, reading, checking, going back and collecting old versions. Does not
belong here: what a pointer says (``pointers``), SQL (``queries``, ``catalog``), Dagster
(``resources``), any rule about the data beyond its table contract.

A file is never changed once it has its name; a partition changes by replacing its small pointer.
Readers take no lock and see the old version or the new one, never a mixture.

Where machines share an object store (``remote``), pointers are there alone, and the directory holds copies of files
that this machine has published or read.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet

from setbull_pipelines.warehouse import disk, encoding, instrument_hashes, validation
from setbull_pipelines.warehouse.cache import ArrowCache
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    EvictedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.pointers import (
    AGAIN,
    CHANGED,
    DAMAGED,
    EVICTED,
    NEW,
    UNASSIGNED,
    WHOLE,
    Cost,
    Failure,
    Pointer,
    StoredTable,
    to_bytes,
    versions_of,
)
from setbull_pipelines.warehouse.remote import (
    GRACE,
    Remote,
    claim_folder,
    make_mirror,
    partition_of_upload,
)

_POINTER_FILE = "current.json"
_DAY_DIRECTORY = "trading_day="
_WHOLE_DIRECTORY = "whole"
_QUARANTINE = ("raw", "quarantine")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEPT_FILE = re.compile(r"[0-9a-f]{32}\.(parquet|rows|inputs)")
_DAMAGED_PREFIX = "damaged-"
_NAMES_SHOWN = 5
_COMPUTED_FROM = ("schema_hash", "code_version", "settings_hash", "inputs")
_USE_NOTED_SECONDS = 3600
_FILES_REMEMBERED = 10_000


class Warehouse:
    """All stored tables below one directory.

    ``keep_versions`` counts the versions per partition, the current one included, that
    :meth:`collect_garbage` leaves; readers of an older catalog need the versions it names.
    ``cache_bytes`` bounds the memory that holds decoded files between reads. ``threads`` encode and sync files
    side by side: both release the interpreter lock, and more than four gained nothing. With one, a file that is read
    alone is decoded in one thread too. ``remote`` is where pointers and files are shared with other machines; None
    keeps all in the directory, which is then the only copy. Raises InvalidSettings when the directory belongs to
    another store, or to none.
    """

    def __init__(
        self,
        root: Path,
        keep_versions: int = 3,
        cache_bytes: int = 256 * 2**20,
        threads: int = 4,
        remote: Remote | None = None,
    ) -> None:
        for name, found in (("keep_versions", keep_versions), ("threads", threads)):
            if found < 1:
                raise ValueError(f"{name} is {found}, expected at least 1")
        self.threads = threads
        self.root = Path(root).resolve()
        self.keep_versions = keep_versions
        self.cache = ArrowCache(cache_bytes)
        # Which hour it is, and the files whose use was noted in it (hashes: paths of years would be megabytes).
        self._uses: tuple[int, set[int]] = (0, set())
        # Files whose every byte was checked, as they were then.
        self._checked: dict[str, tuple[int, ...]] = {}
        self._remote = remote
        claim_folder(self.root, remote.address if remote else None)

    @property
    def is_mirror(self) -> bool:
        """Whether the directory holds copies of what is in an object store."""
        return self._remote is not None

    # Writing

    def publish(
        self,
        stored: StoredTable,
        partition: str,
        frame: pd.DataFrame,
        *,
        code_version: str,
        settings_hash: str,
        inputs: Mapping[str, str],
        run_id: str,
        note: str | None = None,
        cost: Cost | None = None,
        failures: Mapping[str, Failure] | None = None,
    ) -> Pointer:
        """Make ``frame`` the current version of one partition; see :meth:`publish_many`."""
        pointers = self.publish_many(
            stored,
            {partition: frame},
            code_version=code_version,
            settings_hash=settings_hash,
            inputs={partition: inputs},
            run_id=run_id,
            notes={} if note is None else {partition: note},
            costs={} if cost is None else {partition: cost},
            failures={partition: failures or {}},
        )
        return pointers[partition]

    def publish_many(
        self,
        stored: StoredTable,
        frames: Mapping[str, pd.DataFrame],
        *,
        code_version: str,
        settings_hash: str,
        inputs: Mapping[str, Mapping[str, str]],
        run_id: str,
        notes: Mapping[str, str] | None = None,
        costs: Mapping[str, Cost] | None = None,
        failures: Mapping[str, Mapping[str, Failure]] | None = None,
        instrument_inputs: Mapping[str, pyarrow.Table | None] | None = None,
    ) -> dict[str, Pointer]:
        """Make each frame the current version of its partition and return the pointers.

        Columns are matched by name. ``inputs`` names, per partition, the content hash of every
        input; ``notes`` the reasons for zero rows, ``costs`` what computing it took, ``failures``
        the instruments that are missing from it, ``instrument_inputs`` the hash of what each
        instrument was computed from. Raises ContractViolation, with nothing written, if any frame
        breaks the contract. Each partition changes atomically; the batch does not: a crash leaves
        some partitions new and the others as they were.
        """
        if not frames:
            return {}
        return self.publish_batch(
            stored,
            self.check(stored, frames),
            code_version=code_version,
            settings_hash=settings_hash,
            inputs=inputs,
            run_id=run_id,
            notes=notes,
            costs=costs,
            failures=failures,
            instrument_inputs=instrument_inputs,
        )

    def publish_range(
        self,
        stored: StoredTable,
        frame: pd.DataFrame,
        partitions: Sequence[str],
        *,
        code_version: str,
        settings_hash: str,
        inputs: Mapping[str, Mapping[str, str]],
        run_id: str,
        notes: Mapping[str, str] | None = None,
        costs: Mapping[str, Cost] | None = None,
        failures: Mapping[str, Mapping[str, Failure]] | None = None,
        instrument_inputs: Mapping[str, pyarrow.Table | None] | None = None,
    ) -> dict[str, Pointer]:
        """As :meth:`publish_many`, of one frame with the rows of many days, in any order.

        Its column ``trading_day`` tells the partition of a row; one of ``partitions`` without rows is published empty.
        ContractViolation, with nothing written, also for rows of another day.
        """
        if not partitions:
            return {}
        return self.publish_batch(
            stored,
            self.check_range(stored, frame, partitions),
            code_version=code_version,
            settings_hash=settings_hash,
            inputs=inputs,
            run_id=run_id,
            notes=notes,
            costs=costs,
            failures=failures,
            instrument_inputs=instrument_inputs,
        )

    def publish_batch(
        self,
        stored: StoredTable,
        batch: validation.Batch,
        *,
        code_version: str,
        settings_hash: str,
        inputs: Mapping[str, Mapping[str, str]],
        run_id: str,
        notes: Mapping[str, str] | None = None,
        costs: Mapping[str, Cost] | None = None,
        failures: Mapping[str, Mapping[str, Failure]] | None = None,
        instrument_inputs: Mapping[str, pyarrow.Table | None] | None = None,
    ) -> dict[str, Pointer]:
        """As :meth:`publish_many`, of what :meth:`check` or :meth:`check_range` gave for the table."""
        if set(inputs) != set(batch.partitions):
            raise ValueError(
                f"{stored.name}: inputs are named for partitions {sorted(inputs)}, "
                f"frames for {sorted(batch.partitions)}"
            )
        # All names are looked at before the first file is written: the rows of a dictionary do not say theirs.
        directories = {name: self._directory(stored, name) for name in batch.partitions}
        if stored.table.without_provenance is stored.table:
            hashes = [None] * len(batch.partitions)
        else:
            hashes = instrument_hashes.hashes_of_partitions(
                stored.table, batch.columns, batch.bounds
            )
        contract = encoding.schema_hash(stored.table)

        def write(partition: str, rows: pyarrow.Table, known: pyarrow.Table | None) -> Pointer:
            data = encoding.to_parquet(stored.table, rows)
            content_hash = disk.content_hash(data)
            beside, values_hash, inputs_file = {}, None, None
            if known is not None:
                values_hash = instrument_hashes.combined(known)
                beside[f"{content_hash}.rows"] = instrument_hashes.to_bytes(known)
            computed_from = (instrument_inputs or {}).get(partition)
            if computed_from is not None:
                by_instrument = instrument_hashes.to_bytes(computed_from)
                inputs_file = f"{disk.content_hash(by_instrument)}.inputs"
                beside[inputs_file] = by_instrument
            pointer = Pointer(
                file=f"{content_hash}.parquet",
                rows=len(rows),
                schema_hash=contract,
                code_version=code_version,
                settings_hash=settings_hash,
                inputs=dict(inputs[partition]),
                content_hash=content_hash,
                run_id=run_id,
                note=(notes or {}).get(partition),
                published_at=datetime.now(UTC).isoformat(timespec="microseconds"),
                cost=(costs or {}).get(partition),
                failures=dict((failures or {}).get(partition, {})),
                instrument_inputs=inputs_file,
                values_hash=values_hash,
                upload=None if self._remote is None else uuid4().hex,
            )
            pointer = self._put(directories[partition], pointer, data, beside)
            # Whoever reads them next in this process need not decode them.
            self.cache.put(
                os.path.join(directories[partition], pointer.file), encoding.held_rows(rows)
            )
            return pointer

        partitions, slices = zip(*batch.slices(), strict=True)
        if len(partitions) == 1:
            return {partitions[0]: write(partitions[0], slices[0], hashes[0])}
        with ThreadPoolExecutor(self.threads) as threads:
            return dict(
                zip(partitions, threads.map(write, partitions, slices, hashes), strict=True)
            )

    def check(self, stored: StoredTable, frames: Mapping[str, pd.DataFrame]) -> validation.Batch:
        """The frames as :meth:`publish_batch` takes them; ContractViolation if any of them breaks the contract."""
        return validation.batch_of_frames(stored.table, stored.name, frames)

    def check_range(
        self, stored: StoredTable, frame: pd.DataFrame, partitions: Sequence[str]
    ) -> validation.Batch:
        """As :meth:`check`, of one frame with the rows of many days (:meth:`publish_range`)."""
        for partition in partitions:
            self._directory(stored, partition)  # what is no day cannot be told from the rows
        return validation.batch_of_range(stored.table, stored.name, frame, partitions)

    def confirm(self, stored: StoredTable, partition: str, inputs: Mapping[str, str]) -> Pointer:
        """Say that computing the current version from ``inputs`` gives the same rows; returns its pointer.

        What it took, and the run that computed it, stay those of the version. MissingPartition without one.
        """
        return self._amend(stored, partition, lambda pointer: replace(pointer, inputs=dict(inputs)))

    def invalidate(self, stored: StoredTable, partition: str, instrument_key: str) -> Pointer:
        """Mark one instrument of the current version as to be computed again; nothing is deleted.

        MissingPartition when the partition was never published.
        """
        return self._amend(
            stored,
            partition,
            lambda pointer: replace(
                pointer, invalidated=tuple(sorted({*pointer.invalidated, instrument_key}))
            ),
        )

    def _amend(
        self, stored: StoredTable, partition: str, change: Callable[[Pointer], Pointer]
    ) -> Pointer:
        def amended(versions: list[Pointer]) -> list[Pointer]:
            if not versions:
                raise self._missing(stored, [partition])
            return [change(versions[0]), *versions[1:]]

        return self._change(self._directory(stored, partition), amended)

    def restore(self, stored: StoredTable, partition: str, content_hash: str) -> Pointer:
        """Make the kept version with ``content_hash`` current again and return its pointer.

        Raises MissingPartition when no such version is kept, DamagedPartition when its file is
        not what was published, ContractViolation when it was written under another contract.
        """
        directory = self._directory(stored, partition)

        def restored(versions: list[Pointer]) -> list[Pointer]:
            for pointer in versions:
                if pointer.content_hash == content_hash:
                    break
            else:
                kept = [version.content_hash for version in versions]
                raise MissingPartition(
                    f"{stored.name} {partition} keeps no version {content_hash!r}; kept: {kept}"
                )
            self._require_contract(stored, {partition: pointer})
            if not self._holds(directory, pointer):
                raise DamagedPartition(
                    f"{stored.name} {partition}: {pointer.file} is not what was published; "
                    "choose another version or compute the partition again"
                )
            return [pointer, *versions]

        return self._change(directory, restored)

    def evict(self, stored: StoredTable, partition: str) -> Pointer:
        """Give up the rows of a partition, and its earlier versions; what it was stays known in its pointer.

        It counts as not up to date until it is published again, and reading it raises EvictedPartition. The bytes go
        with the next :meth:`collect_garbage`, so that views of it can be replaced before. Raises MissingPartition, and
        DamagedPartition when its rows have to be hashed for it and are not what was published.
        """
        if stored.table.key[0] == "instrument_key":
            # Kept beside it, so that readers' inputs can still be told from what they were. Under another contract
            # nobody reads it.
            with suppress(ContractViolation):
                self.instrument_hashes(stored, partition)
        moment = datetime.now(UTC).isoformat(timespec="microseconds")

        def given_up(versions: list[Pointer]) -> list[Pointer]:
            if not versions:
                raise self._missing(stored, [partition])
            if versions[0].evicted_at:
                return versions
            return [replace(versions[0], evicted_at=moment)]

        return self._change(self._directory(stored, partition), given_up)

    def path_of(self, stored: StoredTable, partition: str, pointer: Pointer | None) -> Path:
        """Where the file of a version lies; without a pointer, where the pointer does."""
        return self._directory(stored, partition) / (pointer.file if pointer else _POINTER_FILE)

    def set_aside(self, stored: StoredTable, partition: str) -> None:
        """Take the current file of a partition away from readers that do not check it, unless it is what was published.

        It counts as gone until it is published again; the first :meth:`collect_garbage` after that deletes its bytes.
        Raises DamagedPartition when the pointer cannot be read.
        """
        directory = self._directory(stored, partition)
        with disk.writer_lock(directory):
            versions = self._history(directory)
            if not versions or versions[0].evicted_at or self._holds(directory, versions[0]):
                return
            name = versions[0].file
            with suppress(FileNotFoundError):
                os.rename(directory / name, directory / f"{_DAMAGED_PREFIX}{name}")
            disk.sync_directory(directory)

    def collect_garbage(self, stored: StoredTable | None = None) -> int:
        """Delete versions beyond ``keep_versions``, what was evicted, and leftovers of crashed writers.

        Works on one table, or on all. Returns the number of files deleted. A partition whose
        pointer cannot be read is left alone: nobody knows which of its files is needed. In an object store
        files that no pointer names are left alone until they are old: another machine may be about to name them.
        """
        deleted = 0
        if self._remote is not None:
            tables = self._remote.tables() if stored is None else ["/".join(stored.key)]
            now = self._remote.store.now()
            deleted += sum(self._collect_uploads(self._remote, table, now) for table in tables)
        pattern = "*/*" if stored is None else f"{stored.schema}/{stored.table.name}"
        for table in self.root.glob(pattern):
            texts = self._remote.pointers(self._place(table)) if self._remote else {}
            deleted += sum(self._collect(path, texts) for path in table.iterdir() if path.is_dir())
        return deleted

    def upload_to(self, remote: Remote) -> int:
        """Bring all kept versions to an object store, and make this directory its mirror; returns how many partitions.

        A partition that the store has already is left as it is there. Can be repeated after it was interrupted: until
        the end the directory stays what it was. Nobody may write meanwhile. Raises DamagedPartition for a file that
        is not what was published.
        """
        uploaded = 0
        for path in sorted(self.root.glob(f"*/*/*/{_POINTER_FILE}")):
            place = self._place(path.parent)
            if remote.pointer(place) is not None:
                continue
            versions = [
                self._upload(remote, path.parent, pointer)
                for pointer in _read_versions(path.parent)
            ]
            remote.change(place, lambda before, versions=versions: before or to_bytes(versions))
            uploaded += 1
        make_mirror(self.root, remote.address)
        for path in self.root.glob(f"*/*/*/{_POINTER_FILE}"):
            path.unlink()
        return uploaded

    def _upload(self, remote: Remote, directory: Path, pointer: Pointer) -> Pointer:
        uploaded = replace(pointer, upload=uuid4().hex)
        data_file = None if pointer.evicted_at else pointer.file
        for name in filter(None, (data_file, pointer.instrument_inputs)):
            path = directory / name
            data = path.read_bytes() if path.is_file() else b""
            if disk.content_hash(data) == path.stem:
                remote.put(self._place(directory), uploaded.upload, name, data)
            elif name == pointer.file:
                raise DamagedPartition(
                    f"{path} is gone or is not what was published; compute the partition again, then upload"
                )
        return uploaded

    # Looking

    def pointer(self, stored: StoredTable, partition: str) -> Pointer | None:
        """Return what is current, None if nothing was ever published there.

        Raises DamagedPartition when the pointer cannot be read.
        """
        versions = self.history(stored, partition)
        return versions[0] if versions else None

    def pointers(
        self, stored: StoredTable, partitions: Iterable[str] | None = None
    ) -> dict[str, Pointer]:
        """Return what is current in each of ``partitions`` (None: all there are), sorted by partition.

        Those that were never published are left out, and those whose pointer cannot be read. Of many partitions
        this asks an object store once.
        """
        current = {}
        for partition, (_, text) in self._texts(stored, partitions).items():
            try:
                current[partition] = versions_of(text, partition)[0]
            except DamagedPartition:
                continue
        return current

    def history(self, stored: StoredTable, partition: str) -> list[Pointer]:
        """Return the kept versions, the current one first, then the latest before it."""
        return self._history(self._directory(stored, partition))

    def partitions(self, stored: StoredTable) -> list[str]:
        """Return the names of all published partitions, sorted."""
        directory = self.root.joinpath(*stored.key)
        if self._remote is not None:
            return sorted(map(_partition_of, self._remote.places(self._place(directory))))
        if not directory.is_dir():
            return []
        return sorted(
            _partition_of(path.name)
            for path in directory.iterdir()
            if os.path.exists(os.path.join(path, _POINTER_FILE))
        )

    def evicted(self, stored: StoredTable) -> list[str]:
        """Return the names of the partitions whose rows were given up, sorted; of a damaged pointer nobody knows."""
        return [name for name, pointer in self.pointers(stored).items() if pointer.evicted_at]

    def usage(self, stored: StoredTable, partition: str) -> tuple[int, float] | None:
        """Bytes of all kept versions of a partition, and when the current one was last used (seconds since 1970).

        Publishing and reading are uses; they are noted once an hour. None where there are no rows.
        DamagedPartition when the pointer cannot be read.
        """
        directory = self._directory(stored, partition)
        versions = self._history(directory)
        if not versions or versions[0].evicted_at:
            return None
        paths = [os.path.join(directory, name) for name in {each.file for each in versions}]
        try:
            size = sum(os.path.getsize(path) for path in paths if os.path.exists(path))
            return size, disk.last_used(os.path.join(directory, versions[0].file))
        except FileNotFoundError:
            return None

    def verify(self, stored: StoredTable, partition: str) -> bool:
        """Tell whether the current file of a partition is there and is what was published."""
        directory = self._directory(stored, partition)
        try:
            versions = self._history(directory)
        except DamagedPartition:
            return False
        return bool(versions) and self._holds(directory, versions[0])

    def is_current(
        self,
        stored: StoredTable,
        partition: str,
        *,
        code_version: str,
        settings_hash: str,
        inputs: Mapping[str, str],
    ) -> bool:
        """Tell whether computing the partition again would give what is already there.

        True only if the pointer names the same code, settings, inputs and contract, no instrument
        failed or was invalidated, and the file is undamaged.
        """
        try:
            pointer = self.pointer(stored, partition)
        except DamagedPartition:
            return False
        return (
            pointer is not None
            and pointer.code_version == code_version
            and pointer.settings_hash == settings_hash
            and pointer.inputs == dict(inputs)
            and pointer.schema_hash == encoding.schema_hash(stored.table)
            and not pointer.failures
            and not pointer.invalidated
            and self._holds_in_use(self._directory(stored, partition), pointer)
        )

    def _holds_in_use(self, directory: Path, pointer: Pointer) -> bool:
        holds = self._holds(directory, pointer)
        if holds:
            self._note_uses([os.path.join(directory, pointer.file)])
        return holds

    def files(self, stored: StoredTable, partitions: Iterable[str] | None = None) -> list[Path]:
        """Return the absolute paths of the current files, in partition order.

        ``partitions`` None means all there are, without those that were evicted. Raises MissingPartition for
        those never published, EvictedPartition, and ContractViolation for those written under another contract.
        """
        if partitions is not None:
            partitions = sorted(set(partitions))
        texts = self._texts(stored, partitions)
        pointers = {
            partition: versions_of(text, f"{stored.name} {partition}")[0]
            for partition, (_, text) in texts.items()
        }
        missing = [partition for partition in partitions or () if partition not in pointers]
        if missing:
            raise self._missing(stored, missing)
        evicted = [partition for partition, pointer in pointers.items() if pointer.evicted_at]
        if evicted and partitions is not None:
            raise EvictedPartition(
                f"{stored.name} {_shortened(evicted)}: the rows were removed to save space (on "
                f"{pointers[evicted[0]].evicted_at:.10}); compute them again by: "
                f"setbull run --from {evicted[0]} --to {evicted[-1]}"
            )
        there = {name: pointer for name, pointer in pointers.items() if not pointer.evicted_at}
        self._require_contract(stored, there)
        paths = {
            Path(os.path.join(texts[name][0], pointer.file)): pointer
            for name, pointer in there.items()
        }
        if self._remote is not None:
            absent = [path for path in paths if not path.exists()]
            with ThreadPoolExecutor(self.threads) as threads:
                list(threads.map(self._fetch, absent, [paths[path] for path in absent]))
        return list(paths)

    # Instruments

    def instrument_hashes(self, stored: StoredTable, partition: str) -> pyarrow.Table:
        """The hash of each instrument's rows in the current version (``instrument_hashes.hashes_of_rows``).

        They are worked out once and kept beside the version, also of one that was evicted.
        Raises as :meth:`read_arrow`.
        """
        pointer = self.pointer(stored, partition)
        if pointer is None:
            raise self._missing(stored, [partition])
        self._require_contract(stored, {partition: pointer})
        beside = self._directory(stored, partition) / f"{pointer.content_hash}.rows"
        hashes = _read_hashes(beside)
        if hashes is None:
            (path,) = self.files(stored, [partition])
            # Not through the cache: it measures what computing reads.
            rows = _checked_rows(str(path), stored.table.column_names)[0]
            hashes = instrument_hashes.hashes_of_rows(stored.table, rows)
            with disk.writer_lock(path.parent):
                disk.replace_derived(beside, instrument_hashes.to_bytes(hashes))
        return hashes

    def instrument_inputs(self, stored: StoredTable, partition: str) -> pyarrow.Table | None:
        """What each instrument of the current version was computed from, as published; None where nobody can tell."""
        pointer = self.pointer(stored, partition)
        if pointer is None or pointer.instrument_inputs is None:
            return None
        path = self._directory(stored, partition) / pointer.instrument_inputs
        if self._remote is not None and not path.exists():
            self._copy(path, pointer)
        if not path.exists() or disk.content_hash(path.read_bytes()) != path.stem:
            return None
        return _read_hashes(path)

    # Reading

    def read(
        self,
        stored: StoredTable,
        partitions: Iterable[str] | None = None,
        columns: Iterable[str] | None = None,
        instrument_keys: Collection[str] | None = None,
    ) -> pd.DataFrame:
        """Return partitions as one frame with contract dtypes, in partition then key order.

        ``partitions`` None means all, ``columns`` None means all; columns come in the order
        asked for. ``instrument_keys`` keeps the rows of these instruments only (their column must be asked for).
        No partitions give an empty frame. Raises as :meth:`read_arrow`.
        """
        names = self._columns(stored, columns)
        table = self._read(stored, partitions, names, instrument_keys)
        return encoding.to_frame([stored.table.column(name) for name in names], table)

    def read_arrow(
        self,
        stored: StoredTable,
        partitions: Iterable[str] | None = None,
        columns: Iterable[str] | None = None,
    ) -> pyarrow.Table:
        """Return partitions as one Arrow table with text as plain strings.

        Raises MissingPartition, ContractViolation as :meth:`files`, KeyError for a column the
        table does not have, DamagedPartition when a file is gone or not what was published.
        """
        return encoding.plain_text(self._read(stored, partitions, self._columns(stored, columns)))

    def distinct(self, stored: StoredTable, partition: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return the combinations of texts that the rows of a partition have in ``columns``, each once.

        They come in the order of their first rows. Raises as :meth:`read_arrow`.
        """
        table = self._read(stored, [partition], self._columns(stored, columns))
        codes = np.zeros(len(table), dtype=np.int64)
        for name in columns:
            texts = table.column(name).combine_chunks()
            codes = codes * len(texts.dictionary) + texts.indices.to_numpy()
        _, first = np.unique(codes, return_index=True)
        chosen = table.take(pyarrow.array(np.sort(first)))
        return encoding.to_frame([stored.table.column(name) for name in columns], chosen)

    def first_rows(self, stored: StoredTable, partition: str, count: int) -> pd.DataFrame:
        """Return the first rows of a partition without decoding the others, to be looked at.

        They are not held against the hash of the file, which needs all of it: compute nothing from them. Raises
        MissingPartition, ContractViolation as :meth:`files`.
        """
        columns = list(stored.table.columns)
        (path,) = self.files(stored, [partition])
        with pyarrow.parquet.ParquetFile(path) as file:
            batches = file.iter_batches(count, columns=stored.table.column_names)
            schema = stored.table.arrow_schema
            first = next(batches, None)
            rows = schema.empty_table() if first is None else pyarrow.table(first).cast(schema)
            return encoding.to_frame(columns, rows)

    @contextmanager
    def extract(
        self, stored: StoredTable, partition: str, instrument_keys: Collection[str]
    ) -> Iterator[Path]:
        """Lend a file with the rows of some instruments of one partition; it is removed afterwards.

        Other writers of the partition wait meanwhile. Raises as :meth:`read`.
        """
        frame = self.read(stored, [partition])
        rows = frame[frame["instrument_key"].isin(instrument_keys)].reset_index(drop=True)
        directory = self._directory(stored, partition)
        # What a crash leaves behind looks like that of a writer and is collected with it.
        path = disk.temporary_path(directory / "extract.parquet")
        with disk.writer_lock(directory):
            try:
                path.write_bytes(
                    encoding.to_parquet(stored.table, encoding.to_arrow(stored.table, rows))
                )
                yield path
            finally:
                path.unlink(missing_ok=True)

    def _read(
        self,
        stored: StoredTable,
        partitions: Iterable[str] | None,
        columns: list[str],
        instrument_keys: Collection[str] | None = None,
    ) -> pyarrow.Table:
        paths = [str(path) for path in self.files(stored, partitions)]
        self._note_uses(paths)
        held = {path: self.cache.get(path, columns) for path in paths}
        absent = [path for path, arrays in held.items() if arrays is None]

        def wanted(arrays: Mapping[str, pyarrow.Array]) -> Mapping[str, pyarrow.Array]:
            # File by file, so that the rows of the others are never held together.
            if instrument_keys is None:
                return arrays
            return _rows_of(arrays, columns, instrument_keys)

        held = {path: wanted(arrays) for path, arrays in held.items() if arrays is not None}
        is_alone = len(absent) == 1 and self.threads > 1
        for path in absent:
            # One after the other: side by side, hundreds of small files took twice the time. A single one is large.
            held[path] = wanted(self._load(path, columns, is_alone, instrument_keys))
        fields = [stored.table.arrow_schema.field(name) for name in columns]
        # Column by column: putting hundreds of small tables together costs several times more.
        chunked = [
            pyarrow.chunked_array([held[path][field.name] for path in paths], field.type)
            for field in fields
        ]
        return pyarrow.Table.from_arrays(chunked, schema=pyarrow.schema(fields))

    def _load(
        self,
        path: str,
        columns: list[str],
        use_threads: bool,
        instrument_keys: Collection[str] | None,
    ) -> Mapping[str, pyarrow.Array]:
        """Read ``columns`` of a file, every byte of which was checked; into the cache, when of all its rows.

        ``use_threads`` decodes columns side by side. Of row groups without ``instrument_keys`` nothing is decoded, and
        of a file that this process has checked and nobody wrote to since nothing else is read.
        """
        if instrument_keys is not None:
            table = self._some_rows(path, columns, instrument_keys)
            if table is not None:
                return _in_one_chunk(table)
        before = disk.identity(path)
        try:
            table, is_whole = _checked_rows(path, columns, use_threads, instrument_keys)
        except DamagedPartition:
            # A copy that is damaged, or was collected since its pointer was read.
            if self._remote is None or not self._fetch_again(Path(path)):
                raise
            before = disk.identity(path)
            table, is_whole = _checked_rows(path, columns, use_threads, instrument_keys)
        if len(self._checked) >= _FILES_REMEMBERED:
            self._checked.clear()
        self._checked[path] = before
        arrays = _in_one_chunk(table)
        if is_whole:
            self.cache.put(path, arrays)
        return arrays

    def _some_rows(
        self, path: str, columns: list[str], instrument_keys: Collection[str]
    ) -> pyarrow.Table | None:
        """The row groups with ``instrument_keys``; None where the file must be checked first, or all are wanted."""
        found = disk.identity(path)
        if found is None or self._checked.get(path) != found:
            return None
        with pyarrow.memory_map(path) as source:
            table, is_whole = _decoded(source, columns, False, instrument_keys)
        return None if is_whole else table

    def _note_uses(self, paths: Iterable[str]) -> None:
        hour = int(time.time() // _USE_NOTED_SECONDS)
        if self._uses[0] != hour:
            self._uses = (hour, set())
        noted = self._uses[1]
        for path in paths:
            if hash(path) not in noted:
                noted.add(hash(path))
                disk.note_use(path)

    # Places

    def _directory(self, stored: StoredTable, partition: str) -> Path:
        """Return where a partition lives; ValueError for a name the table cannot have."""
        if not stored.table.partitioned:
            if partition != WHOLE:
                raise ValueError(
                    f"{stored.name} has no trading day: its partition is {WHOLE!r}, "
                    f"not {partition!r}"
                )
            return self.root.joinpath(*stored.key, _WHOLE_DIRECTORY)
        if not (partition == UNASSIGNED and stored.key == _QUARANTINE):
            _validate_day(stored, partition)
        return self.root.joinpath(*stored.key, f"{_DAY_DIRECTORY}{partition}")

    def _put(
        self, directory: Path, pointer: Pointer, data: bytes, beside: Mapping[str, bytes]
    ) -> Pointer:
        self._make(directory)
        if self._remote is not None:
            place = self._place(directory)
            self._remote.put(place, pointer.upload, pointer.file, data)
            # Hashes of rows can be had again from the rows; what they were computed from cannot.
            if name := pointer.instrument_inputs:
                self._remote.put(place, pointer.upload, name, beside[name])
        with disk.writer_lock(directory):
            pointer = replace(pointer, published_because=self._why(directory, pointer))
            if _file_holds(directory, pointer):
                disk.note_use(directory / pointer.file)
            else:
                # A copy of what is in the store can be fetched again.
                write = disk.replace_derived if self._remote else disk.replace_durably
                write(directory / pointer.file, data)
            for name, derived in beside.items():
                disk.replace_derived(directory / name, derived)
            # There is no going back to rows that are gone.
            return self._replace_pointer(
                directory,
                lambda versions: [pointer, *(each for each in versions if not each.evicted_at)],
                heal=True,
            )

    def _why(self, directory: Path, pointer: Pointer) -> str:
        """Why ``pointer`` is published over what is there."""
        try:
            versions = self._history(directory)
        except DamagedPartition:
            return DAMAGED
        if not versions:
            return NEW
        current = versions[0]
        if current.evicted_at:
            return EVICTED
        if any(getattr(current, name) != getattr(pointer, name) for name in _COMPUTED_FROM):
            return CHANGED
        return AGAIN if self._holds(directory, current) else DAMAGED

    def _make(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        # Names cannot leave the root; a symbolic link inside it could.
        if not directory.resolve().is_relative_to(self.root):
            raise ValueError(f"{directory} lies outside the warehouse {self.root}")

    # Pointers

    def _history(self, directory: Path) -> list[Pointer]:
        if self._remote is None:
            return _read_versions(directory)
        place = self._place(directory)
        text = self._remote.pointer(place)
        return [] if text is None else versions_of(text, f"{self._remote.address} {place}")

    def _texts(
        self, stored: StoredTable, partitions: Iterable[str] | None
    ) -> dict[str, tuple[Path, bytes]]:
        """Folder and pointer of those partitions that have one, sorted."""
        if self._remote is None and partitions is None:
            partitions = self.partitions(stored)
        directories = None
        if partitions is not None:
            directories = {name: self._directory(stored, name) for name in sorted(partitions)}
        if self._remote is None:
            # Plain strings, here and in files(): hundreds of partitions are looked up per read, and
            # joining Path objects takes longer than reading the pointers.
            read = {
                name: (directory, _read_text(os.path.join(directory, _POINTER_FILE)))
                for name, directory in directories.items()
            }
            return {name: found for name, found in read.items() if found[1] is not None}
        table = self._place(self.root.joinpath(*stored.key))
        places = None if directories is None else list(map(self._place, directories.values()))
        found = self._remote.pointers(table, places)
        return {_partition_of(place): (self.root / place, text) for place, text in found.items()}

    def _change(self, directory: Path, change: Callable[[list[Pointer]], list[Pointer]]) -> Pointer:
        """Replace the versions of a partition by what ``change`` makes of them; returns the current one then."""
        if self._remote is None and not directory.is_dir():
            return change([])[0]
        self._make(directory)
        with disk.writer_lock(directory):
            return self._replace_pointer(directory, change)

    def _replace_pointer(
        self,
        directory: Path,
        change: Callable[[list[Pointer]], list[Pointer]],
        heal: bool = False,
    ) -> Pointer:
        """As :meth:`_change`, for whoever holds the lock; ``heal`` takes a pointer that cannot be read for none."""
        where = os.path.join(directory, _POINTER_FILE)
        current: list[Pointer] = []

        def changed(text: bytes | None) -> bytes:
            try:
                versions = [] if text is None else versions_of(text, where)
            except DamagedPartition:
                if not heal:
                    raise
                versions = []
            current[:] = change(versions)
            return to_bytes(current)

        if self._remote is None:
            disk.replace_durably(Path(where), changed(_read_text(where)))
            disk.sync_directory(directory)
        else:
            self._remote.change(self._place(directory), changed)
        return current[0]

    def _place(self, directory: Path) -> str:
        return directory.relative_to(self.root).as_posix()

    # Files

    def _holds(self, directory: Path, pointer: Pointer) -> bool:
        """Whether the data file is what was published; a copy that is not is fetched again."""
        if _file_holds(directory, pointer):
            return True
        if self._remote is None or pointer.evicted_at:
            return False
        return self._copy(directory / pointer.file, pointer)

    def _copy(self, path: Path, pointer: Pointer) -> bool:
        """Bring a file of a version from the object store; False when it is not there as it was put."""
        if pointer.upload is None:
            return False
        data = self._remote.fetch(self._place(path.parent), pointer.upload, path.name)
        if data is None:
            return False
        self._make(path.parent)
        # Without the lock: a reader would wait for writers. What a crash leaves is collected when it is old.
        disk.replace_derived(path, data)
        return True

    def _fetch(self, path: Path, pointer: Pointer) -> None:
        # The same rows may have been published again, and their first upload collected, since the pointer was read.
        if not self._copy(path, pointer) and not self._fetch_again(path):
            raise DamagedPartition(
                f"{self._remote.address} {self._place(path.parent)}: {pointer.file} is gone or is not what was "
                "published; restore an earlier version or compute the partition again"
            )

    def _fetch_again(self, path: Path) -> bool:
        """Bring a file from where its pointer says now; False when none names it, or it is not there."""
        versions = self._history(path.parent)
        return any(pointer.file == path.name and self._copy(path, pointer) for pointer in versions)

    # Garbage

    def _collect_uploads(self, remote: Remote, table: str, now: datetime) -> int:
        # Files first, pointers after: what gets its name in between is seen as named.
        uploads = remote.uploads(table)
        named: dict[str, set[tuple[str, str]] | None] = {}
        for place, text in remote.pointers(table).items():
            try:
                versions = versions_of(text, place)
                if len(versions) > self.keep_versions:
                    directory = self.root / place
                    self._change(directory, lambda versions: versions[: self.keep_versions])
                    versions = self._history(directory)
            except DamagedPartition:
                named[place] = None
                continue
            named[place] = {
                (pointer.upload, name)
                for pointer in versions
                for name in (
                    None if pointer.evicted_at else pointer.file,
                    pointer.instrument_inputs,
                )
            }
        useless = []
        for item in uploads:
            place, upload, name = partition_of_upload(item.key)
            kept = named.get(place, set())
            if kept is not None and (upload, name) not in kept and now - item.modified > GRACE:
                useless.append(item)
        remote.delete(useless)
        return len(useless)

    def _collect(self, directory: Path, texts: Mapping[str, bytes]) -> int:
        with disk.writer_lock(directory):
            try:
                if self._remote is None:
                    versions = _read_versions(directory)
                else:
                    text = texts.get(self._place(directory))
                    versions = versions_of(text, str(directory)) if text else []
            except DamagedPartition:
                return 0
            kept = versions[: self.keep_versions]
            if self._remote is None and len(kept) < len(versions):
                self._replace_pointer(directory, lambda versions: versions[: self.keep_versions])
            names = {
                name
                for pointer in kept
                for name in (
                    None if pointer.evicted_at else pointer.file,
                    f"{pointer.content_hash}.rows",
                    pointer.instrument_inputs,
                )
            }
            # Whoever writes here holds the lock, so a temporary file has no living writer; but copies are
            # fetched without it.
            useless = [
                path
                for path in directory.iterdir()
                if (
                    path.name.startswith(disk.TEMPORARY_PREFIX)
                    or (_KEPT_FILE.fullmatch(path.name) and path.name not in names)
                    # One that was not made again stays: it tells that rows are missing, of a log for instance.
                    or (
                        path.name.startswith(_DAMAGED_PREFIX)
                        and (directory / path.name.removeprefix(_DAMAGED_PREFIX)).exists()
                    )
                )
                and (self._remote is None or _age_seconds(path) > GRACE.total_seconds())
            ]
            for path in useless:
                path.unlink()
        return len(useless)

    def _columns(self, stored: StoredTable, columns: Iterable[str] | None) -> list[str]:
        names = stored.table.column_names if columns is None else list(columns)
        unknown = [name for name in names if name not in stored.table.column_names]
        if unknown or len(set(names)) < len(names):
            raise KeyError(
                f"{stored.name}: cannot read columns {names}: unknown {unknown}, or named twice; "
                f"the table has {stored.table.column_names}"
            )
        return names

    def _missing(self, stored: StoredTable, partitions: list[str]) -> MissingPartition:
        return MissingPartition(
            f"{stored.name} has no partition {_shortened(partitions)}; compute and publish it "
            "first, or read only what partitions() lists"
        )

    def _require_contract(self, stored: StoredTable, pointers: Mapping[str, Pointer]) -> None:
        contract = encoding.schema_hash(stored.table)
        outdated = [name for name, pointer in pointers.items() if pointer.schema_hash != contract]
        if outdated:
            raise ContractViolation(
                f"{stored.name} {_shortened(outdated)}: written under another version of the "
                "table contract; compute it again"
            )


def _validate_day(stored: StoredTable, partition: str) -> None:
    try:
        if not _DAY.fullmatch(partition):
            raise ValueError
        date.fromisoformat(partition)
    except ValueError:
        raise ValueError(
            f"{stored.name}: partition {partition!r} is not a trading day YYYY-MM-DD"
        ) from None


def _shortened(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _partition_of(place: str) -> str:
    """The partition that lives in a folder."""
    name = place.rpartition("/")[2]
    return WHOLE if name == _WHOLE_DIRECTORY else name.removeprefix(_DAY_DIRECTORY)


def _age_seconds(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _file_holds(directory: Path, pointer: Pointer) -> bool:
    if pointer.evicted_at:
        return False
    try:
        data = (directory / pointer.file).read_bytes()
    except FileNotFoundError:
        return False
    return disk.content_hash(data) == pointer.content_hash


def _checked_rows(
    path: str,
    columns: list[str],
    use_threads: bool = False,
    instrument_keys: Collection[str] | None = None,
) -> tuple[pyarrow.Table, bool]:
    """As :func:`_decoded`, of a file every byte of which was checked; DamagedPartition when it is not what it was.

    ``use_threads`` decodes beside the check, too.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DamagedPartition(
            f"{path} is gone although its pointer was read a moment ago; read again, and if "
            "that fails compute the partition again"
        ) from None
    if not use_threads:
        _require_hash(path, disk.content_hash(data))
        return _decoded(pyarrow.BufferReader(data), columns, use_threads, instrument_keys)
    with ThreadPoolExecutor(1) as beside:
        found = beside.submit(disk.content_hash, data)
        try:
            return _decoded(pyarrow.BufferReader(data), columns, use_threads, instrument_keys)
        finally:
            # Whatever decoding made of a damaged file, this is what is said of it.
            _require_hash(path, found.result())


def _decoded(
    source: pyarrow.NativeFile,
    columns: list[str],
    use_threads: bool,
    instrument_keys: Collection[str] | None,
) -> tuple[pyarrow.Table, bool]:
    """The columns of the row groups that can hold ``instrument_keys`` (None: of all), and whether that is all rows.

    ``use_threads`` decodes columns side by side.
    """
    file = pyarrow.parquet.ParquetFile(source, pre_buffer=False)
    groups = list(range(file.num_row_groups))
    if instrument_keys is not None:
        groups = encoding.groups_with(file.metadata, instrument_keys)
    table = file.read_row_groups(groups, columns, use_threads=use_threads)
    return table, len(groups) == file.num_row_groups


def _require_hash(path: str, found: str) -> None:
    if found != Path(path).stem:
        raise DamagedPartition(
            f"{path} is not what was published; restore an earlier version or compute the "
            "partition again"
        )


def _in_one_chunk(table: pyarrow.Table) -> dict[str, pyarrow.Array]:
    """The columns by name. Only texts come in several chunks, and putting one together copies it."""
    columns = zip(table.column_names, table.columns, strict=True)
    return {
        name: column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        for name, column in columns
    }


def _rows_of(
    arrays: Mapping[str, pyarrow.Array], columns: list[str], instrument_keys: Collection[str]
) -> dict[str, pyarrow.Array]:
    keys = arrays["instrument_key"]
    # Not NumPy's isin: it sorts texts as objects, which took longer than decoding the file.
    chosen = pyarrow.array(list(instrument_keys), keys.dictionary.type)
    wanted = compute.is_in(keys.dictionary, value_set=chosen).to_numpy(zero_copy_only=False)
    rows = pyarrow.array(np.flatnonzero(wanted[keys.indices.to_numpy()]))
    return {name: arrays[name].take(rows) for name in columns}


def _read_hashes(path: Path) -> pyarrow.Table | None:
    try:
        return instrument_hashes.from_bytes(path.read_bytes())
    except FileNotFoundError:
        return None


def _read_versions(directory: Path) -> list[Pointer]:
    """Read the pointer file: the current version first, then the earlier ones it remembers."""
    path = os.path.join(directory, _POINTER_FILE)
    text = _read_text(path)
    return [] if text is None else versions_of(text, path)


def _read_text(path: str) -> bytes | None:
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
