"""Bytes to disk so that a reader sees either all of the old or all of the new.

Belongs here: durable replacement, what a killed writer leaves behind, the lock between writers, the hash of content.
Does not belong here: what is written. POSIX only: a directory can be locked and synced.

A half-written file has a name that begins with ``.writing-`` and is locked by its writer. The lock ends with the
process, in whichever container of the machine it runs, so that :func:`sweep` knows what nobody will finish.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from uuid import uuid4

TEMPORARY_PREFIX = ".writing-"
_LONGEST_BETWEEN_TWO_STEPS = 60.0
"""Seconds."""
PATIENCE = 5.0
"""Seconds that a writer waits for another one before it says so: longer than a commit takes."""
_BEGAN = (time.time(), time.monotonic())
"""What the two clocks said at one moment of this process, before anybody could set one of them."""
_LOG = logging.getLogger(__name__)


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


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """An empty locked file beside ``target``: a rename is atomic only inside one file system. Gone when the block ends,
    unless it was renamed.
    """
    yield from _temporary(
        target, lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o666)), _unlink
    )


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """An empty locked folder beside ``target``. Gone with its content when the block ends, unless it was renamed."""
    yield from _temporary(target, os.mkdir, lambda path: shutil.rmtree(path, ignore_errors=True))


def _temporary(
    target: Path, make: Callable[[Path], None], remove: Callable[[Path], None]
) -> Iterator[Path]:
    path = target.with_name(f"{TEMPORARY_PREFIX}{uuid4().hex}-{target.name}")
    while True:
        make(path)
        descriptor = os.open(path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            break
        os.close(descriptor)  # swept in the moment before it was locked
    try:
        yield path
    finally:
        remove(path)
        os.close(descriptor)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def abandoned(folder: Path, prefixes: Sequence[str] = (TEMPORARY_PREFIX,)) -> list[Path]:
    """What killed writers have left in ``folder``, by names that begin with one of ``prefixes``; sorted."""
    found = (path for path in folder.iterdir() if path.name.startswith(tuple(prefixes)))
    return sorted(path for path in found if is_abandoned(path))


def sweep(folder: Path, prefixes: Sequence[str] = (TEMPORARY_PREFIX,)) -> list[Path]:
    """Delete what killed writers have left in ``folder`` and return it."""
    left = abandoned(folder, prefixes)
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return left


def is_abandoned(path: Path) -> bool:
    """Whether nobody will finish what is half written at ``path``."""
    try:
        if path.is_symlink():  # made in one step and renamed in the next; it cannot be locked
            return moment() - path.lstat().st_mtime > _LONGEST_BETWEEN_TWO_STEPS
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False  # gone, or not ours to open
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def replace_durably(target: Path, data: bytes) -> None:
    """Put ``data`` at ``target`` in one step; after a crash ``target`` is whole, old or new.

    The rename itself is durable only after :func:`sync`.
    """
    _replace(target, data, durably=True)


def replace_derived(target: Path, data: bytes) -> None:
    """Put ``data``, which can be made again, at ``target`` in one step.

    Not synced: after a power cut ``target`` can be damaged, so its reader must be able to tell.
    """
    _replace(target, data, durably=False)


def _replace(target: Path, data: bytes, durably: bool) -> None:
    with temporary_file(target) as temporary:
        with open(temporary, "wb") as handle:
            handle.write(data)
            if durably:
                handle.flush()
                os.fsync(handle.fileno())
        os.replace(temporary, target)


def replace_link(link: Path, target: Path) -> None:
    """Make ``link`` lead to ``target``, which lies below its folder, in one step and durably.

    Whatever was at ``link`` is gone. The folder may be moved with both.
    """
    temporary = link.with_name(f"{TEMPORARY_PREFIX}{uuid4().hex}-{link.name}")
    temporary.symlink_to(target.relative_to(link.parent))
    os.replace(temporary, link)
    sync(link.parent)


def note_use(path: str | Path) -> None:
    """Say that the file at ``path`` is in use, for :func:`last_used`. Nothing happens where nothing may be written."""
    # The moment of change says nothing else of a file that never changes; that of access is changed by a backup too.
    with suppress(OSError):
        os.utime(path)


def last_used(path: str | Path) -> float:
    """When the file was written, or used for the last time, in seconds since 1970. OSError when it is gone."""
    return os.stat(path).st_mtime


def moment() -> float:
    """The seconds since 1970 by which files are old enough to be deleted.

    A clock that is put ahead while this process works makes no file older: those who read one began by another clock.
    """
    began_at, began = _BEGAN
    return min(time.time(), began_at + time.monotonic() - began)


def sync(path: Path) -> None:
    """Make what was written to a file, or the renames done in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def holders(directory: Path) -> list[int] | None:
    """The processes that hold :func:`writer_lock` on ``directory``; None where nobody does.

    An empty list where a process does that this machine cannot name.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        inode = os.fstat(descriptor).st_ino
        # Fields of a line: number, FLOCK, ADVISORY, WRITE, process, device:inode, range.
        lines = [line.split() for line in _kernel_locks()]
        return [
            int(fields[4])
            for fields in lines
            if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}")
        ]
    else:
        return None
    finally:
        os.close(descriptor)


def _kernel_locks() -> list[str]:
    try:
        return Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return []


@contextmanager
def writer_lock(directory: Path) -> Iterator[None]:
    """Hold ``directory`` against other writers, in any process, until the block ends.

    Readers never take it. The lock is on the directory itself, so it leaves no file behind and
    ends with the process that holds it. A process that has to wait for long is shown who holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _wait_for(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        teller = threading.Timer(PATIENCE, _tell_of_holder, (directory,))
    teller.daemon = True
    teller.start()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        teller.cancel()


def _tell_of_holder(directory: Path) -> None:
    _LOG.warning("waiting for %s, which is held by %s", directory, who(holders(directory) or []))


def held_alone(directory: Path) -> int | None:
    """Hold ``directory`` like :func:`writer_lock` for as long as this process lives, whatever program it goes on as.

    The open descriptor, which programs that it starts do not get; None where another process holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.set_inheritable(descriptor, True)
    return descriptor


def who(processes: Sequence[int]) -> str:
    """Who these processes are, for people: number, command, since when."""
    import psutil  # 20 ms, which only who waits pays

    said = []
    for number in processes:
        try:
            process = psutil.Process(number)
            command = _without_values(process.cmdline()) or process.name()
            since = datetime.fromtimestamp(process.create_time())
        except psutil.Error:
            said.append(f"process {number}")
        else:
            said.append(f"process {number} ({command}, since {since:%Y-%m-%d %H:%M:%S})")
    return " and ".join(said) or "a process of another machine or container"


def _without_values(command: Sequence[str]) -> str:
    """The first three words: what stands behind a verb or an option can be an address with a password."""
    words: list[str] = []
    for part in command:
        if part == "-c" or part.startswith("--") or len(words) == 3:
            break
        if not part.startswith("-"):
            words.append(Path(part).name)
    return " ".join(words)
