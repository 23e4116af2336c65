"""What is known of the partitions of the warehouse: which there are, what they were computed from, are they whole?

Belongs here: looking at pointers as of one moment. Does not belong here: reading rows (``reader``), changing anything
(``store``), where pointers are kept (``commits``).
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Self
from weakref import WeakSet

from setbull_pipelines import disk
from setbull_pipelines.warehouse import encoding
from setbull_pipelines.warehouse.cache import ArrowCache
from setbull_pipelines.warehouse.changes import Version
from setbull_pipelines.warehouse.commits import Commits
from setbull_pipelines.warehouse.errors import (
    ContractViolation,
    DamagedPartition,
    MissingPartition,
)
from setbull_pipelines.warehouse.files import Files, side_by_side
from setbull_pipelines.warehouse.pointers import Pointer, StoredTable, require_partition
from setbull_pipelines.warehouse.remote import Remote, claim_folder

GRACE = timedelta(hours=1)
"""How long a file that nobody needs any more is kept: longer than any query over a list of files takes."""
_NAMES_SHOWN = 5
_BYTES_OF_HASHES = 32 * 2**20
_opened: WeakSet[Commits] = WeakSet()


@atexit.register
def _close_catalogs() -> None:
    """Leave no journal beside a catalog: who may not write in its folder sees what is in the file itself."""
    for commits in list(_opened):
        commits.close()


class Looker:
    """All stored tables below one directory, to be looked at.

    ``keep_versions`` counts the versions per partition, the current one included, that garbage collection leaves, and
    ``grace`` is how long it leaves files that nobody needs (:data:`GRACE`). ``cache_bytes`` bounds the memory that
    holds decoded rows between reads. ``threads`` encode and sync files side by side: more than four gained nothing.
    ``remote`` is where commits and files are shared with other machines; None keeps all in the directory, which is then
    the only copy.
    Raises InvalidSettings when the directory belongs to another store, or to none.
    """

    def __init__(
        self,
        root: Path,
        keep_versions: int = 3,
        cache_bytes: int = 256 * 2**20,
        threads: int = 4,
        remote: Remote | None = None,
        grace: timedelta | None = None,
    ) -> None:
        for name, found in (("keep_versions", keep_versions), ("threads", threads)):
            if found < 1:
                raise ValueError(f"{name} is {found}, expected at least 1")
        self.root = Path(root).resolve()
        self.keep_versions, self.threads = keep_versions, threads
        self.grace = GRACE if grace is None else grace
        self.cache = ArrowCache(cache_bytes)
        self._remote, self._is_snapshot = remote, False
        fetch = None if remote is None else lambda name: remote.fetch(name, self.root)
        self.data = Files(self.root, self.cache, threads, fetch)
        # Not through the cache: it measures what computing reads.
        self._hashes = Files(self.root, ArrowCache(_BYTES_OF_HASHES), threads, fetch)
        self.commits = Commits(self.root, self._recover, is_only_copy=remote is None)
        _opened.add(self.commits)
        claim_folder(self.root, remote.address if remote else None)

    @contextmanager
    def snapshot(self) -> Iterator[Self]:
        """All tables as of now, whatever is committed until the block ends."""
        self._refresh()
        reader = copy(self)
        reader._is_snapshot = True
        reader.commits = self.commits.held()
        try:
            yield reader
        finally:
            self.commits.release(reader.commits)

    @property
    def is_mirror(self) -> bool:
        """Whether the directory holds copies of what is in an object store."""
        return self._remote is not None

    def _recover(self, reason: str) -> None:
        """Put a catalog in the place of one that cannot be read."""
        raise NotImplementedError

    def _refresh(self) -> None:
        """Bring in what other machines have committed."""
        if self._remote is not None and not self._is_snapshot:
            self._remote.pull(self.commits)

    # Looking

    def pointer(self, stored: StoredTable, partition: str) -> Pointer | None:
        """Return what is current, None if nothing was ever published there.

        Raises DamagedPartition when what is known of it cannot be read.
        """
        require_partition(stored, partition)
        return self._pointer(stored, partition, self._current(stored))

    def pointers(
        self, stored: StoredTable, partitions: Iterable[str] | None = None
    ) -> dict[str, Pointer]:
        """Return what is current in each of ``partitions`` (None: all there are), sorted by partition.

        Those that were never published, or that cannot be read at all, are left out.
        """
        current = self._current(stored)
        names = current if partitions is None else sorted(current.keys() & set(partitions))
        versions = ((name, current[name]) for name in names)
        return {name: version.pointer for name, version in versions if version is not None}

    def history(self, stored: StoredTable, partition: str) -> list[Pointer]:
        """Return the kept versions, the current one first, then the latest before it."""
        require_partition(stored, partition)
        self._refresh()
        return [each.pointer for each in self.commits.history(stored.key, partition)]

    def partitions(self, stored: StoredTable) -> list[str]:
        """Return the names of all published partitions, sorted."""
        return list(self._current(stored))

    def evicted(self, stored: StoredTable) -> list[str]:
        """Return the names of the partitions whose rows were given up, sorted; of a damaged one nobody knows."""
        return [name for name, pointer in self.pointers(stored).items() if pointer.evicted_at]

    def outdated(self, stored: StoredTable) -> list[str]:
        """The names of the partitions with rows that were written under another contract of the table, sorted."""
        contract = encoding.schema_hash(stored.table)
        pointers = self.pointers(stored)
        return [n for n, each in pointers.items() if each.place and each.schema_hash != contract]

    def usage(self, stored: StoredTable, partition: str) -> tuple[int, float] | None:
        """Bytes of all kept versions of a partition, and when its file was last used (seconds since 1970).

        Of a file with several partitions each has its share, by its rows. Publishing and reading are uses; they are
        noted once an hour. None where there are no rows. DamagedPartition when what is known of it cannot be read.
        """
        versions = self.history(stored, partition)
        if not versions or versions[0].file is None or versions[0].place is None:
            return None
        files = self.commits.files()
        shares = {
            pointer.place: pointer.rows * files[pointer.file][1] / files[pointer.file][0]
            for pointer in versions
            if pointer.place and pointer.file in files
        }
        try:
            return round(sum(shares.values())), disk.last_used(self.data.path(versions[0].file))
        except FileNotFoundError:
            return None

    def verify(self, stored: StoredTable, partition: str) -> bool:
        """Tell whether the current rows of a partition are there and are what was published."""
        try:
            pointer = self.pointer(stored, partition)
        except DamagedPartition:
            return False
        return pointer is not None and self._holds(pointer)

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
        given = {"code_version": code_version, "settings_hash": settings_hash}
        return bool(self.up_to_date(stored, {partition: inputs}, **given))

    def up_to_date(
        self,
        stored: StoredTable,
        inputs: Mapping[str, Mapping[str, str]],
        *,
        code_version: str,
        settings_hash: str,
    ) -> set[str]:
        """Those partitions of ``inputs`` for which :meth:`is_current` is true: one look for all of them."""
        for partition in inputs:
            require_partition(stored, partition)
        current = self._current(stored)
        found = {
            partition: pointer
            for partition, of_partition in inputs.items()
            if (
                pointer := self._said_current(
                    stored, partition, current, code_version, settings_hash, of_partition
                )
            )
        }
        names = list({pointer.file for pointer in found.values() if pointer.file is not None})
        held = side_by_side(self.threads, self.data.holds, names)  # hashing needs no interpreter
        whole = {name for name, is_whole in zip(names, held, strict=True) if is_whole}
        self.data.note_uses(whole)
        return {
            name for name, pointer in found.items() if pointer.file is None or pointer.file in whole
        }

    def _said_current(
        self,
        stored: StoredTable,
        partition: str,
        current: Mapping[str, Version | None],
        code_version: str,
        settings_hash: str,
        inputs: Mapping[str, str],
    ) -> Pointer | None:
        """The pointer of a partition that is current if its file is whole."""
        try:
            pointer = self._pointer(stored, partition, current)
        except DamagedPartition:
            return None
        if (
            pointer is None
            or pointer.code_version != code_version
            or pointer.settings_hash != settings_hash
            or pointer.inputs != dict(inputs)
            or pointer.schema_hash != encoding.schema_hash(stored.table)
            or pointer.failures
            or pointer.invalidated
            or pointer.evicted_at
        ):
            return None
        return pointer

    # Inside

    def _current(self, stored: StoredTable) -> Mapping[str, Version | None]:
        self._refresh()
        return self.commits.current(stored.key)

    def _pointer(
        self, stored: StoredTable, partition: str, current: Mapping[str, Version | None]
    ) -> Pointer | None:
        return self._required(stored, partition, current) if partition in current else None

    def _required(
        self, stored: StoredTable, partition: str, current: Mapping[str, Version | None]
    ) -> Pointer:
        version = current[partition]
        if version is None:
            raise DamagedPartition.of_row(self.commits.path, stored.key, partition)
        return version.pointer

    def _holds(self, pointer: Pointer) -> bool:
        if pointer.evicted_at:
            return False
        return pointer.file is None or self.data.holds(pointer.file)

    def missing(self, stored: StoredTable, partitions: list[str]) -> MissingPartition:
        """What is raised where partitions were asked for that were never published."""
        return MissingPartition(
            f"{stored.name} has no partition {shortened(partitions)}; compute and publish it "
            "first, or read only what partitions() lists"
        )

    def _require_contract(self, stored: StoredTable, pointers: Mapping[str, Pointer]) -> None:
        contract = encoding.schema_hash(stored.table)
        outdated = [name for name, pointer in pointers.items() if pointer.schema_hash != contract]
        if outdated:
            raise ContractViolation(
                f"{stored.name} {shortened(outdated)}: written under another version of the "
                "table contract; compute it again"
            )


def shortened(names: Sequence[object]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(map(str, names[:_NAMES_SHOWN])) + (f" and {more:,} more" if more > 0 else "")
