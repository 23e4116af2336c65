"""What readers of the warehouse see: the rows of current versions, and their hashes by instrument.

Belongs here: reading rows as of one moment, and which files hold them. Does not belong here: pointers (``looking``),
changing anything (``store``), SQL (``queries``, ``catalog``), where a row lies inside a file (``files``).

Readers take no lock and see the old version or the new one, never a mixture.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from setbull_pipelines.warehouse import encoding, instrument_hashes
from setbull_pipelines.warehouse.errors import DamagedPartition, EvictedPartition
from setbull_pipelines.warehouse.files import Files, Rows
from setbull_pipelines.warehouse.looking import Looker, shortened
from setbull_pipelines.warehouse.pointers import StoredTable, require_partition
from setbull_pipelines.warehouse.validation import DAY_COLUMN


class Reader(Looker):
    """All stored tables below one directory, to be looked at and read; its parameters are those of a Looker."""

    def files(self, stored: StoredTable, partitions: Iterable[str] | None = None) -> list[Path]:
        """Return the absolute paths of the current files, in the order of their first partitions.

        A file may hold other partitions too, also replaced ones (:meth:`sources`). ``partitions`` None means all there
        are, without those that were evicted. Raises MissingPartition for those never published, EvictedPartition, and
        ContractViolation for those written under another contract.
        """
        names = dict.fromkeys(span.file for span in self._spans(stored, partitions))
        for name in names if self.is_mirror else ():
            self.data.holds(name)
        return [self.data.path(name) for name in names]

    def sources(
        self, stored: StoredTable, thoroughly: bool = False
    ) -> list[tuple[Path, list[str] | None]]:
        """The files with current rows of a table, and of those with other rows the days to be read; None: all rows.

        A file that is gone or cut is left out, and so is a partition of another contract (:meth:`outdated`), so that
        the days of the others are still read. ``thoroughly`` leaves out every file that is not what was published,
        which costs reading all of them.
        """
        days: dict[str, list[str]] = {}
        rows: dict[str, int] = {}
        contract = encoding.schema_hash(stored.table)
        for partition, pointer in self.pointers(stored).items():
            if pointer.place and pointer.schema_hash == contract:
                file, _, count = pointer.place
                days.setdefault(file, []).append(partition)
                rows[file] = rows.get(file, 0) + count
        files = self.commits.files()
        has_days = stored.table.partitioned and DAY_COLUMN in stored.table.column_names
        found = []
        for name, of_file in days.items():
            is_whole = not has_days or files.get(name, (None,))[0] == rows[name]
            if self.is_mirror:
                self.data.holds(name)
            path = self.data.path(name)
            if _has_size(path, files.get(name)) and (not thoroughly or self.data.holds(name)):
                found.append((path, None if is_whole else of_file))
        return found

    # Instruments

    def instrument_hashes(self, stored: StoredTable, partition: str) -> pyarrow.Table:
        """The hash of each instrument's rows in the current version (``instrument_hashes.hashes_of_rows``).

        They are kept beside the version, also of one that was evicted, and worked out again where they are lost.
        Raises as :meth:`read_arrow`.
        """
        ((_, found),) = self.hashes_by_partition(stored, [partition])
        return found

    def hashes_by_partition(
        self, stored: StoredTable, partitions: Iterable[str]
    ) -> Iterator[tuple[str, pyarrow.Table]]:
        """As :meth:`instrument_hashes`, of several partitions in the order given: one look for all of them."""
        current, names = self._current(stored), list(partitions)
        for name in names:
            require_partition(stored, name)
        looked_up = [(name, self._pointer(stored, name, current)) for name in names]
        pointers = {name: pointer for name, pointer in looked_up if pointer is not None}
        if missing := [name for name in names if name not in pointers]:
            raise self.missing(stored, missing)
        self._require_contract(stored, pointers)
        for name, pointer in pointers.items():
            found = None
            if not pointer.rows or pointer.hashes_rows:
                place = (pointer.hashes_file or "", pointer.hashes_first_row, pointer.hashes_rows)
                found = self._kept_hashes(Rows(*place))
            yield name, self._hashes_of_rows(stored, name) if found is None else found

    def _hashes_of_rows(self, stored: StoredTable, partition: str) -> pyarrow.Table:
        rows = self._rows(self._hashes, stored, [partition], stored.table.column_names, None)
        return instrument_hashes.hashes_of_rows(stored.table, rows.unify_dictionaries())

    def instrument_inputs(self, stored: StoredTable, partition: str) -> pyarrow.Table | None:
        """What each instrument of the current version was computed from, as published; None where nobody can tell."""
        pointer = self.pointer(stored, partition)
        if pointer is None or pointer.inputs_rows is None:
            return None
        first = pointer.hashes_first_row + pointer.hashes_rows
        return self._kept_hashes(Rows(pointer.hashes_file or "", first, pointer.inputs_rows))

    def _kept_hashes(self, span: Rows) -> pyarrow.Table | None:
        """None where they are lost or damaged."""
        if not span.count:
            return instrument_hashes.of_mapping({})
        try:
            pieces = self._hashes.read([span], ["instrument_key", "hash"])
        except DamagedPartition:
            return None
        return instrument_hashes.as_kept(pieces)

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
        table = self._rows(self.data, stored, partitions, names, instrument_keys)
        return encoding.to_frame([stored.table.column(name) for name in names], table)

    def read_arrow(
        self,
        stored: StoredTable,
        partitions: Iterable[str] | None = None,
        columns: Iterable[str] | None = None,
        instrument_keys: Collection[str] | None = None,
    ) -> pyarrow.Table:
        """As :meth:`read`, as one Arrow table with text as plain strings.

        Raises MissingPartition, ContractViolation as :meth:`files`, KeyError for a column the
        table does not have, DamagedPartition when a file is gone or not what was published.
        """
        names = self._columns(stored, columns)
        return encoding.plain_text(
            self._rows(self.data, stored, partitions, names, instrument_keys)
        )

    def distinct(self, stored: StoredTable, partition: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return the combinations of texts that the rows of a partition have in ``columns``, each once.

        They come in the order of their first rows. Raises as :meth:`read_arrow`.
        """
        names = self._columns(stored, columns)
        table = self._rows(self.data, stored, [partition], names, None).unify_dictionaries()
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
        spans = self._spans(stored, [partition])
        schema = stored.table.arrow_schema
        rows = schema.empty_table()
        if spans:
            span = Rows(spans[0].file, spans[0].first, min(count, spans[0].count))
            rows = self.data.first_rows(span, stored.table.column_names).cast(schema)
        return encoding.to_frame(list(stored.table.columns), rows)

    def _rows(
        self,
        files: Files,
        stored: StoredTable,
        partitions: Iterable[str] | None,
        columns: list[str],
        instrument_keys: Collection[str] | None,
    ) -> pyarrow.Table:
        spans = self._spans(stored, partitions)
        self.data.note_uses({span.file for span in spans})
        pieces = files.read(spans, columns, instrument_keys)
        fields = [stored.table.arrow_schema.field(name) for name in columns]
        # Column by column: putting hundreds of small tables together costs several times more.
        chunked = [
            pyarrow.chunked_array([piece[field.name] for piece in pieces], field.type)
            for field in fields
        ]
        return pyarrow.Table.from_arrays(chunked, schema=pyarrow.schema(fields))

    # Inside

    def _spans(self, stored: StoredTable, partitions: Iterable[str] | None) -> list[Rows]:
        """Where the rows of partitions lie, in their order; those that follow one another in a file are one span."""
        current = self._current(stored)
        if partitions is None:
            names = list(current)
        else:
            names = sorted(set(partitions))
            for name in names:
                require_partition(stored, name)
            if missing := [name for name in names if name not in current]:
                raise self.missing(stored, missing)
        pointers = {name: self._required(stored, name, current) for name in names}
        evicted = [name for name, pointer in pointers.items() if pointer.evicted_at]
        if evicted and partitions is not None:
            raise EvictedPartition(
                f"{stored.name} {shortened(evicted)}: the rows were removed to save space (on "
                f"{pointers[evicted[0]].evicted_at:.10}); compute them again by: "
                f"setbull run --from {evicted[0]} --to {evicted[-1]}"
            )
        there = {name: pointer for name, pointer in pointers.items() if not pointer.evicted_at}
        self._require_contract(stored, there)
        spans: list[Rows] = []
        for pointer in there.values():
            if pointer.place is None:
                continue
            rows = Rows(*pointer.place)
            last = spans[-1] if spans else None
            if last and (last.file, last.first + last.count) == (rows.file, rows.first):
                spans[-1] = Rows(last.file, last.first, last.count + rows.count)
            else:
                spans.append(rows)
        return spans

    def _columns(self, stored: StoredTable, columns: Iterable[str] | None) -> list[str]:
        names = stored.table.column_names if columns is None else list(columns)
        unknown = [name for name in names if name not in stored.table.column_names]
        if unknown or len(set(names)) < len(names):
            raise KeyError(
                f"{stored.name}: cannot read columns {names}: unknown {unknown}, or named twice; "
                f"the table has {stored.table.column_names}"
            )
        return names


def _has_size(path: Path, published: tuple[int, int] | None) -> bool:
    """Whether a file is there and as long as it was ``published``, by its rows and bytes."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    return published is None or size == published[1]
