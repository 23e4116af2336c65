"""Compressed files and archives: the bytes in them, never more than is allowed.

Belongs here: unpacking, its bound, the members of an archive. Does not belong here: what the bytes mean
(``reading.py``).
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO

import pyarrow

from setbull_pipelines.sources.raw_rows import UnreadableFile

COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
"""Suffixes of files that are compressed as a whole, and the name of the way."""
_BEGINS = {
    ".gz": b"\x1f\x8b\x08",
    ".bz2": b"BZh",
    ".zst": b"\x28\xb5\x2f\xfd",
    ".xz": b"\xfd7zXZ\x00",
}
_SIGNS_OF_TEXT = 200
_STEP = 1 << 24
_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(RuntimeError, NotImplementedError, OSError),
)
"""An encrypted member is a RuntimeError, an unknown compression NotImplementedError; bytes that are not as compressed
an OSError of the codec."""


def way_of(content: bytes) -> str | None:
    """The suffix of the way in which bytes are compressed, as their beginning says; None for others."""
    return next((suffix for suffix, begin in _BEGINS.items() if content.startswith(begin)), None)


def is_text(content: bytes) -> bool:
    """Whether the beginning of some bytes can be that of a text, and of nothing that is compressed."""
    begin = content[:_SIGNS_OF_TEXT]
    return begin.count(b",") + begin.count(b";") + begin.count(b"\t") > 0 and not any(
        sign < 9 for sign in begin
    )


def decompressed(content: bytes, suffix: str, limit_mib: int) -> bytes:
    """The content of a file that is compressed as a whole."""
    way = COMPRESSED[suffix]
    try:
        with _opened(content, way) as stream:
            return _bounded(stream, limit_mib, f"a {way} file")
    except MemoryError:
        raise
    except (pyarrow.ArrowException, *_FAULTS) as error:
        raise UnreadableFile(
            f"found data that cannot be decompressed ({error}), expected a whole {way} file"
        ) from error


def _opened(content: bytes, way: str) -> IO[bytes]:
    """What is in some bytes, as a stream; Arrow does not know xz."""
    if way == "xz":
        return lzma.open(io.BytesIO(content))
    return pyarrow.input_stream(pyarrow.BufferReader(content), compression=way)


def members(content: bytes) -> list[str]:
    """The names of the files in an archive, as they are ordered there."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return [name for name in archive.namelist() if _is_file(name)]
    except (*_FAULTS, ValueError) as error:
        raise _not_whole(error) from error


def member(content: bytes, name: str, limit_mib: int) -> bytes:
    """One file of an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(name) as stream:
            return _bounded(stream, limit_mib, f"{name} in a zip archive")
    except UnreadableFile:
        raise
    except (*_FAULTS, ValueError, KeyError) as error:
        raise _not_whole(error) from error


def _not_whole(error: Exception) -> UnreadableFile:
    return UnreadableFile(
        f"found data that cannot be unpacked ({error}), expected a whole zip archive"
    )


def _is_file(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not name.endswith("/") and bool(parts) and not hidden


def _bounded(stream: IO[bytes], limit_mib: int, what: str) -> bytes:
    """All that the stream gives, unless that is more than is allowed; nobody knows before."""
    limit = limit_mib * 2**20
    parts, size = [], 0
    while part := stream.read(_STEP):
        size += len(part)
        if size > limit:
            raise UnreadableFile(
                f"found {what} that holds more than {limit_mib:,} MiB, expected at most that; where it is no mistake, "
                "raise unpacked_limit_mib in [input]"
            )
        parts.append(bytes(part))
    return b"".join(parts)
