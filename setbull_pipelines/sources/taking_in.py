"""Taking in: every file of the input, or the generated sample, landed once.

Belongs here: what is new, landing it, its arrival in the journal. Does not belong here: what a file is
(``understanding.py``), the raw tables (``intake.py``).
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path, PurePath
from zoneinfo import ZoneInfo

from setbull_pipelines.settings import InputSettings, SampleSettings, fingerprint
from setbull_pipelines.sources import decided_actions, sample, sample_minutes, sample_plan
from setbull_pipelines.sources.arrivals import Content, Journal, name_of_input
from setbull_pipelines.sources.corporate_files import ACTIONS_KIND
from setbull_pipelines.sources.found_files import (
    FoundFile,
    NoAccess,
    contents,
    find_files,
    hash_of,
    readable,
    source_name,
)
from setbull_pipelines.sources.known_contents import KnownContents
from setbull_pipelines.sources.landed_files import (
    LandedFile,
    arrivals_of,
    counting_files,
    folder_name,
    reading_fingerprint,
)
from setbull_pipelines.sources.landing import INSTRUMENTS_KIND, open_landing, remove_landing
from setbull_pipelines.sources.moments import DAILY, MINUTES
from setbull_pipelines.sources.raw_rows import RawRows, UnreadableFile
from setbull_pipelines.sources.reading import file_suffix
from setbull_pipelines.sources.room_for_files import require_room
from setbull_pipelines.sources.understanding import Rejection, judged, land, understood
from setbull_pipelines.tables.contract import INDIA

Progress = Callable[[str, int, int], None]
"""Told the file about to be read, its number from 1, and how many files there are."""

SAMPLE_SOURCE = "generated sample"
_DAMAGED_INPUT = (
    "%s: its bytes are no longer those that were read, although nobody has written to it; restore the file. Until then "
    "what was read of it counts."
)
_log = logging.getLogger(__name__)


def land_files(
    input: Path,
    landing: Path,
    reading: InputSettings,
    moment: datetime,
    progress: Progress | None,
    decided: Path | None = None,
) -> tuple[list[LandedFile], dict[str, Rejection]]:
    """The files of an input and of ``decided`` corporate actions; what is new among them arrives at ``moment``.

    With them those that memory or the file system does not allow to read, by source, and why. Nothing of this is
    remembered; what was read of an earlier content of theirs counts.
    """
    paths = {source_name(input, path): path for path in find_files(input)}
    if decided is not None and decided.is_file():
        paths[decided_actions.SOURCE] = decided
    known = KnownContents(landing / f"known-{name_of_input(input)}.json")
    found: dict[str, Content] = {}
    files: dict[str, FoundFile] = {}
    out_of_reach: dict[str, Rejection] = {}
    journal = Journal(landing, input)
    for number, (name, path) in enumerate(paths.items(), start=1):
        try:
            inside = readable(path, partial(contents, name, path, known))
        except NoAccess as error:
            out_of_reach[name] = Rejection(error.reason)
            continue
        for source, file in inside.items():
            folder = landing / folder_name(source, file.content_hash, reading)
            content_hash = file.content_hash
            if open_landing(folder) is None:
                if progress:
                    progress(source, number, len(paths))
                try:
                    content_hash = _land_new(landing, source, file, known, reading)
                except MemoryError as error:
                    reason = str(error) or "found less memory than it takes to read"
                    out_of_reach[source] = Rejection(reason, rule="too large")
                    continue
                except NoAccess as error:
                    out_of_reach[source] = Rejection(error.reason)
                    continue
            landed = folder_name(source, content_hash, reading)
            found[source], files[source] = Content(content_hash, landed), file
    known.remember()
    earlier = {arrival.source: arrival.content for arrival in arrivals_of(journal.arrivals)}
    for name in list(out_of_reach):
        # The members of an archive that cannot be read are known from before.
        counting = {
            source: content
            for source, content in earlier.items()
            if content and (source == name or source.startswith(f"{name}/"))
        }
        if counting:
            reason = out_of_reach.pop(name).reason
            _log.warning("%s: %s. What was read of its earlier content counts.", name, reason)
            found |= counting
    landed_files = counting_files(
        landing,
        arrivals_of(lambda: journal.note(found, moment)),
        reading,
        land_again=lambda source, content_hash, folder: _land_again(
            files.get(source), source, content_hash, folder, reading
        ),
    )
    return landed_files, out_of_reach


def _land_new(
    landing: Path, source: str, file: FoundFile, known: KnownContents, reading: InputSettings
) -> str:
    """Land a file; returns the hash of the content that counts. Raises NoAccess and MemoryError."""
    try:
        if file.member is None:
            suffix = file_suffix(file.path) or ""
            size = readable(file.path, lambda: file.path.stat().st_size)
            require_room(size, suffix, PurePath(source))
        content = readable(file.path, lambda: file.read(reading.unpacked_limit_mib))
    except UnreadableFile as error:  # a member that cannot be unpacked
        land(landing / folder_name(source, file.content_hash, reading), Rejection(str(error)))
        return file.content_hash
    # The file may have changed since: a landing is named by the content that it is of. The members of an archive are
    # named by the archive, whose change the next look finds.
    read = hash_of(content) if file.member is None else file.content_hash
    if file.member is None and known.is_damaged(file.path, read):
        # What was read of it counts, by the rules of then, where that is there and whole.
        _log.warning(_DAMAGED_INPUT, file.path)
        return file.content_hash
    handed_over = [content]
    del content
    _land_content(landing / folder_name(source, read, reading), handed_over.pop, source, reading)
    return read


def _land_again(
    file: FoundFile | None, source: str, content_hash: str, folder: Path, reading: InputSettings
) -> None:
    """Write a landing anew that is damaged, if the file can be read and has the content that it is of."""
    if file is None:
        return
    try:
        content = file.read(reading.unpacked_limit_mib)
    except (OSError, UnreadableFile):
        return
    if file.member is not None or hash_of(content) == content_hash:
        remove_landing(folder)
        _land_content(folder, lambda: content, source, reading)


def _land_content(
    folder: Path, content: Callable[[], bytes], source: str, reading: InputSettings
) -> None:
    land(folder, understood(content(), file_suffix(Path(source)) or "", source, reading))


_SAMPLE = (sample, sample_minutes, sample_plan)
"""What the rows of the sample follow from, beside its settings: their source names the landing."""


def land_sample(
    settings: SampleSettings, landing: Path, progress: Progress | None
) -> list[LandedFile]:
    code = "".join(inspect.getsource(module) for module in _SAMPLE)
    digest = hashlib.blake2b(code.encode(), digest_size=16)
    digest.update(fingerprint(settings).encode())
    content_hash = digest.hexdigest()
    minutes_of = {day: f"{MINUTES} {day}" for day in sample.minute_days(settings)}
    folders = {
        name: landing / f"{content_hash}-{name.replace(' ', '-')}-{reading_fingerprint('sample')}"
        for name in (ACTIONS_KIND, DAILY, INSTRUMENTS_KIND, *minutes_of.values())
    }

    def land_again(folder: Path) -> None:
        remove_landing(folder)
        land_sample(settings, landing, progress)

    landings = {
        name: open_landing(folder, partial(land_again, folder)) for name, folder in folders.items()
    }

    number = count(1)

    def land_part(name: str, rows: RawRows) -> None:
        if progress:
            progress(f"{SAMPLE_SOURCE}: {name}", next(number), len(folders))
        landings[name] = land(folders[name], judged(rows, SAMPLE_SOURCE, InputSettings()))

    if None in landings.values():
        generated = sample.generate(settings, lambda day, rows: land_part(minutes_of[day], rows))
        land_part(ACTIONS_KIND, generated.corporate_actions)
        land_part(DAILY, generated.daily)
        land_part(INSTRUMENTS_KIND, generated.instruments)
    last_day = datetime.fromisoformat(settings.last_day).replace(tzinfo=ZoneInfo(INDIA))
    return [
        LandedFile(
            SAMPLE_SOURCE,
            f"{SAMPLE_SOURCE}: {name}",
            content_hash,
            landed,
            last_day + timedelta(days=1),
        )
        for name, landed in landings.items()
        if landed is not None
    ]


def land_decided(decided: Path | None, landing: Path) -> list[LandedFile]:
    """The decided corporate actions beside the sample, which has no journal: taken in when they were written."""
    if decided is None or not decided.is_file():
        return []
    content = readable(decided, decided.read_bytes)
    content_hash, reading = hash_of(content), InputSettings()
    folder = landing / folder_name(decided.name, content_hash, reading)
    if open_landing(folder) is None:
        _land_content(folder, lambda: content, decided.name, reading)
    landed = open_landing(folder)
    moment = datetime.fromtimestamp(decided.stat().st_mtime, ZoneInfo(INDIA))
    source = decided_actions.SOURCE
    return [LandedFile(source, source, content_hash, landed, moment)] if landed else []
