"""The content of input files that were read before, told by what the file system says of them.

Belongs here: when a file counts as unchanged, and the small file that remembers. Does not belong here: what was read
(``landing.py``), when it arrived (``arrivals.py``).

A file is unchanged when place, size, inode and the moments of its last writing and last change are: a copy that
keeps the old time of writing still has a new moment of change. A file that changed less than a moment before it was
looked at is not remembered, because a second change within the clock's resolution would look the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from setbull_pipelines import disk
from setbull_pipelines.sources import checked_json

_SETTLED_NANOSECONDS = 2 * 10**9
"""Coarser than the clock of any file system that tells moments of change."""


class KnownContents:
    """Content hashes of files by their absolute paths, kept in ``path``. Losing that file costs only reading again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = _read(path)
        self._now: dict[str, list[object]] = {}

    def hash_of(self, file: Path, read: Callable[[Path], str]) -> str:
        """The content hash of ``file``: as remembered, or else by ``read``. Raises what that raises, and OSError."""
        key, asked = checked_json.text_of_path(file.absolute()), time.time_ns()
        found = _signature(file)
        if key in self._before and self._before[key][:-1] == found:
            self._now[key] = self._before[key]
            return str(self._now[key][-1])
        content_hash = read(file)
        if _signature(file) == found and asked - found[-1] > _SETTLED_NANOSECONDS:
            self._now[key] = [*found, content_hash]
        return content_hash

    def is_damaged(self, file: Path, content_hash: str) -> bool:
        """Whether ``file`` was read as having another content, and nobody has written to it since."""
        remembered = self._before.get(checked_json.text_of_path(file.absolute()))
        return (
            remembered is not None
            and remembered[:-1] == _signature(file)
            and remembered[-1] != content_hash
        )

    def remember(self) -> None:
        """Keep what was asked for since this was made, and nothing else."""
        if self._now == self._before:
            return
        disk.replace_derived(self._path, checked_json.to_text(self._now).encode())


def _signature(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def _read(path: Path) -> dict[str, list[object]]:
    try:
        known = checked_json.read(path)
    except (OSError, ValueError):
        return {}
    entries = known.items() if isinstance(known, dict) else ()
    return {key: entry for key, entry in entries if isinstance(entry, list)}
