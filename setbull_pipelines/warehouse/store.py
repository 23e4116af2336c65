"""The store: what writers of the warehouse do. Rows of many days and tables are published in one commit.

Belongs here: publishing, going back, giving up, setting aside. Does not belong here: looking and reading (``reader``),
what is written for it (``publishing``), the transaction (``commits``), deleting (``garbage``), SQL, Dagster, any rule
about the data beyond its table contract.

A file is never changed once it has its name; all partitions of a commit change in one transaction, after the files they
name are on disk. Where machines share an object store (``remote``), commits are there, and the directory holds copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TypedDict, Unpack

import pandas as pd
import pyarrow

from setbull_pipelines.settings import InvalidSettings
from setbull_pipelines.warehouse import (
    converting,
    garbage,
    merging,
    publishing,
    rebuilding,
    validation,
)
from setbull_pipelines.warehouse.changes import AMEND, PUBLISH, Change, Record
from setbull_pipelines.warehouse.errors import DamagedPartition, MissingPartition
from setbull_pipelines.warehouse.pointers import (
    Cost,
    Failure,
    Pointer,
    StoredTable,
    require_partition,
)
from setbull_pipelines.warehouse.publishing import Publication
from setbull_pipelines.warehouse.reader import Reader
from setbull_pipelines.warehouse.remote import ObjectStore, Remote


class Origin(TypedDict, total=False):
    """What is said of the partitions of a table when they are published; the first four always are."""

    code_version: str
    settings_hash: str
    inputs: Mapping[str, Mapping[str, str]]
    """Per partition, the content hash of every input."""
    run_id: str
    notes: Mapping[str, str] | None
    """The reasons for zero rows."""
    costs: Mapping[str, Cost] | None
    """What computing it took."""
    failures: Mapping[str, Mapping[str, Failure]] | None
    """The instruments that are missing from it."""
    instrument_inputs: Mapping[str, pyarrow.Table | None] | None
    """The hash of what each instrument was computed from."""


class Commit:
    """Partitions of several tables that are published together when the block of ``Warehouse.commit`` ends."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.pointers: dict[StoredTable, dict[str, Pointer]] = {}
        """By table and partition, once the block has ended."""

    def add(self, stored: StoredTable, batch: validation.Batch, **origin: Unpack[Origin]) -> None:
        """Publish what :meth:`Warehouse.check` or :meth:`Warehouse.check_range` gave for the table."""
        for partition in batch.partitions:
            require_partition(stored, partition)
        if set(origin["inputs"]) != set(batch.partitions):
            raise ValueError(
                f"{stored.name}: inputs are named for partitions {sorted(origin['inputs'])}, "
                f"frames for {sorted(batch.partitions)}"
            )
        self.publications.append(Publication(stored, batch, **origin))


class Warehouse(Reader):
    """All stored tables below one directory, to be looked at and written to; its parameters are those of a Reader."""

    @contextmanager
    def commit(self) -> Iterator[Commit]:
        """Collect publications and publish all of them when the block ends; nothing when it raises.

        Until then nobody sees any of them, this process neither. A crash leaves all partitions as they were.
        """
        commit = Commit()
        yield commit
        if commit.publications:
            pointers = self._publish(commit.publications)
            for each, of_table in zip(commit.publications, pointers, strict=True):
                commit.pointers.setdefault(each.stored, {}).update(of_table)

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

    def publish_together(
        self,
        frames: Mapping[StoredTable, pd.DataFrame],
        partition: str,
        *,
        code_version: str,
        settings_hash: str,
        inputs: Mapping[str, str],
        run_id: str,
        note_if_empty: str | None = None,
    ) -> dict[str, Pointer]:
        """Make each frame the current version of one partition of its table, in one commit; pointers by table name."""
        with self.commit() as commit:
            for stored, frame in frames.items():
                commit.add(
                    stored,
                    self.check(stored, {partition: frame}),
                    code_version=code_version,
                    settings_hash=settings_hash,
                    inputs={partition: inputs},
                    run_id=run_id,
                    notes={} if note_if_empty is None or len(frame) else {partition: note_if_empty},
                )
        return {stored.table.name: found[partition] for stored, found in commit.pointers.items()}

    def publish_many(
        self, stored: StoredTable, frames: Mapping[str, pd.DataFrame], **origin: Unpack[Origin]
    ) -> dict[str, Pointer]:
        """Make each frame the current version of its partition, in one commit, and return the pointers.

        Columns are matched by name. Raises ContractViolation, with nothing written, if any frame breaks the contract.
        """
        if not frames:
            return {}
        return self.publish_batch(stored, self.check(stored, frames), **origin)

    def publish_range(
        self,
        stored: StoredTable,
        frame: pd.DataFrame,
        partitions: Sequence[str],
        **origin: Unpack[Origin],
    ) -> dict[str, Pointer]:
        """As :meth:`publish_many`, of one frame with the rows of many days, in any order.

        Its column ``trading_day`` tells the partition of a row; one of ``partitions`` without rows is published empty.
        ContractViolation, with nothing written, also for rows of another day.
        """
        if not partitions:
            return {}
        return self.publish_batch(stored, self.check_range(stored, frame, partitions), **origin)

    def publish_batch(
        self, stored: StoredTable, batch: validation.Batch, **origin: Unpack[Origin]
    ) -> dict[str, Pointer]:
        """As :meth:`publish_many`, of what :meth:`check` or :meth:`check_range` gave for the table."""
        with self.commit() as commit:
            commit.add(stored, batch, **origin)
        return commit.pointers[stored]

    def check(self, stored: StoredTable, frames: Mapping[str, pd.DataFrame]) -> validation.Batch:
        """The frames as :meth:`publish_batch` takes them; ContractViolation if any of them breaks the contract."""
        for partition in frames:
            require_partition(stored, partition)
        return validation.batch_of_frames(stored.table, stored.name, frames)

    def check_range(
        self, stored: StoredTable, frame: pd.DataFrame, partitions: Sequence[str]
    ) -> validation.Batch:
        """As :meth:`check`, of one frame with the rows of many days (:meth:`publish_range`)."""
        for partition in partitions:
            require_partition(stored, partition)  # what is no day cannot be told from the rows
        return validation.batch_of_range(stored.table, stored.name, frame, partitions)

    def _publish(self, publications: Sequence[Publication]) -> list[dict[str, Pointer]]:
        self.commits.create()
        current = {each.stored.key: self._current(each.stored) for each in publications}
        prepared = publishing.prepare(publications, current, self.data, self.is_mirror)
        if self._remote is not None:
            self._remote.put(prepared.data)
        # A copy of what is in the store can be fetched again.
        self.data.write(prepared.data, durably=self._remote is None)
        changes = [
            Change(each.stored.key, partition, PUBLISH, pointer)
            for each, pointers in zip(publications, prepared.pointers, strict=True)
            for partition, pointer in pointers.items()
        ]
        record = Record(publications[0].run_id, changes, prepared.counts)
        self._commit(lambda number: record)
        # The next reader in this process need not decode them.
        for name, groups in prepared.groups.items():
            self.data.believe(name, groups)
        return prepared.pointers

    def _commit(self, make: Callable[[int], Record | None]) -> int | None:
        if self._remote is None:
            return self.commits.commit(make)
        self._refresh()
        return self.commits.commit(make, partial(self._remote.share, self.commits))

    # Amending

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
        """Replace what is said of the current version by what ``change`` makes of it."""
        if self.pointer(stored, partition) is None:
            raise self.missing(stored, [partition])
        amended: list[Pointer] = []

        def make(number: int) -> Record:
            version = self.commits.current_in_commit(stored.key, [partition])[partition]
            if version is None:
                raise DamagedPartition.of_row(self.commits.path, stored.key, partition)
            amended[:] = [change(version.pointer)]
            return Record(
                amended[0].run_id,
                [Change(stored.key, partition, AMEND, amended[0], version.number)],
            )

        self._commit(make)
        return amended[0]

    def restore(self, stored: StoredTable, partition: str, content_hash: str) -> Pointer:
        """Make the kept version with ``content_hash`` current again and return its pointer.

        Raises MissingPartition when no such version is kept, DamagedPartition when its file is
        not what was published, ContractViolation when it was written under another contract.
        """
        versions = self.history(stored, partition)
        for pointer in versions:
            if pointer.content_hash == content_hash:
                break
        else:
            kept = [version.content_hash for version in versions]
            raise MissingPartition(
                f"{stored.name} {partition} keeps no version {content_hash!r}; kept: {kept}"
            )
        self._require_contract(stored, {partition: pointer})
        if not self._holds(pointer):
            raise DamagedPartition(
                f"{stored.name} {partition}: {pointer.file} is not what was published; "
                "choose another version or compute the partition again"
            )
        change = Change(stored.key, partition, PUBLISH, pointer)
        self._commit(lambda number: Record(pointer.run_id, [change]))
        return pointer

    def evict(self, stored: StoredTable, partition: str) -> Pointer:
        """Give up the rows of a partition, and its earlier versions; what it was stays known in its pointer.

        It counts as not up to date until it is published again, and reading it raises EvictedPartition. The bytes go
        with :meth:`collect_garbage`, so that views of it can be replaced before. Raises MissingPartition, and
        DamagedPartition when its rows are not what was published.
        """
        return garbage.evict(self, self._commit, stored, partition, datetime.now(UTC))

    def set_aside(self, stored: StoredTable, partition: str) -> None:
        """Take the file of a partition away from readers that do not check it, unless it is what was published.

        All partitions in it count as gone until they are published again; then :meth:`collect_garbage` deletes it.
        Raises DamagedPartition when what is known of the partition cannot be read.
        """
        pointer = self.pointer(stored, partition)
        if pointer is not None and pointer.place and not self._holds(pointer):
            file, _, _ = pointer.place
            self.data.set_aside(file)

    # Keeping house

    def collect_garbage(self, stored: StoredTable | None = None) -> int:
        """Forget versions beyond ``keep_versions``; delete files that nobody has needed for ``grace``, and leftovers.

        Works on one table, or on all. Returns the number of files deleted.
        """
        self._refresh()
        return garbage.collect(self, self._commit, self._remote, stored)

    def merge(self, before: str) -> int:
        """Put days before ``before`` that lie in many small files together; returns how many files were written."""
        self._refresh()
        return merging.merge(self, self._commit, self._remote, before)

    def upload_to(self, remote: Remote) -> int:
        """Bring all kept versions to an object store, and make this directory its mirror; returns how many partitions.

        The store must be empty, or have been left by an upload that was interrupted: until the end the directory stays
        what it was. Nobody may write meanwhile. Raises DamagedPartition for a file that is not what was published.
        """
        return remote.take_over(self.commits, self.data)

    def rebuild(self) -> int:
        """Make the catalog again from what the files say of themselves; returns how many versions were found.

        Nobody may write meanwhile. InvalidSettings for a folder whose tables are in an object store.
        """
        if self._remote is not None:
            raise InvalidSettings(
                f"setting storage.remote: found {self._remote.address!r}, whose commits are the truth of {self.root}; "
                "delete its catalog.sqlite to have it made again from them"
            )
        return rebuilding.rebuild(self.root)

    def convert(self, reached: Callable[[int, int], None] = lambda done, of: None) -> int:
        """Bring a folder of the layout before this one to this one; returns how many partitions, 0 for none of it.

        ``reached`` is called with how many partitions were looked at, and of how many.
        """
        return converting.convert(self.root, self.data, reached)

    def _recover(self, reason: str) -> None:
        if self._remote is not None:
            rebuilding.put_away(self.root)
            self._refresh()
        else:
            rebuilding.recover(self.root, reason)


def opened(
    root: str, keep_versions: int, decoded_cache_mib: int, workers: int, remote: str
) -> Warehouse:
    """The warehouse in a directory; the same one for the whole process, so its cache stays warm."""
    return _opened(
        str(Path(root).resolve()), keep_versions, decoded_cache_mib, workers or 4, remote
    )


@lru_cache
def _opened(
    root: str, keep_versions: int, decoded_cache_mib: int, workers: int, remote: str
) -> Warehouse:
    shared = Remote(ObjectStore(remote)) if remote else None
    return Warehouse(Path(root), keep_versions, decoded_cache_mib * 2**20, workers, shared)
