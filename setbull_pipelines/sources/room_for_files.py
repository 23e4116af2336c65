"""Whether a file fits into memory: what reading it needs, what there is, and the sentence where it is too much.

Belongs here: needs by kind of file, the limits that a process is under. Does not belong here: reading (``reading.py``),
the most that a compressed file may hold (``packed.py``).

A file is read as a whole, since what its rows mean is decided by all of them: whether bars are of minutes or days, on
which clock, which sign is the decimal one, what volume counts.
"""

from __future__ import annotations

import resource
from pathlib import Path, PurePath

import psutil

_MIB = 2**20
VALUES = "values"
"""Instead of a suffix: the values of a Parquet file or workbook, eight bytes each or as they are written in it."""
_TEXT = (".csv", ".txt", ".tsv")
_TIMES_LARGER = {**dict.fromkeys(_TEXT, 3), ".json": 12, ".jsonl": 12, VALUES: 5}
"""Memory that reading takes, in sizes of what is read: measured are 2.0 to 2.8 of CSV with prices of two decimals (4.3
where no value comes twice), 9 to 12 of JSON, 4.6 of values. What is in a compressed file is known once it is unpacked.
"""
_SMALL = 32 * _MIB
"""Files below are read without asking: the libraries alone take more."""
_GROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 2**62
_PART_OF_ROOM = 4


class NoRoom(MemoryError):
    """A file needs more memory than there is; of this machine, not of the file: another time it may be read."""


def require_room(size: int, kind: str, path: PurePath | None = None, held: int = 0) -> None:
    """Raise :class:`NoRoom` where reading takes more memory than there is.

    ``kind`` is a suffix or :data:`VALUES`, ``path`` that of a file which is not compressed; ``held`` bytes are read
    already.
    """
    if size < _SMALL:
        return
    needed, room = _TIMES_LARGER.get(kind, 1) * size - held, available()
    if needed > room:
        raise NoRoom(
            f"found {size // _MIB:,} MiB, which take {needed // _MIB:,} MiB of memory to read, expected at most the "
            f"{room // _MIB:,} MiB that are free; {_advice(path, kind, room)}"
        )


def available(groups: Path = _GROUPS) -> int:
    """Bytes of memory that this process can still have: of the machine, its control group, its own limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    of_process = (
        _UNLIMITED if soft == resource.RLIM_INFINITY else soft - psutil.Process().memory_info().vms
    )
    return max(0, min(psutil.virtual_memory().available, of_process, _of_groups(groups)))


def _of_groups(groups: Path) -> int:
    """What the control group of this process, in a container its root, still allows."""
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="ascii").strip().rpartition(":")[2]
    except OSError:
        own = "/"
    own = own.strip("/")
    folders = [groups / own, *(groups / own).parents] if own else [groups]
    return min(
        (_of_group(folder) for folder in folders if folder.is_relative_to(groups)),
        default=_UNLIMITED,
    )


def _of_group(folder: Path) -> int:
    try:
        limit, used = (
            (folder / name).read_text(encoding="ascii").strip()
            for name in ("memory.max", "memory.current")
        )
        if limit == "max":
            return _UNLIMITED
        kept = (
            (folder / "memory.stat")
            .read_text(encoding="ascii")
            .split("inactive_file ")[1]
            .split()[0]
        )
        return int(limit) - int(used) + int(kept)
    except (OSError, ValueError, IndexError):
        return _UNLIMITED


def _advice(path: PurePath | None, kind: str, room: int) -> str:
    """What to do; for CSV the command that makes parts which fit, each with the header."""
    if path is None or kind not in _TEXT or set(path.name) & set("\"'$`\\"):
        return "split it into a folder, by year for instance, and read that"
    parts = f"{path.stem}-parts"
    size = max(1, int(room / _PART_OF_ROOM / _TIMES_LARGER[kind]) // _MIB)
    return (
        f'split it, such as by (in its folder): mkdir "{parts}" && tail -n +2 "{path.name}" | split -C {size}M -d -a 4 '
        f'--additional-suffix={kind} --filter=\'(head -n 1 "{path.name}"; cat) > "$FILE"\' - '
        f'"{parts}/{path.stem}_" and read the folder {parts}'
    )
