"""What an input folder holds, by content: which files are new or changed since the last look.

Belongs here: looking at files without reading their rows. Does not belong here: reading them (``intake.py``),
deciding what a change leads to (``automation/``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from setbull_pipelines.sources import decided_actions
from setbull_pipelines.sources.found_files import contents, find_files, source_name


class FileState(NamedTuple):
    """Size in bytes, time of change in nanoseconds since 1970, and the hash that ``raw.intake`` keeps."""

    size: int
    modified: int
    content_hash: str


def scan(
    input: Path,
    known: Mapping[str, FileState],
    settled_before: datetime,
    decided: Path | None = None,
) -> dict[str, FileState]:
    """The state of every input file by its source name, hashed only when size or time have changed.

    The file of ``decided`` corporate actions is one of them.

    A file changed after ``settled_before`` may still be being written: its known state stands, or it is left out.
    Raises ``NoInput`` as :func:`~setbull_pipelines.sources.intake.find_files` does.
    """
    states = {}
    files = {source_name(input, path): path for path in find_files(input)}
    if decided is not None:
        files[decided_actions.SOURCE] = decided
    for source, path in files.items():
        before = known.get(source)
        try:
            status = path.stat()
            if before and (before.size, before.modified) == (status.st_size, status.st_mtime_ns):
                states[source] = before
            elif status.st_mtime <= settled_before.timestamp():
                for name, file in contents(source, path).items():
                    states[name] = FileState(status.st_size, status.st_mtime_ns, file.content_hash)
            elif before:
                states[source] = before
        except FileNotFoundError:
            continue  # removed since the folder was listed
        except OSError:
            # Intake tells why it cannot be read; until it can be, nothing new is known of it.
            if before:
                states[source] = before
    return states
