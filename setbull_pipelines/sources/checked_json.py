"""JSON in a file that is read back only as it was written.

Belongs here: the hash inside such a file, names of files as text that it can hold. Does not belong here: what is in
it, writing files.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path, PurePath
from typing import Any

_HASH_BYTES = 16


class NotAsWritten(ValueError):
    """The text is not what was written; the message says what was found."""


def hash_of_file(path: Path) -> str:
    """The BLAKE2b hash of a file, 32 hexadecimal digits. OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.blake2b(digest_size=_HASH_BYTES)
        ).hexdigest()


def text_of_path(path: PurePath) -> str:
    """A path as text that every encoding can hold: bytes of a name that are no UTF-8 are written ``\\xff``."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def to_text(content: Any) -> str:
    """``content`` and its hash as one JSON object."""
    return json.dumps({"hash": _hash_of(content), "content": content}, ensure_ascii=False)


def from_text(text: str) -> Any:
    """What :func:`to_text` was given. NotAsWritten for any other text."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise NotAsWritten(f"found no JSON ({error})") from None
    if not isinstance(found, dict) or set(found) != {"hash", "content"}:
        raise NotAsWritten("found no content with its hash")
    if _hash_of(found["content"]) != found["hash"]:
        raise NotAsWritten("found a content that does not have its hash")
    return found["content"]


def entries_from_text(text: str) -> list[Any]:
    """As :func:`from_text`, of a list; one that an earlier version wrote has no hash and is taken as it is."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise NotAsWritten(f"found no JSON ({error})") from None
    return found if isinstance(found, list) else from_text(text)


def read(path: Path) -> Any:
    """The content of a file of :func:`to_text`. NotAsWritten, and OSError when it cannot be read."""
    try:
        return from_text(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise NotAsWritten(f"found no text ({error.reason})") from None


def _hash_of(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).hexdigest()
