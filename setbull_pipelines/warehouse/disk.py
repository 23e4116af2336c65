"""Bytes to disk so that a reader sees either all of the old or all of the new.

Belongs here: durable replacement, the lock between writers, the hash of content. Does not belong
here: tables, partitions, Parquet. POSIX only: a directory can be locked and synced.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

TEMPORARY_PREFIX = ".writing-"


def content_hash(data: bytes) -> str:
    """Return the 128-bit BLAKE2b hash of ``data`` as 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def identity(path: str) -> tuple[int, ...] | None:
    """Return what changes when anybody writes to a file: its place, size and moments of writing; None without it."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def temporary_path(target: Path) -> Path:
    """Return an unused path beside ``target``: a rename is atomic only inside one file system."""
    return target.with_name(f"{TEMPORARY_PREFIX}{uuid4().hex}-{target.name}")


def replace_durably(target: Path, data: bytes) -> None:
    """Put ``data`` at ``target`` in one step; after a crash ``target`` is whole, old or new.

    The rename itself is durable only after :func:`sync_directory`.
    """
    _replace(target, data, durably=True)


def replace_derived(target: Path, data: bytes) -> None:
    """Put ``data``, which can be made again, at ``target`` in one step.

    Not synced: after a power cut ``target`` can be damaged, so its reader must be able to tell.
    """
    _replace(target, data, durably=False)


def _replace(target: Path, data: bytes, durably: bool) -> None:
    temporary = temporary_path(target)
    try:
        with open(temporary, "xb") as handle:
            handle.write(data)
            if durably:
                handle.flush()
                os.fsync(handle.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_link(link: Path, target: Path) -> None:
    """Make ``link`` lead to ``target``, which lies below its folder, in one step and durably.

    Whatever was at ``link`` is gone. The folder may be moved with both.
    """
    temporary = temporary_path(link)
    temporary.symlink_to(target.relative_to(link.parent))
    os.replace(temporary, link)
    sync_directory(link.parent)


def note_use(path: str | Path) -> None:
    """Say that the file at ``path`` is in use, for :func:`last_used`. Nothing happens where nothing may be written."""
    # The moment of change says nothing else of a file that never changes; that of access is changed by a backup too.
    with suppress(OSError):
        os.utime(path)


def last_used(path: str | Path) -> float:
    """When the file was written, or used for the last time, in seconds since 1970. OSError when it is gone."""
    return os.stat(path).st_mtime


def sync_directory(directory: Path) -> None:
    """Make the renames done in ``directory`` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writer_lock(directory: Path) -> Iterator[None]:
    """Hold ``directory`` against other writers, in any process, until the block ends.

    Readers never take it. The lock is on the directory itself, so it leaves no file behind and
    ends with the process that holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
