"""The files of an input: which there are, which of them can be read, and the content of each.

Belongs here: finding files and archives' members, their names in ``raw.intake``, their hashes. Does not belong here:
reading rows (``reading.py``), what was read before (``known_contents.py``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

from setbull_pipelines.errors import SetbullError
from setbull_pipelines.sources.checked_json import text_of_path
from setbull_pipelines.sources.known_contents import KnownContents
from setbull_pipelines.sources.packed import member
from setbull_pipelines.sources.raw_rows import UnreadableFile
from setbull_pipelines.sources.reading import ARCHIVE, SUFFIXES, file_suffix, readable_members
from setbull_pipelines.sources.workbooks import NOT_INSTALLED, can_read_workbooks

_Read = TypeVar("_Read")
HASH_BYTES = 16
_STEP = 1 << 20
_OF_MEMBERS = "members:"
"""Begins what is remembered of an archive of many files, instead of one hash."""


class NoInput(SetbullError, ValueError):
    """There is nothing to work on; the message names the place, what was found and what was expected."""


class NoAccess(NoInput):
    """The file system does not give a file; ``reason`` says why, without the name of the file."""

    def __init__(self, path: Path, error: OSError) -> None:
        self.reason = f"cannot be read ({error.strerror or error}), expected a readable file"
        super().__init__(f"{path}: {self.reason}.")


class FoundFile(NamedTuple):
    """One content of the input: a file, or a member of an archive of many."""

    path: Path
    member: str | None
    content_hash: str

    def read(self, limit_mib: int) -> bytes:
        """The bytes. Raises OSError, and UnreadableFile for an archive that has changed meanwhile."""
        content = self.path.read_bytes()
        return content if self.member is None else member(content, self.member, limit_mib)


def find_files(input: Path) -> list[Path]:
    """The files that are read, sorted by path below ``input``; :class:`NoInput` when there is none."""
    if not input.exists():
        raise NoInput(f"{input}: found nothing there, expected a file or folder with candles.")
    if input.is_file():
        if reason := _why_not_read(input):
            raise NoInput(f"{input}: {reason}.")
        return [input]
    files = [path for path in _all_files(input) if _why_not_read(path) is None]
    if not files:
        others = unread_files(input)
        shown = "; ".join(f"{name}: {reason}" for name, reason in list(others.items())[:3])
        raise NoInput(
            f"{input}: found a folder without candle files{f' ({shown})' if shown else ''}, expected files that end in "
            f"{', '.join(SUFFIXES)}."
        )
    return files


def unread_files(input: Path) -> dict[str, str]:
    """The files below a folder that are not read, by source name, and why."""
    if input.is_file():
        return {}
    reasons = {path: _why_not_read(path) for path in _all_files(input)}
    return {source_name(input, path): reason for path, reason in reasons.items() if reason}


def source_name(input: Path, path: Path) -> str:
    """How an input file is named in ``raw.intake``: its path below the input."""
    return text_of_path(path.relative_to(input.parent if input.is_file() else input))


def contents(source: str, path: Path, known: KnownContents | None = None) -> dict[str, FoundFile]:
    """What the file of a source holds, by source name: itself, or each of the files of an archive. Raises OSError."""
    told = known.hash_of(path, _told_of) if known else _told_of(path)
    if not told.startswith(_OF_MEMBERS):
        return {source: FoundFile(path, None, told)}
    hashes = json.loads(told.removeprefix(_OF_MEMBERS))
    return {f"{source}/{name}": FoundFile(path, name, found) for name, found in hashes.items()}


def readable(path: Path, look: Callable[[], _Read]) -> _Read:
    """What ``look`` gives of a file; :class:`NoAccess` when the file system refuses."""
    try:
        return look()
    except OSError as error:
        raise NoAccess(path, error) from error


def hash_of(content: bytes) -> str:
    """The hash of a content, as ``raw.intake`` keeps it."""
    return hashlib.blake2b(content, digest_size=HASH_BYTES).hexdigest()


def _told_of(path: Path) -> str:
    if path.suffix.lower() == ARCHIVE:
        content = path.read_bytes()
        try:
            names = readable_members(content)
            if len(names) > 1:
                archive = hash_of(content)
                # The archive's own record of its members: reading them all only to name them would unpack a bomb.
                return _OF_MEMBERS + json.dumps(
                    {name: hash_of(f"{archive}/{name}".encode()) for name in names}
                )
        except UnreadableFile:
            pass  # it is reported as one file that cannot be read
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    with path.open("rb") as file:
        while part := file.read(_STEP):
            digest.update(part)
    return digest.hexdigest()


def _all_files(input: Path) -> list[Path]:
    """Files and links below a folder but hidden ones; :class:`NoInput` when a folder cannot be looked into."""

    def refuse(error: OSError) -> NoReturn:
        raise NoInput(
            f"{error.filename}: cannot be read ({error.strerror}), expected a readable folder."
        ) from error

    files: list[Path] = []
    for folder, folders, names in os.walk(input, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found = [Path(folder, name) for name in (*folders, *names) if not name.startswith(".")]
        files += [path for path in found if path.is_file() or path.is_symlink()]
    return sorted(files, key=lambda path: path.relative_to(input).as_posix())


def _why_not_read(path: Path) -> str | None:
    if path.is_dir():
        return "found a link to a folder, which is not followed, expected the folder itself"
    if not path.exists():
        return "found a link that leads nowhere, expected a file"
    suffix = file_suffix(path)
    if suffix is None:
        return f"expected a file that ends in {', '.join(SUFFIXES)}"
    if suffix == ".xlsx" and not can_read_workbooks():
        return f"found {NOT_INSTALLED}"
    return None
