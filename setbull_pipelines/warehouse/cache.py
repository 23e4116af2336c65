"""A bounded memory of immutable files, so that look-back windows do not decode a file twice.

Belongs here: keeping and evicting Arrow columns by the name of a group of rows. Does not belong here: reading files
or knowing what a table is. Correct only because a file never changes its content.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import pyarrow


@dataclass(frozen=True)
class Lookups:
    """Groups of rows that were asked for since the cache was made."""

    hits: int = 0
    misses: int = 0
    """Not held any more, or held without these columns: a larger cache would have had them."""
    first_reads: int = 0
    """Never read or written before by this process, so that no cache could have held them."""

    def since(self, earlier: Lookups) -> Lookups:
        """What was asked for after ``earlier``."""
        return Lookups(
            self.hits - earlier.hits,
            self.misses - earlier.misses,
            self.first_reads - earlier.first_reads,
        )


class ArrowCache:
    """Least-recently-used Arrow columns by group of rows, at most ``limit_bytes`` of buffers together.

    The columns of a group come and go together; those not asked for so far are not held. A group
    larger than the limit is not kept. Safe to share between threads.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self._files: OrderedDict[str, dict[str, pyarrow.Array]] = OrderedDict()
        # Or written. Hashes of the names: those of years would be megabytes.
        self._read_before: set[int] = set()
        self._hits = self._misses = self._first_reads = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._files)

    @property
    def lookups(self) -> Lookups:
        """How the files asked for so far came out."""
        with self._lock:
            return Lookups(self._hits, self._misses, self._first_reads)

    def get(self, name: str, columns: list[str]) -> Mapping[str, pyarrow.Array] | None:
        """Return at least ``columns`` of the group ``name``, or None unless all are held."""
        with self._lock:
            held = self._files.get(name)
            if held is not None and all(column in held for column in columns):
                self._hits += 1
                self._files.move_to_end(name)
                return held
            if hash(name) in self._read_before:
                self._misses += 1
            else:
                self._first_reads += 1
                self._read_before.add(hash(name))
            return None

    def put(self, name: str, arrays: Mapping[str, pyarrow.Array]) -> None:
        """Hold ``arrays``, together with the columns already held for ``name``.

        From then on a look-up that does not find them is a miss: a larger cache would have had them.
        """
        with self._lock:
            self._read_before.add(hash(name))
            held = self._files.pop(name, {})
            self.size_bytes -= _size(held)
            held = {**held, **arrays}
            size = _size(held)
            if size > self.limit_bytes:
                return
            self._files[name] = held
            self.size_bytes += size
            while self.size_bytes > self.limit_bytes:
                _, evicted = self._files.popitem(last=False)
                self.size_bytes -= _size(evicted)


def _size(arrays: Mapping[str, pyarrow.Array]) -> int:
    return sum(array.get_total_buffer_size() for array in arrays.values())
